"""A Keras model as one of several replicas, which together make the steps of one device on whole batches."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from expcore.errors import InvalidArgument, listing, one_line
from expcore_plugins.estimators.engine.calls import named_logs
from expcore_plugins.estimators.engine.devices import Devices, name_of, parts_of
from expcore_plugins.estimators.engine.lineage import Lineage
from expcore_plugins.estimators.engine.replicas import Rows
from expcore_plugins.estimators.engine.terms import NoTerms
from expcore_plugins.estimators.engine.workers import Workers, summed
from expcore_plugins.estimators.keras import mended, normalization, statistics
from expcore_plugins.estimators.keras.beforehand import make_variables
from expcore_plugins.estimators.keras.part import Part, part_is
from expcore_plugins.estimators.keras.places import check_not_stateful
from expcore_plugins.estimators.keras.tallies import check_tallied, names_of
from expcore_plugins.estimators.keras.trainable import KerasTrainable, optimizers

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
        self._from_metrics: dict[str, Any] = {}  # None: the model gives it by this name
        self._left_out: set[str] = set()
        mended.check_supported(model)
        check_not_stateful(model)
        if model.jit_compile:
            _LOG.warning(
                "model %r: jit_compile is not used where several replicas train together, since XLA cannot "
                "reach the others",
                model.name,
            )
        normalization.synchronize(model)

    @property
    def jit_compile(self) -> bool:
        """Never: XLA compiles no collectives between processes."""
        return False

    def prepare(self, spec: Any) -> None:
        """Makes all variables beforehand: in the steps of a replica it would be too late."""
        with self._workers.scope():
            make_variables(self.native, super().train_step, spec)
        normalization.synchronize(self.native)  # also what was made only now

    def build(self, config: Any) -> None:
        """Makes on all devices what data would make, also of an optimizer that no step uses."""
        with self._workers.scope():
            super().build(config)

    def train_step(self, batch: Any) -> Any:
        """The model's ``train_step`` on this process's rows."""
        with mended.keras_for(self.native):
            return self._workers.each(self._on_rows, batch)

    def _on_rows(self, batch: Any, rows: Rows) -> Any:
        import tensorflow as tf

        # Tensors of its own: what is counted of the batch outside of the step is none of its rows.
        batch = tf.nest.map_structure(lambda t: tf.identity(t) if isinstance(t, tf.Tensor) else t, batch)
        counters = [
            one for metric in self.native.metrics for v in metric.variables for one in parts_of(v.value)
        ]
        part = Part(
            self.name,
            rows,
            Lineage(batch, counters),
            graph=tf.compat.v1.get_default_graph(),
            own={id(one.handle) for one in counters},
            speaks=rows.replica == 0 or not isinstance(self._workers, Devices),
        )
        with part_is(part):
            logs = dict(named_logs(self._traced(batch, rows)))
            written = part.lineage.written()
            check_tallied(self.native, written)
        self._check_written(part, written)
        left_out = names_of(self.native, part.left_out)
        results = set(self.native.get_metrics_result()) - left_out
        if set(logs) == results | left_out:
            # This replica's own; ``finished`` makes those of all.
            told = {name: logs[name] for name in logs if name in results}
            self._from_metrics = dict.fromkeys(told)
        else:
            told = self._told(part, logs)
        self._say_left_out(set(logs) - set(told))
        return told

    def _traced(self, batch: Any, rows: Rows) -> Any:
        try:
            return super().train_step(batch)
        except RuntimeError as error:
            if "merge_call" in str(error):
                raise InvalidArgument(
                    f"model {self.name!r}: its step adds up over the replicas, as gradients are, within a "
                    "tf.function of its own; take that decorator off, the whole step is compiled anyway"
                ) from error
            raise
        except (TypeError, ValueError) as error:
            if isinstance(rows.total, int) and re.search("None ?(values|Type)", str(error)):
                raise InvalidArgument(
                    f"model {self.name!r}: its step takes the number of rows for a constant "
                    f"({one_line(error)}), of which each replica has a part; ask for tf.shape(x)[0], not for "
                    "x.shape[0]"
                ) from error
            raise

    def _say_left_out(self, names: set[str]) -> None:
        if names - self._left_out:
            _LOG.warning(
                "model %r: %s of training steps left out, which replicas that have a part of the batch each "
                "cannot tell: neither a sum nor a mean over the examples; evaluations compute metrics of the "
                "whole data",
                self.name,
                listing(sorted(names)),
            )
        self._left_out |= names

    def _told(self, part: Part, logs: Mapping[str, Any]) -> dict[str, Any]:
        """What a step of the model's own returns: sums over the replicas, or their metrics."""
        import tensorflow as tf

        told: dict[str, Any] = {}
        self._from_metrics = {}
        for name, value in logs.items():
            metric, _ = part.results.get(id(value), (None, None))
            if metric is not None:
                if all(metric is not other for other in part.left_out):
                    told[name], self._from_metrics[name] = value, metric
                continue
            number = tf.convert_to_tensor(value)
            if not number.dtype.is_floating:
                number = tf.cast(number, tf.float32)
            try:
                told[name] = summed(part.terms.part(number))
            except NoTerms:
                continue  # which is said
        return told

    def _check_written(self, part: Part, written: list[Any]) -> None:
        """Looks at what each replica writes to variables of its own rows: to weights it must not."""
        alike = [*self.native.trainable_variables, *(v for o in optimizers(self.native) for v in o.variables)]
        weights = {id(part.own_of(v).handle): v.path for v in alike}
        for handle in written:
            if (path := weights.get(id(handle))) is not None:
                raise InvalidArgument(
                    f"model {self.name!r}: its step gives the variable {path!r} a value that hangs on the "
                    "rows of one replica, or on numbers that it draws, so that the replicas would have "
                    "different weights; change weights by what tf.GradientTape.gradient gives and by what is "
                    "the same everywhere, or train in one process"
                )
            if id(handle) not in part.own and _is_of_this_replica(handle):
                name = name_of(handle)
                part.tell(
                    f"{id(handle)} is kept",
                    f"its step gives the variable {name!r} a value that hangs on the rows of one replica: "
                    "each has its own, of which one or the mean is saved; what is to be the whole batch's "
                    "must be a weight of a layer (add_weight) whose own assign() is called, not in a "
                    "tf.function, tf.cond or loop",
                )

    def apart(self) -> AbstractContextManager[None]:
        """A context in which every variable is that of the first device alone, as if there were no other."""
        return mended.variables_of_one(self.native)

    def finished(self, names: Iterable[str], logs: list[Any]) -> list[Any]:
        """The metrics over what all processes have seen, where the steps give metrics.

        What layers keep of their own rows becomes the mean of all replicas here.
        """
        import keras

        self._workers.average([v.value for v in statistics.averaged(self.native)])
        if not self._from_metrics:
            return logs
        variables = [v for metric in self.native.metrics for v in metric.variables]
        totals = self._workers.summed([v.value for v in variables])
        with keras.StatelessScope(state_mapping=list(zip(variables, totals, strict=True))):
            results = self.native.get_metrics_result()
            given = {
                name: metric.result() for name, metric in self._from_metrics.items() if metric is not None
            }
        told = zip(names, logs, strict=True)
        return [
            given.get(name, results.get(name)) if name in self._from_metrics else log for name, log in told
        ]


def _is_of_this_replica(handle: Any) -> bool:
    """Whether a variable is on the device whose step is traced: the graph has the steps of all."""
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if len(context.strategy.extended.worker_devices) == 1:
        return True
    (here,) = tf.nest.flatten(context.devices)
    return bool(here.rpartition("device:")[2] == handle.device.rpartition("device:")[2])
