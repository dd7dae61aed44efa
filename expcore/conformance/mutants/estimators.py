"""Estimators that keep every promise, with and without the optional parts, and one that breaks each."""

from __future__ import annotations

from typing import Any

from expcore.conformance.case import Sample
from expcore.conformance.mutants.estimators_evaluating import EVALUATING
from expcore.conformance.mutants.estimators_hooking import HOOKING
from expcore.conformance.mutants.estimators_lasting import LASTING
from expcore.conformance.mutants.estimators_optional import OPTIONAL
from expcore.conformance.mutants.estimators_training import TRAINING
from expcore.conformance.mutants.mutant import Proof
from expcore.testing.numpy_estimator import NumpyEstimator
from expcore.types import InputFn, Metrics


class Plain:
    """What has to be there, and no more."""

    capabilities = NumpyEstimator.capabilities

    def __init__(self, model_dir: str, config: Any) -> None:
        self._inner = NumpyEstimator(model_dir, config)
        self.model_dir, self.config = self._inner.model_dir, config

    def train(
        self, input_fn: InputFn, hooks: Any = None, steps: int | None = None, max_steps: int | None = None
    ) -> Plain:
        """Trains."""
        self._inner.train(input_fn, hooks, steps, max_steps)
        return self

    def evaluate(
        self,
        input_fn: InputFn,
        steps: int | None = None,
        hooks: Any = None,
        checkpoint_path: str | None = None,
        name: str | None = None,
    ) -> Metrics:
        """Evaluates."""
        return self._inner.evaluate(input_fn, steps, hooks, checkpoint_path, name)

    def latest_checkpoint(self) -> str | None:
        """Returns the newest checkpoint's path."""
        return self._inner.latest_checkpoint()


class Telling(Plain):
    """Tells listeners but takes no hooks of ours, as the estimators of TensorFlow 2.15."""

    def train(
        self,
        input_fn: InputFn,
        hooks: Any = None,
        steps: int | None = None,
        max_steps: int | None = None,
        saving_listeners: Any = None,
    ) -> Plain:
        """Trains."""
        self._inner.train(input_fn, hooks, steps, max_steps, saving_listeners)
        return self


PROOF = Proof(
    references={
        "the NumPy estimator": Sample(factory=NumpyEstimator),
        "without optional parts": Sample(factory=Plain),
        "with listeners, without hooks": Sample(factory=Telling),
    },
    mutants=(*TRAINING, *EVALUATING, *LASTING, *HOOKING, *OPTIONAL),
)
