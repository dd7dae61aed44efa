"""The estimators of the exporters' clauses: one that lends its live model, and a watch on any of them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from expcore.errors import CheckpointCorrupt
from expcore.testing.numpy_estimator import LinearModel, NumpyEstimator

GIVES_THE_MODEL = ("restored", "export_saved_model", "predict", "evaluate")
"""Methods of an estimator from which something can be exported; all name ``checkpoint_path``."""


class LendingEstimator(NumpyEstimator):
    """A NumPy estimator that lends the model it trains, as those with large models do."""

    @contextmanager
    def restored(self, checkpoint_path: str | None = None) -> Iterator[LinearModel]:
        """Gives the model in training with a checkpoint's weights; its own are put back afterwards."""
        wanted, _ = self._model_of(checkpoint_path)
        live = self._restored_engine().model
        kept, live.weights = live.weights, wanted.weights
        try:
            yield live
        finally:
            live.weights = kept


class Watch:
    """Sees what an estimator is asked for, and fails where it is told to.

    Args:
        estimator: watched from now on; it stays the object that it was.

    Attributes:
        asked: the checkpoint path of each call that gives the model, as it was given; None for the latest.
        changed: for each lent model that came back otherwise than it was given, what was changed.
        broken: True: nothing can be read.
        failing: True: an error comes up when the model is given back.
        meanwhile: called once before each of the next moments: the model is given, it is given back.
    """

    def __init__(self, estimator: Any) -> None:
        self.asked: list[Any] = []
        self.changed: list[str] = []
        self.broken = self.failing = False
        self.meanwhile: list[Callable[[], None]] = []
        for name in GIVES_THE_MODEL:
            method = getattr(estimator, name, None)
            if callable(method):
                setattr(estimator, name, self._watched(name, method))

    def _watched(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(method)

        @functools.wraps(method)
        def watched(*args: Any, **given: Any) -> Any:
            self.asked.append(signature.bind(*args, **given).arguments.get("checkpoint_path"))
            if self.broken:
                raise CheckpointCorrupt(f"checkpoint {self.asked[-1]}: made unreadable by this clause")
            if name == "restored":
                return self._lent(method(*args, **given))
            self._moment()
            result = method(*args, **given)
            self._moment()
            self._fail()
            return result

        return watched

    @contextmanager
    def _lent(self, context: AbstractContextManager[Any]) -> Iterator[Any]:
        with context as model:
            before = fingerprint(model)
            self._moment()
            yield model
            after = fingerprint(model)
            self.changed += [f"{part} of the model" for part in before if before[part] != after.get(part)]
            self._moment()
        self._fail()

    def _moment(self) -> None:
        if self.meanwhile:
            self.meanwhile.pop(0)()

    def _fail(self) -> None:
        if self.failing:
            raise RuntimeError("made to fail by this clause after the model was used")


def fingerprint(model: Any) -> dict[str, Any]:
    """Returns what can be seen of a native model: weights, how many are trained; or its attributes."""
    found: dict[str, Any] = {}
    values = getattr(model, "weights", None)
    if callable(getattr(model, "get_weights", None)):
        values = model.get_weights()
    elif callable(getattr(model, "state_dict", None)):
        values = list(model.state_dict().values())
    if values is not None:
        found["weights"] = [_array(v) for v in (values if isinstance(values, list | tuple) else [values])]
    else:
        known = getattr(model, "__dict__", {}).items()
        found.update({name: _array(v) for name, v in known if hasattr(v, "__array__")})
        found.update({name: v for name, v in known if isinstance(v, str | int | float)})
    if isinstance(getattr(model, "trainable_weights", None), list):
        found["number of trainable weights"] = len(model.trainable_weights)
    return found


def _array(value: Any) -> tuple[Any, ...]:
    import numpy as np

    array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    return array.shape, str(array.dtype), array.tobytes()
