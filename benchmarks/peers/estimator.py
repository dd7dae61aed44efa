"""tf.estimator of TensorFlow 2.15, in an environment of its own."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from benchmarks import data, models
from benchmarks.case import Case
from benchmarks.peers.loops import CYCLE, KEPT
from benchmarks.peers.session import Place, Sessions

_WARM = 20  # steps before the clock starts


def make(case: Case, folder: str | None, **config: Any) -> Any:
    """Returns an estimator over a model function; no summaries, no log lines."""
    import tensorflow as tf

    settings = {"save_summary_steps": None, "log_step_count_steps": None, "tf_random_seed": 1, **config}
    return tf.estimator.Estimator(
        _model_fn, folder, tf.estimator.RunConfig(**settings), {"model": case.model, "jit": case.jit}
    )


def _model_fn(features: Any, labels: Any, mode: str, params: Any) -> Any:
    import tensorflow as tf

    training = mode == tf.estimator.ModeKeys.TRAIN
    network = models.network(params["model"])
    losses = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function(jit_compile=params["jit"] or None)
    def computed(x: Any, y: Any) -> Any:
        logits = network(x, training=training)
        loss = losses(y, logits)
        return logits, loss, tf.gradients(loss, network.trainable_weights) if training else []

    if mode == tf.estimator.ModeKeys.PREDICT:
        logits = network(features["x"])
        outputs = {"serving_default": tf.estimator.export.PredictOutput({"logits": logits})}
        return tf.estimator.EstimatorSpec(mode, predictions={"logits": logits}, export_outputs=outputs)
    logits, loss, gradients = computed(features, labels)
    if not training:
        accuracy = tf.compat.v1.metrics.accuracy(labels, tf.argmax(logits, -1))
        return tf.estimator.EstimatorSpec(mode, loss=loss, eval_metric_ops={"accuracy": accuracy})
    optimizer = tf.compat.v1.train.AdamOptimizer(1e-3)
    pairs = zip(gradients, network.trainable_weights, strict=True)
    step = tf.compat.v1.train.get_or_create_global_step()
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=optimizer.apply_gradients(pairs, step))


def _watch(first: int, last: int) -> Any:
    """A hook that notes when two of the steps were done; it asks the session for nothing."""
    import tensorflow as tf

    class Watch(tf.estimator.SessionRunHook):
        def __init__(self) -> None:
            self._done = 0
            self.at: dict[int, float] = {}

        def after_run(self, run_context: Any, run_values: Any) -> None:
            self._done += 1
            if self._done in (first, last):
                self.at[self._done] = time.perf_counter()

        @property
        def secs(self) -> float:
            return self.at[last] - self.at[first]

    return Watch()


class Steady:
    """Trains by ``train``; building the graph is not counted, and nothing is saved."""

    def __init__(self, case: Case, place: Place) -> None:
        self._estimator = make(case, None, save_checkpoints_secs=None)
        self._input_fn = lambda: data.training(case, place.data)

    def first(self) -> float:
        """Makes one step."""
        self._estimator.train(self._input_fn, steps=1)
        return time.time()

    def round(self, units: int) -> float:
        """Makes so many steps."""
        watch = _watch(_WARM, _WARM + units)
        self._estimator.train(self._input_fn, steps=_WARM + units, hooks=[watch])
        return watch.secs


class Interleaved:
    """Cycles by ``train_and_evaluate``, from the end of an evaluation to the end of a later one."""

    def __init__(self, case: Case, place: Place) -> None:
        self._estimator = make(case, place.own, save_checkpoints_steps=CYCLE, keep_checkpoint_max=KEPT)
        self._train = lambda: data.training(case, place.data)
        self._evaluate = lambda: data.evaluation(case, place.data)
        self._step = 0

    def first(self) -> float:
        """Makes no cycle: what comes before the first evaluation of a round is not counted anyway."""
        return time.time()

    def round(self, units: int) -> float:
        """Makes one cycle more than it counts."""
        import tensorflow as tf

        ends: list[float] = []

        class Watch(tf.estimator.SessionRunHook):
            def end(self, session: Any) -> None:
                ends.append(time.perf_counter())

        self._step += CYCLE * (units + 1)
        tf.estimator.train_and_evaluate(
            self._estimator,
            tf.estimator.TrainSpec(self._train, max_steps=self._step),
            tf.estimator.EvalSpec(
                self._evaluate, data.EVAL_BATCHES, hooks=[Watch()], start_delay_secs=0, throttle_secs=0
            ),
        )
        return (ends[-1] - ends[0]) * units / (len(ends) - 1)


class InterleavedByCalls:
    """Cycles by ``train`` and ``evaluate``, as the Experiment of 2017 made them; each builds its graph.

    Args:
        as_taught: whether as its tutorials write it: the data are arrays, which each graph has a copy of, and
            summaries and log lines are at their defaults.
    """

    def __init__(self, case: Case, place: Place, *, as_taught: bool = False) -> None:
        defaults = {"save_summary_steps": 100, "log_step_count_steps": 100} if as_taught else {}
        config = {"save_checkpoints_secs": 600, "keep_checkpoint_max": KEPT, **defaults}
        self._estimator = make(case, place.own, **config)
        training = data.training_arrays if as_taught else data.training
        evaluation = data.evaluation_arrays if as_taught else data.evaluation
        self._train = lambda: training(case, place.data)
        self._evaluate = lambda: evaluation(case, place.data)

    def first(self) -> float:
        """Makes one cycle."""
        self.round(1)
        return time.time()

    def round(self, units: int) -> float:
        """Makes so many cycles."""
        start = time.perf_counter()
        for _ in range(units):
            self._estimator.train(self._train, steps=CYCLE)
            self._estimator.evaluate(self._evaluate, steps=data.EVAL_BATCHES)
        return time.perf_counter() - start


class Export:
    """Writes SavedModels of the latest checkpoint by ``export_saved_model``."""

    def __init__(self, case: Case, place: Place) -> None:
        import tensorflow as tf

        self._estimator = make(case, place.own)
        self._input_fn = lambda: data.training(case, place.data)
        self._folder = place.own

        def receiver() -> Any:
            x = tf.compat.v1.placeholder(tf.float32, (None, *data.SHAPES[case.model]), "x")
            return tf.estimator.export.ServingInputReceiver({"x": x}, {"x": x})

        self._receiver = receiver

    def first(self) -> float:
        """Trains, so that there is a checkpoint, and exports once."""
        self._estimator.train(self._input_fn, steps=1)
        self.round(1)
        return time.time()

    def round(self, units: int) -> float:
        """Exports so many times."""
        start = time.perf_counter()
        for _ in range(units):
            self._estimator.export_saved_model(f"{self._folder}/export", self._receiver)
        return time.perf_counter() - start


SESSIONS: Sessions = {
    ("steady", "tf.estimator"): Steady,
    ("interleaved", "tf.estimator"): Interleaved,
    ("interleaved", "tf.estimator, by calls"): InterleavedByCalls,
    ("interleaved", "tf.estimator, as taught"): partial(InterleavedByCalls, as_taught=True),
    ("export", "tf.estimator"): Export,
}
