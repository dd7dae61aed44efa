"""orbit, TensorFlow's own training loop library, at its fastest options."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from benchmarks import data, models
from benchmarks.case import Case
from benchmarks.peers.loops import CYCLE, KEPT
from benchmarks.peers.session import Place, Sessions


def trainer_of(model: Any, dataset: Any, step: Any, jit: bool) -> Any:
    """A trainer over Keras's ``train_step``, in orbit's compiled loop."""
    import orbit
    import tensorflow as tf

    compiled = tf.function(model.train_step, jit_compile=jit or None)

    class Trainer(orbit.StandardTrainer):
        def train_loop_begin(self) -> None:
            model.reset_metrics()

        def train_step(self, iterator: Any) -> None:
            compiled(next(iterator))
            step.assign_add(1)

    return Trainer(dataset, orbit.StandardTrainerOptions(use_tf_function=True, use_tf_while_loop=True))


def evaluator_of(model: Any, dataset: Any, jit: bool) -> Any:
    """An evaluator over Keras's ``test_step``, in orbit's compiled loop."""
    import orbit
    import tensorflow as tf

    compiled = tf.function(model.test_step, jit_compile=jit or None)

    class Evaluator(orbit.StandardEvaluator):
        def eval_begin(self) -> None:
            model.reset_metrics()

        def eval_step(self, iterator: Any) -> None:
            compiled(next(iterator))

        def eval_end(self) -> Any:
            return model.get_metrics_result()

    return Evaluator(dataset, orbit.StandardEvaluatorOptions(use_tf_function=True, use_tf_while_loop=True))


class Steady:
    """Trains by a Controller, in inner loops as long as it may."""

    def __init__(self, case: Case, place: Place) -> None:
        import orbit

        model = models.compiled(case)
        model.optimizer.build(model.trainable_variables)
        self._step = orbit.utils.create_global_step()
        self._units = 1
        self._controller = orbit.Controller(
            global_step=self._step,
            trainer=trainer_of(model, data.training(case, place.data), self._step, case.jit),
            steps_per_loop=lambda _: self._units,
        )

    def first(self) -> float:
        """Makes one step."""
        self.round(1)
        return time.time()

    def round(self, units: int) -> float:
        """Makes so many steps."""
        self._units = units
        until = int(self._step) + units
        start = time.perf_counter()
        self._controller.train(until, checkpoint_at_completion=False)
        return time.perf_counter() - start


class Interleaved:
    """Cycles by ``train_and_evaluate``.

    Args:
        position: whether the iterator is in the checkpoint, which orbit leaves to its user.
    """

    def __init__(self, case: Case, place: Place, *, position: bool) -> None:
        import orbit
        import tensorflow as tf

        model = models.compiled(case)
        model.optimizer.build(model.trainable_variables)
        self._step = orbit.utils.create_global_step()
        iterator = iter(data.training(case, place.data))  # orbit asks it for its iterator, which is itself
        trainer = trainer_of(model, iterator, self._step, case.jit)
        parts = {"model": model, "optimizer": model.optimizer, "step": self._step}
        if position:
            parts["iterator"] = iterator
        manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(**parts),
            place.own,
            max_to_keep=KEPT,
            step_counter=self._step,
            checkpoint_interval=CYCLE,
        )
        self._controller = orbit.Controller(
            global_step=self._step,
            trainer=trainer,
            evaluator=evaluator_of(model, data.evaluation(case, place.data), case.jit),
            steps_per_loop=CYCLE,
            checkpoint_manager=manager,
        )

    def first(self) -> float:
        """Makes one cycle."""
        self.round(1)
        return time.time()

    def round(self, units: int) -> float:
        """Makes so many cycles."""
        until = int(self._step) + CYCLE * units
        start = time.perf_counter()
        self._controller.train_and_evaluate(until, eval_steps=data.EVAL_BATCHES, eval_interval=CYCLE)
        return time.perf_counter() - start


SESSIONS: Sessions = {
    ("steady", "orbit"): Steady,
    ("interleaved", "orbit"): partial(Interleaved, position=False),
    ("interleaved", "orbit, position saved"): partial(Interleaved, position=True),
}
