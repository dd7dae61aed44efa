"""What a clause of exporters is tried on: a real trained estimator, places to write to, a watch on both."""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from expcore.calling import call_naming, names
from expcore.conformance.case import Case, PatientClock, Sample
from expcore.conformance.clause import Clauses
from expcore.conformance.elsewhere import Elsewhere
from expcore.conformance.exporters.lending import fingerprint
from expcore.conformance.exporters.trained import Setting, Trained
from expcore.publish import Policy
from expcore.types import History, Metrics

clauses = Clauses("EXP", page="exporters.md#what-can-be-relied-on")

FORMAT, POLICY, EXPORTER = "format", "policy", "exporter"
PUBLISHES = (POLICY, EXPORTER)


def forms(component: Any) -> frozenset[str]:
    """Tells the form of a component: what it is taken for when it is given as an export strategy."""
    if isinstance(component, Policy):
        return frozenset({POLICY})
    if callable(getattr(component, "export", None)) and hasattr(component, "name"):
        return frozenset({EXPORTER})
    return frozenset({FORMAT}) if callable(getattr(component, "write", None)) else frozenset()


class Digest:
    """The suite's own format: writes a digest of the model. Policies are tried with it.

    Args:
        filename: the file's name.

    Attributes:
        places: the directories that it was given.
    """

    def __init__(self, filename: str = "digest.txt") -> None:
        self.filename = filename
        self.places: list[str] = []

    def write(self, estimator: Any, directory: str, checkpoint_path: str | None = None) -> None:
        """Writes the file; of an estimator that lends no model it has the checkpoint's path."""
        self.places.append(directory)
        if not callable(getattr(estimator, "restored", None)):
            Path(directory, self.filename).write_text(str(checkpoint_path))
            return
        with estimator.restored(checkpoint_path) as model:
            digest = sha256(repr(fingerprint(model)).encode()).hexdigest()
            Path(directory, self.filename).write_text(digest)


class Always(Policy):
    """The suite's own policy: exports whatever it is offered. Formats are tried with it."""

    default_name = "conformance"

    def wants(self, eval_result: Metrics | None, history: History | None, final: bool) -> bool:
        """Always."""
        return True


@dataclass(frozen=True)
class Written:
    """An artefact that a component wrote.

    Attributes:
        place: its directory.
        n: number of the round whose checkpoint was given.
        asked: what the estimator was asked for meanwhile.
    """

    place: Path
    n: int
    asked: list[Any] = field(default_factory=list)


class ExporterCase(Case):
    """Makes components write, in the way of the host.

    Attributes:
        elsewhere: sees what they write outside of the folder.
    """

    def __init__(self, sample: Sample, folder: Path) -> None:
        super().__init__(sample, folder)
        self.elsewhere = Elsewhere(folder)

    def make(self, **offered: Any) -> Any:
        """Returns a fresh component; a policy has the suite's format, or the one offered."""
        format_ = offered.pop("format", None) or Digest()
        component = self.sample.make(format=format_, **offered)
        factory = self.sample.factory or self.sample.component
        if isinstance(component, Policy) and not names(factory, "format"):
            component = copy.copy(component)
            component.format = format_
        return component

    def exporter(self, **offered: Any) -> Any:
        """Returns a fresh component as an exporter; a format comes with the suite's policy."""
        component = self.make(**offered)
        return Always(component, keep=None) if forms(component) == {FORMAT} else component

    @property
    def setting(self) -> Setting:
        """Makes estimators and experiments as the sample says."""
        return Setting(self.sample)

    def trained(self, name: str = "") -> Trained:
        """Returns an estimator that was trained; another name gives another one, trained alike."""
        return self.setting.trained(self.folder / name)

    def place(self, name: str = "artefact") -> Path:
        """Returns a path in the folder; its parent is there."""
        parent = self.folder / "exports"
        parent.mkdir(exist_ok=True)
        return parent / name

    def put(
        self, component: Any, trained: Trained, n: int, place: str | Path, result: Any = None
    ) -> Path | None:
        """Has a component write the checkpoint of a round.

        Args:
            component: a format writes into ``place``, which is made; another exports to it as its base.
            trained: the estimator.
            n: number of the round.
            place: a directory.
            result: its evaluation; None: the one that was recorded.

        Returns:
            Where it was written; None where an exporter did not want to.
        """
        with self.temporaries(), self.elsewhere.watching():
            return self._put(component, trained, n, place, result)

    def _put(self, component: Any, trained: Trained, n: int, place: str | Path, result: Any) -> Path | None:
        checkpoint = trained.rounds[n]
        offered: dict[str, Any] = {
            "checkpoint_path": checkpoint.path,
            "eval_result": dict(checkpoint.result) if result is None else result,
        }
        if forms(component) == {FORMAT}:
            os.makedirs(place)
            call_naming(component.write, trained.estimator, str(place), **offered)
            return Path(place)
        history = trained.experiment.history
        written = call_naming(
            component.export,
            trained.estimator,
            str(place),
            is_the_final_export=True,
            history=history.at(history.identify(checkpoint.path)),
            clock=PatientClock(),
            **offered,
        )
        return Path(os.fsdecode(written)) if written else None

    def put_all(self, component: Any, trained: Trained, place: str | Path) -> list[Written]:
        """Has a component write: a format the checkpoint before the latest, an exporter any that it wants.

        Raises:
            Violation: an exporter wanted none of all.
        """
        found = []
        for n in [1] if forms(component) == {FORMAT} else range(len(trained.rounds)):
            asked = len(trained.watch.asked)
            written = self.put(component, trained, n, place)
            if written is not None:
                found.append(Written(written, n, trained.watch.asked[asked:]))
        self.require(found, "of all checkpoints that it was offered as the final one it exported none")
        return found

    @contextmanager
    def temporaries(self) -> Iterator[Path]:
        """A block in which temporary files go to a folder of their own, which it gives; home is another."""
        folder, kept = self.folder / "tmp", tempfile.tempdir
        own = {"TMPDIR": folder, "HOME": self.folder / "home"}
        before = {name: os.environ.get(name) for name in own}
        for name, path in own.items():
            path.mkdir(exist_ok=True)
            os.environ[name] = str(path)
        tempfile.tempdir = str(folder)
        try:
            yield folder
        finally:
            tempfile.tempdir = kept
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value

    @contextmanager
    def working_in(self, name: str) -> Iterator[Path]:
        """A block in which a new folder is the working directory, which it gives."""
        folder, before = self.folder / name, os.getcwd()
        folder.mkdir()
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(before)
