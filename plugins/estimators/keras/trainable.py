"""A compiled Keras model in the engine's hands."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any

from expcore.errors import InvalidInput
from expcore_plugins.estimators.engine.trainable import MODEL, OPTIMIZER, Named, named


class KerasTrainable:
    """Steps, variables and metrics of a compiled ``keras.Model`` (``engine.trainable.Trainable``).

    Args:
        model: the model.
        class_weight: weight of each class in the training loss; None: all weigh the same.
    """

    def __init__(self, model: Any, class_weight: Mapping[int, float] | None = None) -> None:
        self.native, self.name = model, model.name
        self._class_weight = class_weight

    @property
    def jit_compile(self) -> bool:
        """As given to ``compile``."""
        return bool(self.native.jit_compile)

    @property
    def run_eagerly(self) -> bool:
        """As given to ``compile``."""
        return bool(self.native.run_eagerly)

    def train_step(self, batch: Any) -> Any:
        """The model's ``train_step``."""
        batch = _present(batch)
        if self._class_weight is not None:
            batch = _weighted(batch, self._class_weight)
        return self._reported("train_step", self.native.train_step(batch))

    def test_step(self, batch: Any) -> Any:
        """The model's ``test_step``."""
        return self._reported("test_step", self.native.test_step(_present(batch)))

    def _reported(self, step: str, logs: Any) -> Any:
        """What ``fit`` and ``evaluate`` report of what a step of the model's own returned.

        Where it returned the names of the model's metrics, their results count, not what it returned.
        """
        import keras

        if getattr(type(self.native), step) is not getattr(keras.Model, step) and isinstance(logs, Mapping):
            results = self.native.get_metrics_result()
            if set(logs) == set(results):
                return results
        return logs

    def predict_step(self, batch: Any) -> Any:
        """The model's ``predict_step``."""
        return self.native.predict_step(_present(batch))

    def apart(self) -> AbstractContextManager[None]:
        """An empty context: the variables are nobody else's."""
        return nullcontext()

    def reset_metrics(self) -> None:
        """Begins the metrics anew."""
        self.native.reset_metrics()

    def section(self, name: str) -> Sequence[Named]:
        """The model's variables with seed generators' states, its optimizers', or its metrics'."""
        model = self.native
        if name == MODEL:
            return named(model.variables)
        if name == OPTIMIZER:
            return named(v for optimizer in optimizers(model) for v in optimizer.variables)
        return named(v for metric in model.metrics for v in metric.variables)

    def prepare(self, spec: Any) -> None:
        """Looks at a batch of zeros in inference, which makes layers and metrics; builds the optimizer."""
        import keras
        import tensorflow as tf

        model = self.native
        x, y, weights = keras.utils.unpack_x_y_sample_weight(tf.nest.map_structure(_zeros, spec))
        predicted = model(x, training=False)
        if y is not None:
            model.compute_loss(x, y, predicted, weights)
            model.compute_metrics(x, y, predicted, weights)
            model.reset_metrics()
        self.build(None)

    def build(self, config: Any) -> None:
        """Makes the variables of model and optimizer where data would make them."""
        model = self.native
        if not model.built and config:
            model.build_from_config(config)
        optimizer = getattr(model, "optimizer", None)
        if model.variables and optimizer is not None and not optimizer.built:
            optimizer.build(model.trainable_variables)

    def build_config(self) -> Any:
        """How to build the model without data; None where that cannot be said in JSON."""
        try:
            return json.loads(json.dumps(self.native.get_build_config()))
        except (TypeError, ValueError):
            return None

    @cached_property
    def averages(self) -> bool:
        """Whether the optimizer was made with ``use_ema=True``; of several the one given to ``compile``."""
        optimizer = getattr(self.native, "optimizer", None)
        return optimizer is not None and _uses_averages(optimizer.get_config())

    def use_averages(self) -> None:
        """Does what ``fit`` does at its end: writes the averages over the trainable weights."""
        self.native.optimizer.finalize_variable_values(self.native.trainable_weights)


def _present(batch: Any) -> Any:
    """A batch whose parts that are not there are None, as ``fit`` gives it to a step."""
    import keras
    import tensorflow as tf

    return keras.tree.map_structure(
        lambda part: None if isinstance(part, tf.experimental.Optional) else part, batch
    )


def _zeros(spec: Any) -> Any:
    import tensorflow as tf

    return tf.zeros([size or 1 for size in spec.shape], spec.dtype)


def _uses_averages(config: Any) -> bool:
    """Whether the config of an optimizer, or of one inside of it, asks for averages."""
    if isinstance(config, Mapping):
        return bool(config.get("use_ema")) or any(map(_uses_averages, config.values()))
    return isinstance(config, (list, tuple)) and any(map(_uses_averages, config))


def optimizers(model: Any) -> list[Any]:
    """Returns the model's optimizer, then those of a model with several: attributes by name, or in one."""
    import keras

    found = [model.optimizer] if getattr(model, "optimizer", None) is not None else []
    for _, value in sorted(vars(model).items()):
        inside = list(value.values()) if isinstance(value, Mapping) else value
        for one in inside if isinstance(inside, (list, tuple)) else [value]:
            if isinstance(one, keras.optimizers.Optimizer) and all(one is not other for other in found):
                found.append(one)
    return found


def _weighted(batch: Any, weights: Mapping[int, float]) -> Any:
    """A batch with the weight of each example's class as its sample weight, as ``fit`` does it."""
    import keras
    import tensorflow as tf

    x, y, given = keras.utils.unpack_x_y_sample_weight(batch)
    if given is not None:
        raise InvalidInput(
            "class_weight: the batches have sample weights of their own; give one of them, or multiply the "
            "class weights into the sample weights"
        )
    if not tf.is_tensor(y):
        raise InvalidInput(
            f"class_weight: the labels are {type(y).__name__}; class weights need a single tensor of labels, "
            "give sample weights instead"
        )
    if y.shape.rank is not None and y.shape.rank >= 2:
        # The width of labels may be known only when they come.
        classes = tf.cond(
            tf.shape(y)[-1] > 1,
            lambda: tf.argmax(y, -1, tf.int32),
            lambda: tf.cast(tf.round(tf.cast(y[..., 0], tf.float32)), tf.int32),
        )
    else:
        classes = tf.cast(tf.round(tf.cast(y, tf.float32)), tf.int32)
    last = max(weights)
    table = tf.constant([float(weights.get(i, 1.0)) for i in range(last + 1)] + [1.0])
    return x, y, tf.gather(table, tf.where((classes < 0) | (classes > last), last + 1, classes))
