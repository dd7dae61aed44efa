"""What Keras leaves to one device alone, mended while the training step of a replica is traced.

Keras 3 divides a loss by what its replica has and then by the number of replicas, clips each replica's own
gradients, and gives every replica the same random numbers; so a step would hang on how the rows were dealt.
There is no public way to any of these places: those that are changed are checked to be there first.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import MethodType
from typing import Any

from expcore.errors import ExpcoreError, InvalidArgument, listing
from expcore_plugins.estimators.engine.devices import parts_of
from expcore_plugins.estimators.engine.replicas import SEED_STRIDE, Rows
from expcore_plugins.estimators.engine.workers import summed
from expcore_plugins.estimators.keras import gradients, normalization, statistics, tallies
from expcore_plugins.estimators.keras.changes import changed
from expcore_plugins.estimators.keras.part import is_traced_here, part_here
from expcore_plugins.estimators.keras.trainable import optimizers

_LOG = logging.getLogger(__name__)


def check_supported(model: Any) -> None:
    """Makes sure that Keras and TensorFlow have the places that are mended or looked into.

    Raises:
        ExpcoreError: this version of one of them is built otherwise.
        InvalidArgument: the model runs eagerly.
    """
    import keras
    import tensorflow as tf
    from keras.src.losses import loss as losses
    from keras.src.optimizers import base_optimizer
    from tensorflow.python.eager import record

    places = [
        (losses, "reduce_values"),
        (losses, "apply_mask"),
        (losses, "reduce_weighted_values"),
        (losses, "scale_loss_for_distribution"),
        (losses, "unscale_loss_for_distribution"),
        (base_optimizer.BaseOptimizer, "_backend_update_step"),
        (base_optimizer.BaseOptimizer, "_apply_weight_decay"),
        (base_optimizer.BaseOptimizer, "_overwrite_model_variables_with_average_value"),
        (base_optimizer.BaseOptimizer, "_backend_increment_gradient_accumulators"),
        (keras.random.SeedGenerator, "next"),
        *((owner, name) for owner, name, _ in normalization.changes()),
        (model, "_aggregate_additional_loss"),
        (model, "_loss_tracker"),
        (model, "_non_trainable_variables"),
        (model, "_flatten_layers"),
        (model, "_losses"),
        (tf.Graph, "_get_function"),
        (tf.GradientTape(), "_recording"),
        (record, "could_possibly_record"),
    ]
    missing = [name for place, name in places if not hasattr(place, name)]
    if missing:
        raise ExpcoreError(
            f"KerasEstimator: Keras {keras.__version__} with TensorFlow {tf.__version__} lacks "
            f"{listing(missing)}, which training in several processes needs; install Keras 3.15 and "
            "TensorFlow 2.21"
        )
    if model.run_eagerly:
        raise InvalidArgument(
            f"model {model.name!r} is compiled with run_eagerly=True, which a cluster cannot run; look into "
            "its steps in a single process"
        )


@contextmanager
def variables_of_one(model: Any) -> Iterator[None]:
    """A context in which the model's variables are those of the first device, as if there were no other."""
    from keras.src.optimizers.base_optimizer import BaseOptimizer

    name = "_overwrite_model_variables_with_average_value"
    overwrite = getattr(BaseOptimizer, name)
    owners = (model, *optimizers(model), *model.metrics)
    with ExitStack() as stack:
        for variable in {id(v): v for owner in owners for v in owner.variables}.values():
            changed(stack, variable, "_value", lambda value: parts_of(value)[0])
        for optimizer in optimizers(model):
            for one in (optimizer, getattr(optimizer, "inner_optimizer", None)):
                if one is not None:
                    changed(stack, one, name, lambda _, one=one: MethodType(overwrite, one))
        yield


