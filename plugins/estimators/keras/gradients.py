"""Gradients, which are those of all replicas from the moment a tape gives them.

So what a step makes of them (clips, scales, accumulates, applies with an optimizer or by hand) is what one
device makes of the whole batch's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from expcore.errors import InvalidArgument
from expcore_plugins.estimators.engine.terms import SUM, NoTerms, Term
from expcore_plugins.estimators.engine.workers import summed
from expcore_plugins.estimators.keras.part import Part, is_traced_here, part_here


def of_all(gradient: Any) -> Any:
    """``tf.GradientTape.gradient`` in a step of one of several replicas."""

    def gradient_of_all(
        tape: Any, target: Any, sources: Any, output_gradients: Any = None, **options: Any
    ) -> Any:
        import tensorflow as tf

        places = [s for s in tf.nest.flatten(sources) if _is_variable(s)] if is_traced_here() else []
        if not places:
            return gradient(tape, target, sources, output_gradients, **options)
        part = part_here()
        _check_nothing_records(part, tape)
        if output_gradients is None:
            target, output_gradients = _weighed(part, target)
        found = gradient(tape, target, sources, output_gradients, **options)
        flat = tf.nest.flatten(found)
        chosen = [
            i
            for i, (grad, source) in enumerate(zip(flat, tf.nest.flatten(sources), strict=True))
            if grad is not None and _is_variable(source)
        ]
        if chosen:
            totals = summed([_summable(part, flat[i]) for i in chosen])
            for i, total in zip(chosen, totals, strict=True):
                flat[i] = _the_same(part, total)
        return tf.nest.pack_sequence_as(sources, flat)

    return gradient_of_all


def _is_variable(source: Any) -> bool:
    return hasattr(source, "handle") or hasattr(source, "assign")


def _check_nothing_records(part: Part, tape: Any) -> None:
    """A gradient that is itself differentiated would be added up twice."""
    from tensorflow.python.eager import record

    if record.could_possibly_record() and not tape._recording:
        raise InvalidArgument(
            f"model {part.model!r}: its step takes gradients with regard to variables while another tape "
            "records, which replicas that have a part of the batch each cannot; train in one process"
        )


def _weighed(part: Part, target: Any) -> tuple[Any, Any]:
    """What to differentiate, and by what each of it is multiplied, so that the sum is the whole batch's."""
    import tensorflow as tf

    targets = tf.nest.flatten(target)
    try:
        terms = [term for each in targets for term in part.terms.of(tf.convert_to_tensor(each))]
    except NoTerms as error:
        raise part.refusal("its loss", error) from None
    part.look_at(terms)
    if all(term.kind == SUM for term in terms):
        return target, None  # a sum already
    seen = [pair for term in terms for pair in _shares(part, term)]
    return [t for t, _ in seen], [tf.ones_like(t) * tf.cast(weight, t.dtype) for t, weight in seen]


def _shares(part: Part, term: Term) -> Iterator[tuple[Any, Any]]:
    """A term's leaf and its factors, which may hang on variables, each with the derivative for it."""
    import tensorflow as tf

    weight = part.terms.weight(term)
    yield term.leaf, weight * term.scale()
    for i, (value, divides) in enumerate(term.factors):
        if tf.is_tensor(value) and value.dtype.is_floating:
            of_leaf = tf.math.multiply_no_nan(term.leaf, weight) * term.scale(without=i)
            value_here = tf.cast(value, of_leaf.dtype)
            yield value, -tf.math.divide_no_nan(of_leaf, value_here**2) if divides else of_leaf


def _summable(part: Part, grad: Any) -> Any:
    """A gradient as collectives can sum it: slices only where each replica has as many in each step."""
    import tensorflow as tf

    always = not tf.is_tensor(part.rows.mine) and not tf.is_tensor(part.rows.total)
    if isinstance(grad, tf.IndexedSlices) and not (always and part.terms.are_rows(grad.indices)):
        return tf.convert_to_tensor(grad)
    return grad


def _the_same(part: Part, total: Any) -> Any:
    import tensorflow as tf

    for tensor in tf.nest.flatten(total, expand_composites=True):
        part.terms.is_same(tensor)
    return total
