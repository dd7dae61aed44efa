"""Gradients, which are those of all replicas from the moment a tape gives them.

So what a step makes of them (clips, scales, accumulates, applies with an optimizer or by hand) is what one
device makes of the whole batch's.
"""

from __future__ import annotations

from typing import Any

from expcore.errors import InvalidArgument
from expcore_plugins.estimators.engine.devices import parts_of
from expcore_plugins.estimators.engine.terms import NoTerms, Share
from expcore_plugins.estimators.engine.workers import summed
from expcore_plugins.estimators.keras.part import Part, is_traced_here, part_here


def of_all(gradient: Any) -> Any:
    """``tf.GradientTape.gradient`` in a step of one of several replicas."""

    def gradient_of_all(
        tape: Any, target: Any, sources: Any, output_gradients: Any = None, **options: Any
    ) -> Any:
        import tensorflow as tf

        if not is_traced_here() or part_here().differentiating:
            return gradient(tape, target, sources, output_gradients, **options)
        part = part_here()
        flat = tf.nest.flatten(sources)
        alike = [_is_alike(part, source) for source in flat]
        shares = _shares(
            part, target, output_gradients, [s for s, same in zip(flat, alike, strict=True) if same]
        )
        if any(alike) or any(part.lineage.hangs_on(s.factor, None) for s in shares if s.factor is not None):
            _check_nothing_records(part, tape)
        target = [share.tensor for share in shares]
        factors = [tf.ones_like(s.tensor) if s.factor is None else s.factor for s in shares]
        output_gradients = None if all(s.factor is None for s in shares) else factors
        with part.differentiation():
            found = gradient(tape, target, sources, output_gradients, **options)
        grads = tf.nest.flatten(found)
        chosen = [i for i, grad in enumerate(grads) if grad is not None and alike[i]]
        if chosen:
            totals = summed([_summable(part, grads[i]) for i in chosen])
            for i, total in zip(chosen, totals, strict=True):
                grads[i] = _the_same(part, total)
        return tf.nest.pack_sequence_as(sources, grads)

    return gradient_of_all


def of_each(jacobian: Any) -> Any:
    """``tf.GradientTape.jacobian`` in a step of one of several replicas, which has its own rows only."""

    def jacobian_of_rows(tape: Any, target: Any, sources: Any, *given: Any, **options: Any) -> Any:
        import tensorflow as tf

        if not is_traced_here() or part_here().differentiating:
            return jacobian(tape, target, sources, *given, **options)
        part = part_here()
        if any(_is_alike(part, source) for source in tf.nest.flatten(sources)):
            raise InvalidArgument(
                f"model {part.model!r}: its step takes tf.GradientTape.jacobian with regard to variables: of "
                "several replicas each has the gradients of its own examples only; take gradients of a loss, "
                "or train in one process"
            )
        with part.differentiation():
            return jacobian(tape, target, sources, *given, **options)

    return jacobian_of_rows


def _is_alike(part: Part, source: Any) -> bool:
    """Whether what is differentiated for is the same in all replicas: a variable, or what is made of some."""
    import tensorflow as tf

    if hasattr(source, "handle") or hasattr(source, "assign"):
        return True
    return bool(tf.is_tensor(source)) and not part.lineage.differs(source)


def _check_nothing_records(part: Part, tape: Any) -> None:
    """A gradient that is itself differentiated would be added up twice."""
    from tensorflow.python.eager import record

    if record.could_possibly_record() and not tape._recording:
        raise InvalidArgument(
            f"model {part.model!r}: its step takes gradients with regard to variables while another tape "
            "records, which replicas that have a part of the batch each cannot; train in one process"
        )


def _shares(part: Part, target: Any, above: Any, alike: list[Any]) -> list[Share]:
    """What to differentiate, and by what each of it is multiplied, so that the sum is the whole batch's."""
    import tensorflow as tf

    targets = [tf.convert_to_tensor(one) for one in tf.nest.flatten(target)]
    given = [None] * len(targets) if above is None else tf.nest.flatten(above)
    sources = [source for one in alike for source in _sources(one)]
    try:
        return [
            _times(part, share, factor, one)
            for one, factor in zip(targets, given, strict=True)
            for share in part.terms.shares(one, sources)
        ]
    except NoTerms as error:
        raise part.refusal("its loss", error) from None


def _times(part: Part, share: Share, above: Any, target: Any) -> Share:
    """A share of a target, where the target's own gradient was given."""
    import tensorflow as tf

    if above is None:
        return share
    part.look(tf.convert_to_tensor(above))
    if share.factor is None:
        return Share(share.tensor, above)
    if target.shape.rank != 0 or part.lineage.differs(above):
        raise NoTerms(target.op)
    return Share(share.tensor, share.factor * tf.cast(above, share.factor.dtype))


def _sources(alike: Any) -> list[Any]:
    """A tensor, or the handles of a variable, one a device."""
    import keras
    import tensorflow as tf

    if tf.is_tensor(alike) and not hasattr(alike, "handle"):
        return [alike]
    variable = alike.value if isinstance(alike, keras.Variable) else alike
    return [one.handle for one in parts_of(variable)]


def _summable(part: Part, grad: Any) -> Any:
    """A gradient as collectives can sum it: slices only where each replica has as many in each step."""
    import tensorflow as tf

    always = not tf.is_tensor(part.rows.mine) and not tf.is_tensor(part.rows.total)
    if isinstance(grad, tf.IndexedSlices) and not (always and part.lineage.are_rows(grad.indices)):
        return tf.convert_to_tensor(grad)
    return grad


def _the_same(part: Part, total: Any) -> Any:
    import tensorflow as tf

    for tensor in tf.nest.flatten(total, expand_composites=True):
        part.lineage.is_same(tensor)
    return total