@contextmanager
def keras_for(model: Any) -> Iterator[None]:
    """A context in which steps of this model are traced as those of one replica of several."""
    import keras
    import tensorflow as tf
    from keras.src.losses import loss as losses

    with ExitStack() as stack:
        change = partial(changed, stack)
        change(tf.GradientTape, "gradient", gradients.of_all)
        change(tf.GradientTape, "jacobian", gradients.of_each)
        change(losses, "reduce_values", lambda _: reduce_values)
        change(losses, "reduce_weighted_values", _of_single_numbers)
        # A part of the whole's is neither divided by the number of replicas nor multiplied by it.
        for name in ("scale_loss_for_distribution", "unscale_loss_for_distribution"):
            change(losses, name, lambda _: _as_it_is)
        for place in (tf.distribute.Strategy, tf.distribute.ReplicaContext):
            change(place, "num_replicas_in_sync", _told_of_count)
        change(tf, "tensordot", _tensordot)
        change(tf.nn, "scale_regularization_loss", lambda _: tf.reduce_sum)
        change(tf.nn, "compute_average_loss", _average_loss)
        change(losses, "apply_mask", lambda _: partial(apply_mask, losses.squeeze_or_expand_to_same_rank))
        change(keras.random.SeedGenerator, "next", _own_seed)
        for place in normalization.changes():
            change(*place)
        change(model, "_aggregate_additional_loss", _by_rows)
        for layer in model._flatten_layers():
            change(layer, "_losses", lambda _: _Losses())
        for tracker in [model._loss_tracker, *getattr(model._compile_loss, "metrics", ())]:
            if tracker is not None:
                change(tracker, "update_state", _weighed_alike)
        tallies.mend(change, model)
        statistics.mend(change, model)
        known = [
            one
            for optimizer in optimizers(model)
            for one in (optimizer, getattr(optimizer, "inner_optimizer", None))
            if one is not None
        ]
        change(keras.optimizers.Optimizer, "apply", partial(_only_known, known))
        for one in known:
            _mend_optimizer(change, one)
        yield


def _only_known(known: list[Any], apply: Any) -> Any:
    """An optimizer that nobody finds can neither be mended nor saved."""

    def applied(optimizer: Any, *given: Any, **named: Any) -> Any:
        if is_traced_here() and all(optimizer is not one for one in known):
            raise InvalidArgument(
                f"model {part_here().model!r}: its step uses the optimizer {optimizer.name!r}, which is not "
                "an attribute of the model; make it one, so that it is saved and used by all replicas alike"
            )
        return apply(optimizer, *given, **named)

    return applied


def _mend_optimizer(change: Callable[..., None], optimizer: Any) -> None:
    """Gradients are summed where a tape gives them; all after that is this replica's own."""
    from keras.src.optimizers.base_optimizer import BaseOptimizer

    for name in (
        "_backend_update_step",
        "_apply_weight_decay",
        "_overwrite_model_variables_with_average_value",
        "_backend_increment_gradient_accumulators",
    ):
        change(optimizer, name, lambda _, name=name: MethodType(getattr(BaseOptimizer, name), optimizer))
    # The count of steps is written by one replica for all, for which it would leave the replica context.
    change(optimizer._iterations, "assign_add", lambda _: partial(_add_here, optimizer._iterations))
    if hasattr(optimizer, "_tf_apply"):  # a LossScaleOptimizer
        change(optimizer, "_tf_apply", lambda _: optimizer._common_apply)


def _add_here(variable: Any, value: Any) -> Any:
    import tensorflow as tf

    own = part_here().own_of(variable)
    return own.assign_add(tf.cast(value, own.dtype))


def reduce_values(values: Any, sample_weight: Any = None, reduction: Any = "sum_over_batch_size") -> Any:
    """Keras's function of this name, divided by what all replicas have: the sum over them is the loss."""
    import tensorflow as tf

    rows, terms = part_here().rows, part_here().terms
    if reduction is None or reduction == "none" or values.shape.rank == 0:
        return values
    part_here().look(values)
    total = tf.reduce_sum(values)
    if reduction == "sum":
        return terms.is_part(total)
    if reduction == "mean_with_sample_weight" and sample_weight is not None:
        divisor = tf.stop_gradient(summed(tf.cast(tf.reduce_sum(sample_weight), total.dtype)))
    else:
        divisor = _size_of_all(values, rows, total.dtype)
    return terms.is_part(tf.math.divide_no_nan(total, divisor))


def _of_single_numbers(reduce: Any) -> Any:
    """Loss functions that give a single number for the whole batch, not one of each example."""

    def reduced(values: Any, sample_weight: Any = None, mask: Any = None, **how: Any) -> Any:
        import keras

        values = keras.ops.convert_to_tensor(values)
        if values.shape.rank != 0:
            return reduce(values, sample_weight=sample_weight, mask=mask, **how)
        if sample_weight is not None or mask is not None:
            raise InvalidArgument(
                f"model {part_here().model!r}: its loss function gives one number of a whole batch, while "
                "the examples have weights or masks; give a loss of every example, or train in one process"
            )
        return part_here().of(values, "its loss function")

    return reduced


def apply_mask(same_rank: Any, sample_weight: Any, mask: Any, dtype: Any, reduction: Any) -> Any:
    """Keras's function of this name, which weighs what is not masked by its part of all there is."""
    import tensorflow as tf

    if mask is None:
        return sample_weight
    weights = tf.cast(mask, dtype)
    if reduction in ("mean", "sum_over_batch_size"):
        there = tf.cast(mask, tf.bool)
        total = _size_of_all(mask, part_here().rows, weights.dtype)
        valid = part_here().lineage.is_same(summed(tf.reduce_sum(tf.cast(there, dtype))))
        weights = tf.where(there, tf.math.divide_no_nan(total, valid), tf.zeros_like(weights))
    if sample_weight is None:
        return weights
    weights, sample_weight = same_rank(weights, tf.cast(sample_weight, dtype))
    return sample_weight * weights


