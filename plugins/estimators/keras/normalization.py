"""Layers that normalise: over the batch, with the statistics of all replicas, or over numbers of each row."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from expcore_plugins.estimators.engine.workers import summed
from expcore_plugins.estimators.keras.part import is_traced_here, part_here

_LOG = logging.getLogger(__name__)


def changes() -> list[tuple[Any, str, Callable[[Any], Any]]]:
    """Returns what a replica's steps change of Keras: owner, name, and what makes the new of the old."""
    import keras

    return [
        (keras.layers.BatchNormalization, "_moments", _moments_of_all),
        (keras.layers.LayerNormalization, "call", _with_gradient),
    ]


def synchronize(model: Any) -> None:
    """Has batch normalisation use the statistics of the whole batch."""
    import keras

    changed = [
        layer.name
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization) and not layer.synchronized
    ]
    for layer in model._flatten_layers():
        if layer.name in changed:
            layer.synchronized = True
    if changed:
        _LOG.info("batch normalisation uses the statistics of all replicas: %s", ", ".join(changed))


def _with_gradient(call: Any) -> Any:
    """``LayerNormalization.call``, with its gradient written down.

    What TensorFlow derives for it are more operations, and still more where the number of rows is not known
    beforehand, as it is not while a replica's step is traced.
    """

    def called(layer: Any, inputs: Any) -> Any:
        import keras
        import tensorflow as tf

        axes = _axes(layer, inputs) if is_traced_here() and isinstance(inputs, tf.Tensor) else None
        if axes is None:
            return call(layer, inputs)
        values = tf.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))  # as Keras does
        shape = [size if axis in axes else 1 for axis, size in enumerate(values.shape)]
        outputs = _standardized(values, axes, layer.epsilon)
        if layer.gamma is not None:
            outputs *= tf.reshape(tf.cast(layer.gamma, values.dtype), shape)
        if layer.beta is not None:
            outputs += tf.reshape(tf.cast(layer.beta, values.dtype), shape)
        return tf.cast(tf.cast(outputs, inputs.dtype), layer.compute_dtype)

    return called


def _axes(layer: Any, inputs: Any) -> list[int] | None:
    """The axes of what is normalised of each row by itself; None: it is something else, or made otherwise."""
    rank = inputs.shape.rank
    if rank is None or layer.rms_scaling or layer.epsilon is None or inputs.shape[0] is not None:
        return None
    if not isinstance(layer.axis, list):  # a build() that is not Keras's
        return None
    axes = [axis % rank for axis in layer.axis]
    sizes = [inputs.shape[axis] for axis in axes]
    given = [w for w in (layer.gamma, layer.beta) if w is not None]
    if 0 in axes or None in sizes or any(list(w.shape) != sizes for w in given):
        return None
    return axes


def _standardized(values: Any, axes: list[int], epsilon: float) -> Any:
    """Numbers with a mean of 0 and a variance of nearly 1 over some axes."""
    import tensorflow as tf

    mean_of = partial(tf.reduce_mean, axis=axes, keepdims=True)

    @tf.custom_gradient
    def standardized(values: Any) -> Any:
        mean = mean_of(values)
        # tf.nn.moments holds this mean for a constant: what the gradient's own gradient is follows from it.
        distance = values - tf.stop_gradient(mean)
        inverse = tf.math.rsqrt(mean_of(tf.square(distance)) + epsilon)
        outputs = (values - mean) * inverse

        def gradient(above: Any) -> Any:
            along = distance * inverse
            return inverse * (above - mean_of(above) - along * mean_of(above * outputs))

        return outputs, gradient

    return standardized(values)


def _moments_of_all(moments: Any) -> Any:
    """Mean and variance of what is not masked, which Keras takes of one replica alone."""

    def masked_moments(layer: Any, inputs: Any, mask: Any) -> Any:
        import tensorflow as tf

        same = part_here().lineage.is_same
        if mask is None:
            mean, variance = moments(layer, inputs, mask)
            return same(mean), same(variance)
        there = tf.broadcast_to(tf.expand_dims(tf.cast(mask, tf.bool), -1), tf.shape(inputs))
        axes, none = layer._reduction_axes, tf.zeros_like(inputs)
        count = summed(tf.reduce_sum(tf.cast(there, inputs.dtype), axes)) + tf.cast(_epsilon(), inputs.dtype)
        mean = summed(tf.reduce_sum(tf.where(there, inputs, none), axes)) / count
        distance = tf.where(there, tf.square(inputs - mean), none)
        return same(mean), same(summed(tf.reduce_sum(distance, axes)) / count)

    return masked_moments


def _epsilon() -> float:
    import keras

    return float(keras.config.epsilon())
