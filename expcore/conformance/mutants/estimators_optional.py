"""Estimators whose optional parts break what they promise."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from expcore.conformance.mutants.estimators_base import fresh_engine, mutant
from expcore.conformance.mutants.estimators_evaluating import Looking
from expcore.testing.numpy_estimator import NumpyEstimator
from expcore.types import InputFn


class Listing(NumpyEstimator):
    """Base of those that list their checkpoints wrongly, but know the latest."""

    def latest_checkpoint(self) -> str | None:
        """Returns the latest."""
        found = self._paths()
        return found[-1] if found else None


class ByName(Listing):
    """Lists checkpoints in the order of their names."""

    def checkpoints(self) -> list[str]:
        """Returns the paths."""
        return sorted(super().checkpoints())


class NewestFirst(Listing):
    """Lists checkpoints from the newest on."""

    def checkpoints(self) -> list[str]:
        """Returns the paths."""
        return super().checkpoints()[::-1]


class LatestModel(NumpyEstimator):
    """Gives the latest model whatever is asked for."""

    @contextmanager
    def restored(self, checkpoint_path: str | None = None) -> Iterator[Any]:
        """Gives it."""
        with super().restored(None) as model:
            yield model


class Occupied(Looking):
    """Cannot evaluate inside ``restored``."""

    _lent = False

    @contextmanager
    def restored(self, checkpoint_path: str | None = None) -> Iterator[Any]:
        """Lends the model."""
        with super().restored(checkpoint_path) as model:
            self._lent = True
            try:
                yield model
            finally:
                self._lent = False

    def look(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Evaluates."""
        if self._lent:
            raise RuntimeError("the model is lent")
        return super().look(input_fn, given)


class Calming(NumpyEstimator):
    """Keeps errors inside ``restored``."""

    @contextmanager
    def restored(self, checkpoint_path: str | None = None) -> Iterator[Any]:
        """Gives the model."""
        with super().restored(checkpoint_path) as model:
            try:
                yield model
            except RuntimeError:
                return


class LeftBehind(NumpyEstimator):
    """Restores the training itself and leaves it there."""

    @contextmanager
    def restored(self, checkpoint_path: str | None = None) -> Iterator[Any]:
        """Gives the model of the training."""
        with super().restored(checkpoint_path) as model:
            if self._engine is not None:
                self._engine.restore(checkpoint_path or self._paths()[-1])
            yield model


class Careless(NumpyEstimator):
    """Puts the weights back only where nothing failed."""

    @contextmanager
    def restored(self, checkpoint_path: str | None = None) -> Iterator[Any]:
        """Gives the model of the training with other weights."""
        with super().restored(checkpoint_path) as model:
            if self._engine is None:
                yield model
                return
            kept = self._engine.model.weights
            self._engine.model.weights = model.weights
            yield self._engine.model
            self._engine.model.weights = kept


class SamePlace(NumpyEstimator):
    """Copies into its own directory."""

    def with_model_dir(self, path: str) -> NumpyEstimator:
        """Returns the copy."""
        return super().with_model_dir(self.model_dir)


class WithCheckpoints(NumpyEstimator):
    """Copies its checkpoints as well."""

    def with_model_dir(self, path: str) -> NumpyEstimator:
        """Returns the copy."""
        if Path(self.model_dir).is_dir():
            shutil.copytree(self.model_dir, path)
        return super().with_model_dir(path)


class SameModel(NumpyEstimator):
    """Shares its model with the copy."""

    def with_model_dir(self, path: str) -> NumpyEstimator:
        """Returns the copy."""
        copy = super().with_model_dir(path)
        copy._engine = fresh_engine(copy)
        copy._engine.model = self._restored_engine().model
        return copy


class FirstBatch(NumpyEstimator):
    """Predicts the first batch."""

    def predict(self, input_fn: InputFn, checkpoint_path: str | None = None) -> Iterator[float]:
        """Yields predictions."""
        yield from islice(super().predict(input_fn, checkpoint_path), 32)


class Jittering(NumpyEstimator):
    """Predicts something else each time."""

    _calls = 0

    def predict(self, input_fn: InputFn, checkpoint_path: str | None = None) -> Iterator[float]:
        """Yields predictions."""
        self._calls += 1
        for prediction in super().predict(input_fn, checkpoint_path):
            yield prediction + self._calls


class LatestPrediction(NumpyEstimator):
    """Predicts with the latest whatever is asked for."""

    def predict(self, input_fn: InputFn, checkpoint_path: str | None = None) -> Iterator[float]:
        """Yields predictions."""
        return super().predict(input_fn)


OPTIONAL = (
    mutant(51, "lists checkpoints by name", ByName),
    mutant(51, "lists the newest first", NewestFirst),
    mutant(52, "gives the latest model always", LatestModel),
    mutant(53, "cannot evaluate inside restored", Occupied),
    mutant(54, "keeps errors inside restored", Calming),
    mutant(54, "leaves the training at another checkpoint", LeftBehind),
    mutant(55, "puts weights back only without an error", Careless),
    mutant(56, "copies into its own directory", SamePlace),
    mutant(56, "copies its checkpoints as well", WithCheckpoints),
    mutant(57, "shares its model with the copy", SameModel),
    mutant(58, "predicts the first batch", FirstBatch),
    mutant(58, "predicts something else each time", Jittering),
    mutant(59, "predicts with the latest always", LatestPrediction),
)
