"""The loops that one writes by hand: the limit that the others are measured against."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks import data, models
from benchmarks.case import Case
from benchmarks.peers.session import Place, Sessions

CYCLE = 100  # steps of a cycle of the interleaved job
KEPT = 5  # checkpoints


def bare_step(model: Any) -> Callable[[Any], Any]:
    """A training step without metrics."""
    import tensorflow as tf

    variables = model.trainable_variables

    def step(batch: Any) -> Any:
        x, y = batch
        with tf.GradientTape() as tape:
            loss = model.loss(y, model(x, training=True))
        model.optimizer.apply(tape.gradient(loss, variables), variables)
        return {"loss": loss}

    return step


def fused(step: Callable[[Any], Any], jit: bool) -> Any:
    """Many steps in one call."""
    import tensorflow as tf

    compiled = tf.function(step, jit_compile=jit or None)

    @tf.function
    def loop(iterator: Any, n: Any) -> None:
        for _ in tf.range(n):
            compiled(next(iterator))

    return loop


def reading_ahead(step: Callable[[Any], Any], jit: bool) -> Any:
    """Many steps in one call, each beside the reading of the batch that comes next."""
    import tensorflow as tf

    compiled = tf.function(step, jit_compile=jit or None)

    @tf.function
    def loop(iterator: Any, n: Any) -> None:
        batch = next(iterator)
        for _ in tf.range(n - 1):  # so that no batch is taken that is not used
            following = next(iterator)
            compiled(batch)
            batch = following
        compiled(batch)

    return loop


def unfused(step: Callable[[Any], Any], jit: bool) -> Any:
    """One step in a call; the batch is taken inside of it, which is faster than outside."""
    import tensorflow as tf

    compiled = tf.function(step, jit_compile=jit or None)

    @tf.function
    def once(iterator: Any) -> None:
        compiled(next(iterator))

    def loop(iterator: Any, n: Any) -> None:
        for _ in range(int(n)):
            once(iterator)

    return loop


class Steady:
    """Trains on and on.

    Args:
        metrics: whether the step is Keras's ``train_step``, which keeps the training metrics, or a bare one.
        build: ``fused``, ``reading_ahead`` or ``unfused``.
    """

    def __init__(self, case: Case, place: Place, *, metrics: bool, build: Callable[..., Any]) -> None:
        self._model = models.compiled(case)
        self._iterator = iter(data.training(case, place.data))
        self._model.optimizer.build(self._model.trainable_variables)
        self._loop = build(self._model.train_step if metrics else bare_step(self._model), case.jit)

    def first(self) -> float:
        """Makes one step."""
        self.round(1)
        return time.time()

    def round(self, units: int) -> float:
        """Makes so many steps."""
        import tensorflow as tf

        start = time.perf_counter()
        self._loop(self._iterator, tf.constant(units))
        int(self._model.optimizer.iterations)
        return time.perf_counter() - start


class Interleaved:
    """Cycles of steps, an evaluation and a checkpoint of model, optimizer, step and perhaps the iterator.

    Args:
        position: whether the iterator is in the checkpoint.
        source: the function of ``data`` that gives the training data.
    """

    def __init__(
        self, case: Case, place: Place, *, position: bool, source: Callable[..., Any] = data.training
    ) -> None:
        import tensorflow as tf

        self._model = models.compiled(case)
        self._model.optimizer.build(self._model.trainable_variables)
        self._iterator = iter(source(case, place.data))
        self._evaluation = data.evaluation(case, place.data)
        self._train = reading_ahead(self._model.train_step, case.jit)
        self._test = reading_ahead(self._model.test_step, case.jit)
        self._step = tf.Variable(0, dtype=tf.int64)
        parts = {"model": self._model, "optimizer": self._model.optimizer, "step": self._step}
        if position:
            parts["iterator"] = self._iterator
        self._manager = tf.train.CheckpointManager(tf.train.Checkpoint(**parts), place.own, max_to_keep=KEPT)

    def first(self) -> float:
        """Makes one cycle, which also writes for the first time."""
        self._cycle()
        return time.time()

    def round(self, units: int) -> float:
        """Makes so many cycles."""
        start = time.perf_counter()
        for _ in range(units):
            self._cycle()
        return time.perf_counter() - start

    def _cycle(self) -> dict[str, float]:
        import tensorflow as tf

        self._model.reset_metrics()
        self._train(self._iterator, tf.constant(CYCLE))
        self._step.assign_add(CYCLE)
        self._model.reset_metrics()
        self._test(iter(self._evaluation), tf.constant(data.EVAL_BATCHES))
        result = {name: float(value) for name, value in self._model.get_metrics_result().items()}
        self._manager.save(checkpoint_number=int(self._step))
        return result


class Restore:
    """Brings two checkpoints of model and optimizer into the variables, in turn."""

    def __init__(self, case: Case, place: Place) -> None:
        import tensorflow as tf

        self._model = models.compiled(case)
        self._model.optimizer.build(self._model.trainable_variables)
        self._checkpoint = tf.train.Checkpoint(model=self._model, optimizer=self._model.optimizer)
        self._paths = [self._checkpoint.save(f"{place.own}/{name}") for name in "ab"]

    def first(self) -> float:
        """Restores once."""
        self.round(1)
        return time.time()

    def round(self, units: int) -> float:
        """Restores so many times."""
        start = time.perf_counter()
        for n in range(units):
            self._checkpoint.restore(self._paths[n % 2]).assert_consumed()
        return time.perf_counter() - start


class Export:
    """Writes SavedModels of the live model by a function of model and path."""

    def __init__(self, case: Case, place: Place, *, write: Callable[[Any, str], Any]) -> None:
        self._model, self._folder, self._write = models.compiled(case), place.own, write
        self._count = 0

    def first(self) -> float:
        """Exports once."""
        self.round(1)
        return time.time()

    def round(self, units: int) -> float:
        """Exports so many times."""
        start = time.perf_counter()
        for _ in range(units):
            self._count += 1
            self._write(self._model, f"{self._folder}/{self._count}")
        return time.perf_counter() - start


def _keras_export(model: Any, path: str) -> None:
    model.export(path, verbose=False)


def _tensorflow_export(model: Any, path: str) -> None:
    import tensorflow as tf

    tf.saved_model.save(model, path)


SESSIONS: Sessions = {
    ("steady", "loop, fused, metrics"): partial(Steady, metrics=True, build=fused),
    ("steady", "loop, fused, metrics, reading ahead"): partial(Steady, metrics=True, build=reading_ahead),
    ("steady", "loop, fused, bare"): partial(Steady, metrics=False, build=fused),
    ("steady", "loop, unfused, metrics"): partial(Steady, metrics=True, build=unfused),
    ("steady", "loop, unfused, bare"): partial(Steady, metrics=False, build=unfused),
    ("interleaved", "loop, position saved"): partial(Interleaved, position=True),
    ("interleaved", "loop"): partial(Interleaved, position=False),
    ("interleaved", "loop, position saved, indexed input"): partial(
        Interleaved, position=True, source=data.indexed
    ),
    ("restore", "tf.train.Checkpoint"): Restore,
    ("export", "model.export"): partial(Export, write=_keras_export),
    ("export", "tf.saved_model.save"): partial(Export, write=_tensorflow_export),
}
