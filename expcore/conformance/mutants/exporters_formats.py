"""A format that keeps every promise, and some that break one each."""

from __future__ import annotations

import atexit
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from expcore.conformance.case import Sample
from expcore.conformance.mutants.mutant import Mutant


class Json:
    """The reference of formats: the weights, and how many they are, in two files."""

    capabilities = frozenset({"deterministic"})

    def write(
        self, estimator: Any, directory: str, checkpoint_path: str | None = None, eval_result: Any = None
    ) -> Any:
        """Writes the files."""
        with estimator.restored(checkpoint_path) as model:
            self.save(model, directory)

    def save(self, model: Any, directory: str) -> None:
        """Writes the files of a model."""
        Path(directory, "weights.json").write_text(json.dumps(model.weights.tolist()))
        Path(directory, "about.json").write_text(json.dumps({"weights": len(model.weights)}))


Write = Callable[..., Any]


def _format(write: Write, **attributes: Any) -> Sample:
    """A format of which only ``write`` is another."""
    return Sample(factory=type("Mutant", (Json,), {"write": write, **attributes}))


def _saving(save: Write, **attributes: Any) -> Sample:
    """A format of which only what it does with the model is another."""
    return Sample(factory=type("Mutant", (Json,), {"save": save, **attributes}))


def _needs_a_bucket(bucket: str) -> Any:
    return Json()


def _needs_a_tokenizer(self: Json, estimator: Any, directory: str, tokenizer: Any) -> None:
    Json.write(self, estimator, directory)


def _writes_beside(self: Json, estimator: Any, directory: str, checkpoint_path: Any = None) -> None:
    with estimator.restored(checkpoint_path) as model:
        Path(f"{directory}.json").write_text(json.dumps(model.weights.tolist()))


def _links(self: Json, estimator: Any, directory: str, checkpoint_path: Any = None) -> None:
    Json.write(self, estimator, directory, checkpoint_path)
    os.symlink(checkpoint_path or estimator.latest_checkpoint(), os.path.join(directory, "checkpoint"))


def _ignores_the_checkpoint(self: Json, estimator: Any, directory: str, checkpoint_path: Any = None) -> None:
    if checkpoint_path and not os.path.exists(checkpoint_path):
        raise FileNotFoundError(checkpoint_path)
    with estimator.restored() as model:
        self.save(model, directory)


def _reads_the_latest_file(self: Json, estimator: Any, directory: str) -> None:
    shutil.copy(estimator.latest_checkpoint(), os.path.join(directory, "weights.json"))


class _Caches(Json):
    kept: Any = None

    def save(self, model: Any, directory: str) -> None:
        Path(directory, "weights.json").write_text(self.kept)

    def write(
        self, estimator: Any, directory: str, checkpoint_path: Any = None, eval_result: Any = None
    ) -> None:
        if self.kept is None:
            with estimator.restored(checkpoint_path) as model:
                self.kept = json.dumps(model.weights.tolist())
        self.save(None, directory)


def _names_after_the_checkpoint(
    self: Json, estimator: Any, directory: str, checkpoint_path: Any = None
) -> None:
    Json.write(self, estimator, directory, checkpoint_path)
    Path(directory, f"{os.path.basename(checkpoint_path)}.txt").write_text("source")


def _none_is_the_oldest(self: Json, estimator: Any, directory: str, checkpoint_path: Any = None) -> None:
    Json.write(self, estimator, directory, checkpoint_path or estimator.checkpoints()[0])


def _swallows(self: Json, estimator: Any, directory: str, checkpoint_path: Any = None) -> None:
    try:
        Json.write(self, estimator, directory, checkpoint_path)
    except Exception as error:
        Path(directory, "weights.json").write_text(json.dumps({"error": str(error)}))


def _notes_in_the_model_directory(
    self: Json, estimator: Any, directory: str, checkpoint_path: Any = None
) -> None:
    Json.write(self, estimator, directory, checkpoint_path)
    Path(estimator.model_dir, "last-export.txt").write_text(str(checkpoint_path))


