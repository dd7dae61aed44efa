"""Statistics: numbers that layers keep of what they see, as running means, made those of the whole batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from expcore_plugins.estimators.engine.devices import parts_of
from expcore_plugins.estimators.engine.terms import NoTerms
from expcore_plugins.estimators.keras.part import Part, is_traced_here, part_here


def kept(model: Any) -> list[Any]:
    """Returns the variables of a model that are not trained, those of frozen layers among them."""
    return [v for layer in model._flatten_layers() for v in layer._non_trainable_variables] + [
        v for layer in model._flatten_layers() for v in layer._trainable_variables if not v.trainable
    ]


def averaged(model: Any) -> list[Any]:
    """Returns those of which the mean over all replicas may have to be taken.

    What batch normalisation keeps is that of the whole batch already, and a frozen layer keeps nothing.
    """
    import keras

    moments = {
        id(v)
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
        for v in (layer.moving_mean, layer.moving_variance)
    }
    return [
        v
        for layer in model._flatten_layers()
        for v in layer._non_trainable_variables
        if keras.backend.is_float_dtype(v.dtype) and id(v) not in moments
    ]


def mend(change: Callable[..., None], model: Any) -> None:
    """Has layers keep what they would keep of the whole batch.

    Args:
        change: replaces an attribute of an object by what a function makes of it.
        model: the model.
    """
    for variable in kept(model):
        change(variable, "assign", lambda assign, v=variable: partial(_write, assign, v))


def _write(assign: Any, variable: Any, value: Any) -> Any:
    import keras
    import tensorflow as tf

    if not is_traced_here():
        return assign(value)
    part, value = part_here(), tf.convert_to_tensor(keras.ops.convert_to_tensor(value))
    if part.lineage.differs(value) and value.graph is part.graph:
        try:
            value = part.terms.of_all(value)
        except NoTerms as error:
            _tell(part, variable, error)
    if len(parts_of(variable.value)) == 1:
        return assign(value)
    own = part.own_of(variable)  # else it is added up where the variable's aggregation is a sum
    value = tf.cast(value, own.dtype)
    own.assign(value)
    return value


def _tell(part: Part, variable: Any, error: NoTerms) -> None:
    import tensorflow as tf

    part.own |= {id(one.handle) for one in parts_of(variable.value)}
    part.tell(
        f"{variable.path} is kept",
        f"what is kept in {variable.path!r} comes from {error}: each replica keeps what it makes of its own "
        "rows, and after each call of the compiled loop all take "
        f"{'the mean of it' if tf.as_dtype(variable.dtype).is_floating else 'what the first has'}",
    )