def _size_of_all(values: Any, rows: Rows, dtype: Any) -> Any:
    """How many numbers all replicas together have, where this one has as many as are in ``values``."""
    import tensorflow as tf

    size = tf.cast(tf.size(values), dtype)
    all_of_them = size / tf.cast(tf.maximum(rows.mine, 1), dtype) * tf.cast(rows.total, dtype)
    return part_here().lineage.is_same(all_of_them)


class _Losses(threading.local):
    """The losses that a layer was given in this thread: each device's step is traced in its own, in turns."""

    def __init__(self) -> None:
        self._given: list[Any] = []

    def extend(self, losses: Iterable[Any]) -> None:
        """As of a list."""
        self._given.extend(losses)

    def clear(self) -> None:
        """As of a list."""
        self._given.clear()

    def __getitem__(self, place: Any) -> Any:
        return self._given[place]


def _by_rows(aggregate: Any) -> Any:
    """Losses of layers, of which this is a replica's part."""

    def aggregated(loss: Any) -> Any:
        return part_here().of(aggregate(loss), "a loss of a layer (add_loss)")

    return aggregated


def _weighed_alike(update_state: Any) -> Any:
    """The mean of the loss: each replica gives its part of the sum, and all weigh as the whole batch does."""

    def update(values: Any, sample_weight: Any = None) -> Any:
        import tensorflow as tf

        part = part_here()
        many = float(part.rows.replicas)
        weight = tf.constant(1.0) if sample_weight is None else tf.cast(part.rows.total, tf.float32)
        return update_state(part.of(values, "its loss") * many, sample_weight=weight / many)

    return update


def _as_it_is(value: Any) -> Any:
    return value


def _told_of_count(count: Any) -> Any:
    """The number of replicas, by which a loss is divided elsewhere: of that the user's code is told."""

    def told(owner: Any) -> Any:
        asking = sys._getframe(1).f_globals.get("__name__", "").partition(".")[0]
        if is_traced_here() and asking not in ("tensorflow", "keras", __name__.partition(".")[0]):
            part_here().tell(
                "count",
                "its step asks for num_replicas_in_sync; losses are the whole batch's here, and gradients "
                "are added up already: do not divide by it",
            )
        return count.fget(owner)

    return property(told)


def _average_loss(average: Any) -> Any:
    """``tf.nn.compute_average_loss``, which knows what the number of rows is."""

    def averaged(per_example: Any, sample_weight: Any = None, global_batch_size: Any = None) -> Any:
        import tensorflow as tf

        if global_batch_size is not None:
            return average(per_example, sample_weight, global_batch_size)
        rows = tf.cast(tf.shape(per_example)[0], per_example.dtype)
        weight = 1.0 if sample_weight is None else tf.cast(sample_weight, per_example.dtype)
        return tf.reduce_sum(per_example * weight) / rows

    return averaged


def _tensordot(tensordot: Any) -> Any:
    """``tf.tensordot``, which copies what it is given where the number of rows is not known beforehand.

    A dense layer over sequences is that: the same product is made of the same numbers, without the copy.
    """

    def product(a: Any, b: Any, axes: Any, name: str | None = None) -> Any:
        import tensorflow as tf

        a, b = tf.convert_to_tensor(a), tf.convert_to_tensor(b)
        plain = isinstance(axes, int) and axes == 1 and b.shape.rank == 2 and (a.shape.rank or 0) > 2
        if not (is_traced_here() and plain and list(a.shape).count(None) == 1 and a.shape[-1] is not None):
            return tensordot(a, b, axes, name)
        rows = tf.matmul(tf.reshape(a, [-1, a.shape[-1]]), b)
        return tf.reshape(rows, [*(-1 if size is None else size for size in a.shape[:-1]), b.shape[1]])

    return product


def _own_seed(following: Any) -> Any:
    """Seeds that differ between replicas; the first one's are those of a single device."""

    def next_of_replica(generator: Any, ordered: bool = True) -> Any:
        import tensorflow as tf

        seed = following(generator, ordered)
        offset = tf.cast(part_here().rows.replica * SEED_STRIDE, tf.int64)
        own = seed + tf.cast(tf.stack([offset, tf.zeros_like(offset)]), seed.dtype)
        return part_here().lineage.is_apart(own)

    return next_of_replica
