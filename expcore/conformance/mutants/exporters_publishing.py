"""Exporters that publish by themselves and keep every promise, and some that break one each."""

from __future__ import annotations

import errno
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from expcore.conformance.case import Sample
from expcore.conformance.mutants.exporters_formats import Json
from expcore.conformance.mutants.mutant import Mutant
from expcore.publish import ExportStrategy, versions

Method = Callable[..., Any]


class Careful:
    """The reference of exporters: writes beside the place, renames, cleans up."""

    name = "careful"

    def export(
        self,
        estimator: Any,
        export_path: str,
        checkpoint_path: str | None = None,
        eval_result: Any = None,
        is_the_final_export: bool = False,
    ) -> Any:
        """Publishes the weights as the next version."""
        base = Path(export_path)
        base.mkdir(parents=True, exist_ok=True)
        with self.temporary(base) as place:
            Json().write(estimator, str(place), checkpoint_path)
            return str(self.publish(place, base))

    @contextmanager
    def temporary(self, base: Path) -> Iterator[Path]:
        """A directory beside the versions, which is gone in the end."""
        place = base / f".tmp-{uuid.uuid4().hex}"
        place.mkdir()
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def version(self, base: Path) -> int:
        """Returns the next version."""
        return max([int(time.time()), *(v + 1 for v in versions(str(base)))])

    def publish(self, place: Path, base: Path) -> Path:
        """Renames to the next version that is free."""
        version = self.version(base)
        while True:
            try:
                return place.rename(base / str(version))
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                version += 1


def _function(estimator: Any, export_path: str, checkpoint_path: str | None = None) -> Any:
    return Careful().export(estimator, export_path, checkpoint_path)


FUNCTION = ExportStrategy("function", _function)
"""The form of 2017."""


def _exporter(**methods: Any) -> Sample:
    return Sample(factory=type("Mutant", (Careful,), methods))


def _export(change: Callable[[dict[str, Any]], Any] | None = None, after: Method | None = None) -> Method:
    """An ``export`` that changes its arguments, or what it returns."""

    def export(
        self: Careful,
        estimator: Any,
        export_path: str,
        checkpoint_path: Any = None,
        eval_result: Any = None,
        is_the_final_export: bool = False,
    ) -> Any:
        given = {
            "checkpoint_path": checkpoint_path,
            "eval_result": eval_result,
            "is_the_final_export": is_the_final_export,
        }
        if change is not None:
            change(given)
        written = Careful.export(self, estimator, export_path, **given)
        return written if after is None else after(Path(export_path), written)

    return export


def _needs_accuracy(given: dict[str, Any]) -> None:
    given["eval_result"]["accuracy"]


def _final_fails(given: dict[str, Any]) -> None:
    if given["is_the_final_export"]:
        raise NotImplementedError("the final export")


def _swallowing(self: Careful, estimator: Any, export_path: str, checkpoint_path: Any = None) -> Any:
    try:
        return Careful.export(self, estimator, export_path, checkpoint_path)
    except Exception:
        return None


def _leaves_one(base: Path, written: str) -> str:
    (base / f"temp-{Path(written).name}").mkdir()
    return written


@contextmanager
def _not_removed(self: Careful, base: Path) -> Iterator[Path]:
    place = base / f".tmp-{uuid.uuid4().hex}"
    place.mkdir()
    yield place


@contextmanager
def _private(self: Careful, base: Path) -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix=".tmp-", dir=base))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _shared(self: Careful, base: Path) -> Iterator[Path]:
    place = base / "tmp"
    place.mkdir(exist_ok=True)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _in_place(clean: bool) -> Method:
    def export(self: Careful, estimator: Any, export_path: str, checkpoint_path: Any = None) -> str:
        base = Path(export_path)
        place = base / str(self.version(base))
        place.mkdir(parents=True)
        try:
            Json().write(estimator, str(place), checkpoint_path)
        except Exception:
            if clean:
                shutil.rmtree(place)
            raise
        return str(place)

    return export


def _marks_as_done(base: Path, written: str) -> str:
    Path(written, "DONE").write_text("")
    return written


def _deletes_the_oldest(base: Path, written: str) -> str:
    for version in versions(str(base))[:-5]:
        shutil.rmtree(base / str(version))
    return written


def _seconds(self: Careful, base: Path) -> int:
    return int(time.time())


def _date(self: Careful, place: Path, base: Path) -> Path:
    return place.rename(base / f"{time.strftime('%Y-%m-%d')}-{time.time_ns()}")


class _ChoosesFirst(Careful):
    def export(  # type: ignore[override]
        self, estimator: Any, export_path: str, checkpoint_path: Any = None
    ) -> Any:
        base = Path(export_path)
        base.mkdir(parents=True, exist_ok=True)
        version = base / str(self.version(base))
        with self.temporary(base) as place:
            Json().write(estimator, str(place), checkpoint_path)
            return str(place.rename(version))


MUTANTS = (
    Mutant("EXP-001", "has no name", Sample(factory=type("Nameless", (), {"export": Careful.export}))),
    Mutant("EXP-001", "has a slash in its name", _exporter(name="model/v1")),
    Mutant("EXP-002", "export needs more", _exporter(export=lambda self, estimator, path, session: None)),
    Mutant("EXP-005", "needs a metric that is not there", _exporter(export=_export(_needs_accuracy))),
    Mutant("EXP-005", "fails in the final export", _exporter(export=_export(_final_fails))),
    Mutant(
        "EXP-006",
        "exporter forgets the checkpoint",
        _exporter(export=_export(lambda given: given.update(checkpoint_path=None))),
    ),
    Mutant("EXP-008", "declines where it fails", _exporter(export=_swallowing)),
    Mutant("EXP-010", "leaves a directory beside its versions", _exporter(export=_export(after=_leaves_one))),
    Mutant("EXP-011", "leaves half a version beside", _exporter(temporary=_not_removed)),
    Mutant(
        "EXP-017",
        "exporter changes the result",
        _exporter(export=_export(lambda given: given["eval_result"].pop("global_step", None))),
    ),
    Mutant("EXP-022", "returns nothing", _exporter(export=_export(after=lambda base, written: None))),
    Mutant("EXP-022", "returns its base", _exporter(export=_export(after=lambda base, written: str(base)))),
    Mutant("EXP-023", "takes the seconds for a version", _exporter(version=_seconds)),
    Mutant("EXP-023", "takes the date for a version", _exporter(publish=_date)),
    Mutant("EXP-024", "writes in place", _exporter(export=_in_place(clean=True))),
    Mutant("EXP-024", "writes in place, cleans up never", _exporter(export=_in_place(False)), ("EXP-011",)),
    Mutant(
        "EXP-024", "marks a version as done", _exporter(export=_export(after=_marks_as_done)), ("EXP-011",)
    ),
    Mutant("EXP-025", "deletes what others wrote", _exporter(export=_export(after=_deletes_the_oldest))),
    Mutant("EXP-026", "chooses its version first", Sample(factory=_ChoosesFirst)),
    Mutant("EXP-026", "has one temporary place for all", _exporter(temporary=_shared)),
    Mutant("EXP-034", "renames what mkdtemp made", _exporter(temporary=_private)),
)
