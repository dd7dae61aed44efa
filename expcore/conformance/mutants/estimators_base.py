"""What the wrong estimators share: a NumPy estimator whose training can be changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from expcore.conformance.case import Sample
from expcore.conformance.mutants.mutant import Mutant
from expcore.testing.numpy_estimator import NumpyEstimator, _Engine
from expcore.types import InputFn


class Changed(NumpyEstimator):
    """Base of those that do something about ``train``."""

    def train(self, input_fn: InputFn, *args: Any, **given: Any) -> Any:
        """Trains as ``fit`` says."""
        names = ("hooks", "steps", "max_steps", "saving_listeners")
        return self.fit(input_fn, {**dict.fromkeys(names), **dict(zip(names, args, strict=False)), **given})

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        return super().train(input_fn, **given)

    @property
    def step(self) -> int:
        """The step of the newest checkpoint."""
        found = self._paths()
        return int(Path(found[-1]).stem.partition("-")[2]) if found else 0


def mutant(clause: int, breaks: str, made: type, also: tuple[str, ...] = ()) -> Mutant:
    """Returns a mutant of a clause by its number."""
    return Mutant(f"EST-{clause:03d}", breaks, Sample(factory=made), also)


def fresh_engine(estimator: NumpyEstimator) -> Any:
    """Returns an engine that has restored nothing."""
    return _Engine(estimator)
