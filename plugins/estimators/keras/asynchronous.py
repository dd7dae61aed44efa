"""A Keras model that workers train on parameter servers, each when it can."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

from expcore.errors import InvalidArgument, listing
from expcore_plugins.estimators.keras.beforehand import make_variables
from expcore_plugins.estimators.keras.changes import changed
from expcore_plugins.estimators.keras.places import check_not_stateful
from expcore_plugins.estimators.keras.tallies import leaves, names_of
from expcore_plugins.estimators.keras.trainable import KerasTrainable, optimizers

_LOG = logging.getLogger(__name__)


class KerasAsynchronous(KerasTrainable):
    """A model whose variables are on parameter servers (``engine.trainable.Asynchronous``).

    Keras adds to a counter by reading it and writing the sum, between which another worker may write. So the
    optimizer's count of steps and the sums of metrics are added to where they are; metrics that cannot be
    kept so are left out of training.

    Args:
        model: the model.
        class_weight: weight of each class in the training loss; None: all weigh the same.

    Raises:
        InvalidArgument: the optimizer or a layer (``stateful=True``) keeps what several workers would
            overwrite, or the model runs eagerly.
    """

    def __init__(self, model: Any, class_weight: Mapping[int, float] | None) -> None:
        import keras

        super().__init__(model, class_weight)
        check_not_stateful(model)
        for optimizer in optimizers(model):
            _check_optimizer(optimizer)
        if model.run_eagerly:
            raise InvalidArgument(
                f"model {model.name!r} is compiled with run_eagerly=True, which workers cannot run; look "
                "into its steps in a single process"
            )
        if model.jit_compile:
            _LOG.warning("model %r: jit_compile is not used with parameter servers", model.name)
        self._left_out: list[Any] = []
        self._names: set[str] = set()
        self._added = (keras.metrics.Mean, keras.metrics.Sum)

    @property
    def jit_compile(self) -> bool:
        """Never: a step reads and writes variables of other machines."""
        return False

    def prepare(self, spec: Any) -> None:
        """Makes all variables, and looks which metrics can be kept."""
        make_variables(self.native, super().train_step, spec)
        every = [m for metric in self.native.metrics for m in leaves(metric)]
        self._left_out = [m for m in every if m.variables and not isinstance(m, self._added)]
        self._names = names_of(self.native, self._left_out)
        if self._left_out:
            _LOG.warning(
                "metrics %s are left out of training: workers would overwrite each other's counts; they are "
                "computed in evaluations",
                listing(sorted(self._names)),
            )

    def train_step(self, batch: Any) -> Any:
        """The model's ``train_step``, in which counters are added to."""
        with ExitStack() as stack:
            change = partial(changed, stack)
            for metric in self._left_out:
                change(metric, "update_state", lambda _: _nothing)
            counters = [v for metric in self.native.metrics for v in metric.variables]
            for variable in [o.iterations for o in optimizers(self.native)] + counters:
                change(variable, "assign_add", lambda _, v=variable: partial(_add, v))
            logs = super().train_step(batch)
        return {k: v for k, v in logs.items() if k not in self._names} if isinstance(logs, Mapping) else logs

    def metrics(self) -> Mapping[str, Any]:
        """The training metrics of now, without those that are left out."""
        return {k: v for k, v in self.native.get_metrics_result().items() if k not in self._names}


def _check_optimizer(optimizer: Any) -> None:
    import keras

    if optimizer.gradient_accumulation_steps:
        raise InvalidArgument(
            f"optimizer {optimizer.name!r}: gradient_accumulation_steps="
            f"{optimizer.gradient_accumulation_steps} with parameter servers: workers would overwrite each "
            "other's sums; leave it out, and use larger batches"
        )
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        raise InvalidArgument(
            f"optimizer {optimizer.name!r}: a LossScaleOptimizer with parameter servers: workers would "
            "overwrite each other's scale; use bfloat16, which needs none"
        )


def _add(variable: Any, value: Any) -> Any:
    import tensorflow as tf

    return variable.value.assign_add(tf.cast(value, variable.dtype))


def _nothing(*_: Any, **__: Any) -> None:
    """What a metric that is left out does."""