def _leaves_temporaries(self: Json, estimator: Any, directory: str, checkpoint_path: Any = None) -> None:
    Json.write(self, estimator, directory, checkpoint_path)
    shutil.copytree(directory, os.path.join(tempfile.mkdtemp(), "copy"))


def _cleans_up_after_success_only(
    self: Json, estimator: Any, directory: str, checkpoint_path: Any = None
) -> None:
    place = tempfile.mkdtemp()
    Json.write(self, estimator, place, checkpoint_path)
    for name in os.listdir(place):
        shutil.move(os.path.join(place, name), directory)
    os.rmdir(place)


def _uses_a_shell(self: Json, estimator: Any, directory: str, checkpoint_path: Any = None) -> None:
    with tempfile.TemporaryDirectory() as place:
        Json.write(self, estimator, place, checkpoint_path)
        line = f"cp {place}/*.json {directory}"
        subprocess.run(line, shell=True, check=True, capture_output=True)


def _wants_latin_letters(self: Json, estimator: Any, directory: str, checkpoint_path: Any = None) -> None:
    Json.write(self, estimator, directory.encode("latin-1").decode("latin-1"), checkpoint_path)


class _KeepsTheWorkingDirectory(Json):
    def __init__(self) -> None:
        self.cwd = os.getcwd()

    def write(
        self, estimator: Any, directory: str, checkpoint_path: Any = None, eval_result: Any = None
    ) -> None:
        super().write(estimator, os.path.join(self.cwd, directory), checkpoint_path)


def _moves_what_mkstemp_made(self: Json, model: Any, directory: str) -> None:
    Json.save(self, model, directory)
    handle, path = tempfile.mkstemp()
    os.close(handle)
    shutil.move(path, os.path.join(directory, "index"))


def _rounds(self: Json, model: Any, directory: str) -> None:
    model.weights[:] = np.round(model.weights, 2)
    Json.save(self, model, directory)


def _rounds_afterwards(self: Json, estimator: Any, directory: str, checkpoint_path: Any = None) -> None:
    with estimator.restored(checkpoint_path) as model:
        Json.save(self, model, directory)
    model.weights = np.round(model.weights, 1)


def _seeds(self: Json, model: Any, directory: str) -> None:
    random.seed(0)
    np.random.seed(0)
    Json.save(self, model, directory)


def _sets_a_variable(self: Json, model: Any, directory: str) -> None:
    os.environ["EXPORTING"] = directory
    Json.save(self, model, directory)


def _constructor(act: Callable[[], Any]) -> Sample:
    """A format that does something when it is made."""

    class Mutant(Json):
        def __init__(self) -> None:
            act()

    return Sample(factory=Mutant)


def _moves_in() -> None:
    os.chdir("/")


def _configures() -> None:
    os.environ["EXPORTER_MODE"] = "fast"


def _notes_at_home(self: Json, estimator: Any, directory: str, checkpoint_path: Any = None) -> None:
    Json.write(self, estimator, directory, checkpoint_path)
    Path.home().joinpath("exports.txt").write_text(directory)


@cache
def _elsewhere() -> str:
    place = tempfile.mkdtemp(prefix="expcore-", dir="/var/tmp")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


def _leaves_a_temporary_elsewhere(
    self: Json, estimator: Any, directory: str, checkpoint_path: Any = None
) -> None:
    handle, _ = tempfile.mkstemp(dir=_elsewhere())
    os.close(handle)
    Json.write(self, estimator, directory, checkpoint_path)


def _cleans_up_elsewhere_after_success_only(
    self: Json, estimator: Any, directory: str, checkpoint_path: Any = None
) -> None:
    place = Path(tempfile.mkdtemp(dir=_elsewhere()))
    Json.write(self, estimator, str(place), checkpoint_path)
    for path in place.iterdir():
        shutil.copy(path, directory)
    shutil.rmtree(place)


def _pops(
    self: Json, estimator: Any, directory: str, checkpoint_path: Any = None, eval_result: Any = None
) -> None:
    (eval_result or {}).pop("global_step", None)
    Json.write(self, estimator, directory, checkpoint_path)


