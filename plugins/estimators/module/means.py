"""Running means of what steps return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from expcore.calling import describe_type
from expcore.errors import InvalidType
from expcore_plugins.estimators.engine.trainable import Named


class Means:
    """Means over batches, each weighing as many as it has examples.

    The variables are made when a step is traced, since only then the names are known.

    Args:
        kind: "train_step" or "test_step", for messages and names.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._sums: dict[str, Any] = {}
        self._count: Any = None

    def take(self, returned: Any, batch: Any) -> dict[str, Any]:
        """Takes the values of a batch in, and returns the means so far.

        Raises:
            InvalidType: ``returned`` is not a mapping of names to scalars, or one scalar.
        """
        import tensorflow as tf

        values = self._values(returned)
        weight = tf.cast(_examples(batch), tf.float64)
        with tf.init_scope():
            if self._count is None:
                self._count = tf.Variable(0.0, dtype=tf.float64, trainable=False, name=f"{self._kind}/count")
            for name in values:
                if name not in self._sums:
                    self._sums[name] = tf.Variable(
                        0.0, dtype=tf.float64, trainable=False, name=f"{self._kind}/{name}"
                    )
        self._count.assign_add(weight)
        means = {}
        for name, value in values.items():
            self._sums[name].assign_add(weight * tf.cast(value, tf.float64))
            means[name] = tf.math.divide_no_nan(self._sums[name].read_value(), self._count.read_value())
        return means

    def _values(self, returned: Any) -> dict[str, Any]:
        import tensorflow as tf

        named = returned if isinstance(returned, Mapping) else {} if returned is None else {"loss": returned}
        values = {}
        for name, value in named.items():
            try:
                tensor = tf.convert_to_tensor(value)
            except (TypeError, ValueError):
                tensor = None
            number = tensor is not None and (
                tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_bool
            )
            if not number or tensor.shape.rank not in (0, None) or not isinstance(name, str):
                what = f"{tensor.dtype.name}{list(tensor.shape)}" if number else describe_type(type(value))
                raise InvalidType(
                    f"{self._kind}: it returned {name!r} of {what}; return a mapping of names to scalars, or "
                    "one scalar, the loss"
                )
            values[name] = tensor
        return values

    def reset(self) -> None:
        """Begins anew."""
        for named in self.variables:
            named.variable.assign(0.0)

    @property
    def variables(self) -> list[Named]:
        """The variables that the means are made of, by name."""
        made = [] if self._count is None else [self._count]
        made += [self._sums[name] for name in sorted(self._sums)]
        return [Named(v.name.partition(":")[0], v) for v in made]


def _examples(batch: Any) -> Any:
    """How many examples a batch has: the length of its first component."""
    import tensorflow as tf

    first = tf.nest.flatten(batch)[0]
    if isinstance(first, tf.RaggedTensor):
        return first.nrows()
    if isinstance(first, tf.SparseTensor):
        return first.dense_shape[0]
    return tf.shape(first)[0]
