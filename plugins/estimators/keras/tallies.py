"""Metrics, which each replica keeps of its own rows, so that their sums are the whole batch's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from expcore_plugins.estimators.engine.terms import NoTerms
from expcore_plugins.estimators.engine.workers import summed
from expcore_plugins.estimators.keras.changes import changed
from expcore_plugins.estimators.keras.part import is_traced_here, part_here


def leaves(metric: Any) -> list[Any]:
    """Returns a metric, or the metrics that a container of Keras's is made of."""
    inner = getattr(metric, "metrics", None)
    return [leaf for one in inner for leaf in leaves(one)] if inner else [metric]


def names_of(model: Any, metrics: list[Any]) -> set[str]:
    """Returns under which names the model gives the results of some of its metrics."""
    this = object()
    with ExitStack() as stack:
        for metric in metrics:
            changed(stack, metric, "result", lambda _: lambda: this)
        return {name for name, result in model.get_metrics_result().items() if result is this}


def mend(change: Callable[..., None], model: Any) -> None:
    """Has the metrics of a model add up over replicas.

    Args:
        change: replaces an attribute of an object by what a function makes of it.
        model: the model.
    """
    import keras

    change(keras.metrics.Mean, "update_state", partial(_of_single_numbers, mean=True))
    change(keras.metrics.Sum, "update_state", partial(_of_single_numbers, mean=False))
    for metric in (leaf for each in model.metrics for leaf in leaves(each)):
        change(metric, "result", lambda result, m=metric: partial(_result, m, result))
        if not _is_known(metric):
            for variable in metric.variables:
                change(variable, "assign", lambda assign, m=metric, v=variable: partial(_write, assign, m, v))


def _result(metric: Any, result: Any) -> Any:
    given = result()
    if is_traced_here():
        part_here().results[id(given)] = metric, given
    return given


def _is_known(metric: Any) -> bool:
    """Whether its sums are kept by a class of Keras, all of which add up what they see of each row."""
    updating = next(base for base in type(metric).__mro__ if "update_state" in vars(base))
    return updating.__module__.startswith("keras.")


def _of_single_numbers(update_state: Any, *, mean: bool) -> Any:
    """``update_state`` of a metric that is given numbers of whole batches, such as losses."""

    def update(metric: Any, values: Any, sample_weight: Any = None) -> Any:
        import keras
        import tensorflow as tf

        if not is_traced_here():
            return update_state(metric, values, sample_weight)
        values, part = keras.ops.convert_to_tensor(values), part_here()
        if part.terms.of_rows(values) or not values.shape.is_fully_defined():
            part.look(values)
            return update_state(metric, values, sample_weight)
        many = part.rows.replicas if mean else 1
        try:
            value = part.terms.part(tf.cast(values, metric.dtype)) * many
            if sample_weight is None:  # one of each number: a weight for all takes the mean of them
                weight = tf.ones_like(value)
            else:
                weight = _whole(tf.cast(sample_weight, metric.dtype))
        except NoTerms:
            return _leave_out(metric)
        with part.giving_parts():
            return update_state(metric, value, weight / many)

    return update


def _whole(weight: Any) -> Any:
    """What a number of the replica's rows is of the whole batch."""
    part = part_here()
    if weight.shape.rank != 0:
        raise NoTerms(weight.op)
    return summed(part.terms.part(weight)) if part.lineage.differs(weight) else weight


def _write(assign: Any, metric: Any, variable: Any, value: Any) -> Any:
    """Writes to a variable of a metric that nobody here knows: what it adds is made this replica's part."""
    import tensorflow as tf

    part = part_here()
    part.tallied.add(id(part.own_of(variable).handle))
    if part.gives_parts:  # to a class of Keras's, by a metric that is made of it
        return assign(value)
    added = part.lineage.added_to(tf.cast(value, variable.dtype), variable.value)
    try:
        if added is not None:
            return assign(variable.value + part.terms.part(added))
    except NoTerms:
        pass
    _leave_out(metric)
    return variable.value


def check_tallied(model: Any, written: list[Any]) -> None:
    """Leaves out the metrics that have written to their variables otherwise than by ``assign``.

    Args:
        model: whose metrics they are.
        written: handles of the variables to which this replica's step writes what its rows give.
    """
    part, places = part_here(), {id(handle) for handle in written}
    for metric in (leaf for each in model.metrics for leaf in leaves(each)):
        handles = {id(part.own_of(v).handle) for v in metric.variables}
        if not _is_known(metric) and handles & places - part.tallied:
            _leave_out(metric)


def _leave_out(metric: Any) -> None:
    left_out = part_here().left_out
    if all(metric is not other for other in left_out):
        left_out.append(metric)
