"""Keras's fit, with the steps_per_execution that it is given."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import Any

from benchmarks import data, models
from benchmarks.case import Case
from benchmarks.peers.loops import CYCLE
from benchmarks.peers.rhythms import RHYTHMS
from benchmarks.peers.session import Place, Sessions


class Steady:
    """Trains by ``fit``; its start is not counted: only the second of two epochs of one call is.

    Args:
        steps: ``steps_per_execution``.
        callbacks: how many callbacks act on the way, each in a rhythm of its own.
        verbose: as for ``fit``.
    """

    def __init__(self, case: Case, place: Place, *, steps: int, callbacks: int = 0, verbose: int = 0) -> None:
        self._model = models.compiled(case, steps_per_execution=steps)
        self._data = data.training(case, place.data)
        self._steps, self._verbose = steps, verbose
        self._callbacks = [_acting(n) for n in RHYTHMS[:callbacks]]

    def first(self) -> float:
        """Makes one compiled call."""
        self._model.fit(self._data, epochs=1, steps_per_epoch=self._steps, verbose=0)
        return time.time()

    def round(self, units: int) -> float:
        """Makes so many steps."""
        watch = _watch(self._steps, units)
        self._model.fit(
            self._data,
            epochs=2,
            steps_per_epoch=watch.steps_per_epoch,
            callbacks=[*self._callbacks, watch],
            verbose=self._verbose,
        )
        return watch.secs


def _watch(warm: int, units: int) -> Any:
    """A callback that times the second epoch; both epochs are as long."""
    import keras

    class Watch(keras.callbacks.Callback):
        steps_per_epoch = max(warm, units)
        secs = 0.0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self._start = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.secs = (time.perf_counter() - self._start) * units / self.steps_per_epoch

    return Watch()


def _acting(every: int) -> Any:
    """A callback that looks at the loss every so many steps."""
    import keras

    class Acting(keras.callbacks.Callback):
        seen: float | None = None

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if (batch + 1) % every == 0:
                self.seen = float(logs["loss"])

    return Acting()


class Interleaved:
    """Cycles in one call of ``fit``: an epoch, its validation, and a ModelCheckpoint of the weights alone.

    Args:
        steps: ``steps_per_execution``.
    """

    def __init__(self, case: Case, place: Place, *, steps: int) -> None:
        self._model = models.compiled(case, steps_per_execution=steps)
        self._training = data.training(case, place.data)
        self._evaluation = data.evaluation(case, place.data)
        self._path = os.path.join(place.own, "{epoch:04d}.weights.h5")

    def first(self) -> float:
        """Makes one cycle."""
        self.round(1)
        return time.time()

    def round(self, units: int) -> float:
        """Makes so many cycles."""
        import keras

        saving = keras.callbacks.ModelCheckpoint(self._path, save_weights_only=True)
        start = time.perf_counter()
        self._model.fit(
            self._training,
            epochs=units,
            steps_per_epoch=CYCLE,
            validation_data=self._evaluation,
            validation_steps=data.EVAL_BATCHES,
            callbacks=[saving],
            verbose=0,
        )
        return time.perf_counter() - start


class Restore:
    """Loads two files of weights in turn; the optimizer's variables are not in them."""

    def __init__(self, case: Case, place: Place) -> None:
        self._model = models.compiled(case)
        self._paths = [os.path.join(place.own, f"{name}.weights.h5") for name in "ab"]
        for path in self._paths:
            self._model.save_weights(path)

    def first(self) -> float:
        """Loads once."""
        self.round(1)
        return time.time()

    def round(self, units: int) -> float:
        """Loads so many times."""
        start = time.perf_counter()
        for n in range(units):
            self._model.load_weights(self._paths[n % 2])
        return time.perf_counter() - start


SESSIONS: Sessions = {
    ("steady", "fit, 1"): partial(Steady, steps=1),
    ("steady", "fit, 10"): partial(Steady, steps=10),
    ("steady", "fit, 100"): partial(Steady, steps=100),
    ("interleaved", "fit, 10"): partial(Interleaved, steps=10),
    ("interleaved", "fit, 50"): partial(Interleaved, steps=50),
    ("interleaved", "fit, 100"): partial(Interleaved, steps=100),
    ("hooks", "fit, 10, no callback"): partial(Steady, steps=10),
    ("hooks", "fit, 10, 10 callbacks"): partial(Steady, steps=10, callbacks=10),
    ("logging", "fit, 10, silent"): partial(Steady, steps=10),
    ("logging", "fit, 10, progress bar"): partial(Steady, steps=10, verbose=1),
    ("restore", "load_weights"): Restore,
}
