"""What a clause of estimators is tried on: small estimators in directories of their own, and their data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from expcore.calling import accepts, call_naming, names
from expcore.cluster import RunConfig
from expcore.conformance.case import Case, Sample
from expcore.conformance.clause import NotApplicable
from expcore.conformance.setting import endless_data, linear_data

MOST_STEPS = 12
"""No clause trains longer on the training data, so that data that end will do."""

_FACTORY = "give factory=, a function that names model_dir and config and returns an estimator made of them"


def forms(estimator: Any) -> frozenset[str]:
    """Returns which of the optional parts an estimator has."""
    optional = ("supports_hook", "checkpoints", "restored", "with_model_dir", "predict")
    found = {name for name in optional if callable(getattr(estimator, name, None))}
    if accepts(getattr(estimator, "train", None), "saving_listeners"):  # type: ignore[arg-type]
        found.add("saving_listeners")
    return frozenset(found)


class EstimatorCase(Case):
    """Makes estimators, each time a new object, which stands for a new process."""

    def __init__(self, sample: Sample, folder: Path) -> None:
        super().__init__(sample, folder)
        self._known: dict[str, str] = {}

    def make(self) -> Any:
        """Returns an estimator to look at, not to train: the very object, where that is what was given."""
        if self._factory is None and self.sample.component is not None:
            return self.sample.component
        return self.estimator()

    @property
    def _factory(self) -> Callable[..., Any] | None:
        component = self.sample.component
        return (
            component if self.sample.factory is None and isinstance(component, type) else self.sample.factory
        )

    def estimator(self, name: str = "model", **config: Any) -> Any:
        """Returns a new estimator in a directory of this case.

        Args:
            name: of the directory; the same name again: a new object on the same directory.
            config: attributes of its RunConfig; ``random_seed`` is 1 unless it is among them.
        """
        factory, path = self._factory, str(self.folder / name)
        if factory is None:
            return self._copy(path, config)
        if not names(factory, "config") and config:
            raise NotApplicable(f"it needs another RunConfig ({', '.join(config)}); {_FACTORY}")
        if self.placed:
            settings = RunConfig(model_dir=path, **{"random_seed": 1, **config})
            return call_naming(factory, model_dir=path, config=settings)
        return self._in_its_own(factory, path)

    def _copy(self, path: str, config: Mapping[str, Any]) -> Any:
        copy = getattr(self.sample.component, "with_model_dir", None)
        if not callable(copy) or config:
            raise NotApplicable(f"no fresh estimator can be made of the object that was given; {_FACTORY}")
        return copy(path)

    def _in_its_own(self, factory: Callable[..., Any], path: str) -> Any:
        known, made = self._known, factory()
        if path in known:
            copy = getattr(made, "with_model_dir", None)
            if not callable(copy):
                raise NotApplicable(f"it needs a second estimator on one directory; {_FACTORY}")
            return copy(known[path])
        if made.model_dir in known.values():
            raise NotApplicable(f"the factory gave the directory {made.model_dir!r} twice; {_FACTORY}")
        known[path] = str(made.model_dir)
        return made

    @property
    def placed(self) -> bool:
        """Whether a directory can be chosen: the factory is told it, or the object can be copied there."""
        factory = self._factory
        if factory is None:
            return callable(getattr(self.sample.component, "with_model_dir", None))
        return names(factory, "model_dir") or names(factory, "config")

    @property
    def train_data(self) -> Callable[[], Any]:
        """The input function of the training, always the same object."""
        return self.sample.train_input_fn or endless_data

    @property
    def eval_data(self) -> Callable[[], Any]:
        """The input function of the evaluation, always the same object; its data end."""
        return self.sample.eval_input_fn or self.sample.train_input_fn or linear_data

    def told_of(self, input_fn: Callable[[], Any]) -> str:
        """Returns in words what is expected of an estimator that is given these data."""
        told = {
            endless_data: "an endless iterable of batches (x, y) of shapes [16, 3] and [16]",
            linear_data: "a pair of arrays (x, y) of shapes [64, 3] and [64]",
        }.get(input_fn)
        name = "train_input_fn" if input_fn is endless_data else "eval_input_fn"
        return f"it takes the suite's data, {told}; else give {name}=" if told else "no error"

    def train(self, estimator: Any, **given: Any) -> Any:
        """Trains on the training data; ``given`` are arguments of ``train``."""
        return estimator.train(self.train_data, **given)

    def evaluate(self, estimator: Any, **given: Any) -> dict[str, Any]:
        """Returns the result on all of the evaluation data; ``given`` are arguments of ``evaluate``."""
        return dict(estimator.evaluate(self.eval_data, **given))

    def step(self, estimator: Any, checkpoint_path: str | None = None) -> int:
        """Returns the global step of a checkpoint, by its evaluation; None: of the latest."""
        return int(self.evaluate(estimator, checkpoint_path=checkpoint_path)["global_step"])

    def require_step(self, estimator: Any, wanted: int, after: str) -> None:
        """Ends the clause where the latest checkpoint has another step; ``after`` says what was done."""
        with self.no_error(f"after {after}, evaluating", f"a checkpoint of step {wanted}"):
            found = self.step(estimator)
        hint = "; or the training data end before that" if found < wanted else ""
        self.require(found == wanted, f"after {after} it is at step {found}{hint}", f"step {wanted}")

    def require_alike(self, told: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
        """Ends the clause where two results differ by more than rounding; ``told`` says which two."""
        self.require(alike(first, second), f"{told}: {_shown(first)} and {_shown(second)}", "the same")

    def two_checkpoints(self, estimator: Any) -> tuple[str, str]:
        """Trains until step 2 and on until step 5; returns the paths of both checkpoints."""
        self.train(estimator, steps=2)
        older = estimator.latest_checkpoint()
        self.train(estimator, steps=3)
        return older, estimator.latest_checkpoint()

    def damage(self, path: str) -> None:
        """Overwrites the files of a checkpoint."""
        found = checkpoint_files(path)
        if not found:
            self.skip(f"there is no file at its checkpoint's path {path!r}, so none can be damaged")
        for file in found:
            file.write_bytes(b"damaged")

    def require_placed(self) -> None:
        """Ends the clause, as not applicable, where the factory chooses the directory."""
        if not self.placed:
            self.skip(f"it needs a directory of its choice; {_FACTORY}")


def checkpoint_files(path: str) -> list[Path]:
    """Returns the files of a checkpoint: the one at the path, those below it, those with a longer name."""
    place = Path(path)
    if not place.parent.is_dir():
        return []
    found = []
    for other in place.parent.iterdir():
        rest = other.name.removeprefix(place.name)
        if other.name.startswith(place.name) and not rest[:1].isalnum():
            found += files_below(other) if other.is_dir() else [other]
    return sorted(found)


def files_below(folder: str | Path) -> list[Path]:
    """Returns every file below a folder."""
    return sorted(path for path in Path(folder).rglob("*") if path.is_file())


def contents(files: Iterable[Path]) -> dict[str, bytes]:
    """Returns what is in files, by path."""
    return {str(path): path.read_bytes() for path in files}


def alike(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two results have the same names, and numbers that differ by no more than rounding."""
    if set(first) != set(second):
        return False
    pairs = [(first[name], second[name]) for name in first]
    return all(_close(float(a), float(b)) if _is_number(a) else bool(a == b) for a, b in pairs)


def _close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-12) or (math.isnan(a) and math.isnan(b))


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _shown(result: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{name}: {value}" for name, value in sorted(result.items())) + "}"
