"""A Keras model as one of several replicas, which together make the steps of one device on whole batches."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from expcore_plugins.estimators.engine.devices import Devices
from expcore_plugins.estimators.engine.replicas import Rows
from expcore_plugins.estimators.engine.workers import Workers, summed
from expcore_plugins.estimators.keras import mended
from expcore_plugins.estimators.keras.trainable import KerasTrainable

_LOG = logging.getLogger(__name__)


class KerasReplica(KerasTrainable):
    """The same model in each process of a synchronous cluster (``engine.trainable.Trainable``).

    Every replica computes loss and gradients of its rows of the batch. What one device would make of the
    whole batch comes out of it: losses are divided by what the whole batch has of rows, weights and unmasked
    steps; gradients are added up before they are scaled back, clipped, accumulated and applied; batch
    normalisation uses the statistics of the whole batch; random layers draw numbers of their own on each.

    Args:
        model: the model.
        class_weight: weight of each class in the training loss; None: all weigh the same.
        workers: the processes.
    """

    def __init__(self, model: Any, class_weight: Mapping[int, float] | None, workers: Workers) -> None:
        super().__init__(model, class_weight)
        self._workers = workers
        mended.check_supported(model)
        if model.jit_compile:
            _LOG.warning(
                "model %r: jit_compile is not used where several replicas train together, since XLA cannot "
                "reach the others",
                model.name,
            )
        mended.synchronize_normalization(model)

    @property
    def jit_compile(self) -> bool:
        """Never: XLA compiles no collectives between processes."""
        return False

    def prepare(self, spec: Any) -> None:
        """Makes all variables beforehand: in the steps of a replica it would be too late."""
        import tensorflow as tf

        if isinstance(self._workers, Devices):
            with self._workers.scope():
                super().prepare(spec)
        else:
            tf.function(super().train_step, autograph=False).get_concrete_function(spec)

    def train_step(self, batch: Any) -> Any:
        """The model's ``train_step`` on this process's rows."""
        with mended.keras_for(self.native):
            return self._workers.each(self._on_rows, batch)

    def _on_rows(self, batch: Any, rows: Rows) -> Any:
        import tensorflow as tf

        with mended.rows_are(rows):
            logs = super().train_step(batch)
        if self._are_metrics(logs):
            return logs  # this process's own; ``finished`` makes those of all
        # What a step of the model's own tells: the mean over examples, if it is a mean over this one's.
        return tf.nest.map_structure(lambda v: summed(v * mended.share(rows, v.dtype)), logs)

    def _are_metrics(self, logs: Any) -> bool:
        return isinstance(logs, Mapping) and set(logs) == set(self.native.get_metrics_result())

    def apart(self) -> AbstractContextManager[None]:
        """A context in which every variable is that of the first device alone, as if there were no other."""
        return mended.variables_of_one(self.native)

    def finished(self, names: Iterable[str], logs: list[Any]) -> list[Any]:
        """The metrics over what all processes have seen, where the steps give metrics.

        What layers keep of their own rows becomes the mean of all replicas here.
        """
        import keras

        self._workers.average([v.value for v in mended.statistics(self.native)])
        names = list(names)
        if set(names) != set(self.native.get_metrics_result()):
            return logs
        variables = [v for metric in self.native.metrics for v in metric.variables]
        totals = self._workers.summed([v.value for v in variables])
        with keras.StatelessScope(state_mapping=list(zip(variables, totals, strict=True))):
            results = self.native.get_metrics_result()
        return [results[name] for name in names]