def _returns_the_directory(self: Json, estimator: Any, directory: str, checkpoint_path: Any = None) -> str:
    Json.write(self, estimator, directory, checkpoint_path)
    return directory


def _tells_the_loss(
    self: Json, estimator: Any, directory: str, checkpoint_path: Any = None, eval_result: Any = None
) -> None:
    Json.write(self, estimator, directory, checkpoint_path)
    Path(directory, "card.txt").write_text(f"loss {eval_result['loss']}")


def _lists_its_files(self: Json, model: Any, directory: str) -> None:
    Json.save(self, model, directory)
    Path(directory, "files.json").write_text(json.dumps([os.path.join(directory, "weights.json")]))


def _stamps(self: Json, model: Any, directory: str) -> None:
    Json.save(self, model, directory)
    Path(directory, "when.txt").write_text(str(time.time_ns()))


MUTANTS = (
    Mutant("EXP-001", "is a class", Sample(factory=lambda: Json)),
    Mutant("EXP-001", "cannot be made without an argument", Sample(factory=_needs_a_bucket)),
    Mutant("EXP-002", "write needs more", _format(_needs_a_tokenizer)),
    Mutant("EXP-003", "writes beside its directory", _format(_writes_beside)),
    Mutant("EXP-003", "makes only a directory", _saving(lambda self, m, d: os.mkdir(f"{d}/assets"))),
    Mutant("EXP-004", "links to the checkpoint", _format(_links)),
    Mutant("EXP-006", "ignores the checkpoint it was given", _format(_ignores_the_checkpoint)),
    Mutant("EXP-006", "copies the latest checkpoint", _format(_reads_the_latest_file)),
    Mutant("EXP-006", "writes the first model again", Sample(factory=_Caches)),
    Mutant("EXP-007", "raises on None", _format(_names_after_the_checkpoint)),
    Mutant("EXP-007", "takes the oldest for None", _format(_none_is_the_oldest)),
    Mutant("EXP-008", "swallows errors", _format(_swallows)),
    Mutant("EXP-009", "notes something in the model directory", _format(_notes_in_the_model_directory)),
    Mutant("EXP-009", "notes something in the user's home", _format(_notes_at_home)),
    Mutant("EXP-009", "leaves a file in /var/tmp", _format(_leaves_a_temporary_elsewhere)),
    Mutant("EXP-010", "leaves temporaries", _format(_leaves_temporaries)),
    Mutant("EXP-011", "cleans up after success only", _format(_cleans_up_after_success_only)),
    Mutant("EXP-011", "cleans /var/tmp after success only", _format(_cleans_up_elsewhere_after_success_only)),
    Mutant("EXP-012", "breaks on spaces", _format(_uses_a_shell)),
    Mutant("EXP-012", "breaks on unicode", _format(_wants_latin_letters)),
    Mutant("EXP-013", "depends on the working directory", Sample(factory=_KeepsTheWorkingDirectory)),
    Mutant("EXP-014", "touches the model", _saving(_rounds)),
    Mutant("EXP-015", "touches the model when it was given back", _format(_rounds_afterwards)),
    Mutant("EXP-016", "seeds the random numbers", _saving(_seeds)),
    Mutant("EXP-016", "sets a variable of the environment", _saving(_sets_a_variable)),
    Mutant("EXP-016", "changes the directory when it is made", _constructor(_moves_in)),
    Mutant("EXP-016", "sets a variable when it is made", _constructor(_configures)),
    Mutant("EXP-016", "seeds when it is made", _constructor(lambda: np.random.seed(0))),
    Mutant("EXP-017", "changes the result", _format(_pops)),
    Mutant("EXP-018", "returns its directory", _format(_returns_the_directory)),
    Mutant("EXP-019", "needs a result", _format(_tells_the_loss)),
    Mutant("EXP-020", "lists its files by whole paths", _saving(_lists_its_files, capabilities=())),
    Mutant("EXP-021", "writes the time", _saving(_stamps)),
    Mutant("EXP-034", "moves what mkstemp made", _saving(_moves_what_mkstemp_made)),
)
