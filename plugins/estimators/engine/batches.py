"""Batches: their rows, counted and taken in parts, whatever tensors they are made of."""

from __future__ import annotations

from typing import Any

from expcore.errors import InvalidInput

_UNLIKE = "each replica takes the rows of its examples from all of them"


def rows_of(batch: Any) -> Any:
    """Returns the number of examples of a batch, an int where it is always the same.

    They are those of its first component, as Keras counts them.
    """
    return _rows(_components(batch)[0])


def _rows(component: Any) -> Any:
    import tensorflow as tf

    if component.shape[0] is not None:
        return int(component.shape[0])
    if isinstance(component, tf.RaggedTensor):
        return tf.cast(component.nrows(), tf.int32)
    if isinstance(component, tf.SparseTensor):
        return tf.cast(component.dense_shape[0], tf.int32)
    return tf.shape(component)[0]


def check_rows(spec: Any, what: str) -> None:
    """Makes sure that the tensors of each batch of a structure have as many rows, as far as that is known.

    Args:
        spec: the structure.
        what: it is, for messages.

    Raises:
        InvalidInput: they have not.
    """
    import tensorflow as tf

    leaves = tf.nest.flatten(spec, expand_composites=False)
    known = {leaf.shape[0] for leaf in leaves if getattr(leaf, "shape", tf.TensorShape(None)).rank}
    if len(numbers := sorted(known - {None})) > 1:
        raise InvalidInput(
            f"{what}: its tensors have {numbers[0]} and {numbers[1]} rows: {_UNLIKE}; give the model in "
            "another way what is no data of the examples, or train in one process on one device"
        )


def with_rows_checked(batch: Any) -> Any:
    """Returns a batch, which fails where its tensors turn out not to have as many rows each."""
    import tensorflow as tf

    components = _components(batch)
    rows = [_rows(component) for component in components]
    unsure = [n for n in rows if not isinstance(n, int)]
    if len(rows) < 2 or not unsure:
        return batch
    alike = tf.reduce_all(tf.equal(tf.stack(rows), rows[0]))
    said = tf.debugging.Assert(alike, [f"its tensors have other numbers of rows: {_UNLIKE}", tf.stack(rows)])
    with tf.control_dependencies([said]):
        return tf.nest.map_structure(
            lambda c: tf.identity(c) if is_tensor(c) else c, batch, expand_composites=False
        )


def static_rows(spec: Any) -> int | None:
    """Returns how many examples each batch of a structure has; None: not always as many."""
    import tensorflow as tf

    first: Any = tf.nest.flatten(spec, expand_composites=False)[0]
    shape = getattr(first, "shape", tf.TensorShape(None))
    return None if shape.rank is None else shape[0]


def rows_between(batch: Any, first: Any, end: Any) -> Any:
    """Returns some rows of a batch: of each component those from ``first`` to before ``end``."""
    import tensorflow as tf

    def part(component: Any) -> Any:
        if isinstance(component, tf.SparseTensor):
            shape = component.dense_shape
            start = tf.concat([[tf.cast(first, tf.int64)], tf.zeros_like(shape[1:])], 0)
            return tf.sparse.slice(
                component, start, tf.concat([[tf.cast(end - first, tf.int64)], shape[1:]], 0)
            )
        return component[first:end] if is_tensor(component) else component

    return tf.nest.map_structure(part, batch, expand_composites=False)


def with_rows_unknown(spec: Any) -> Any:
    """Returns the structure of specs of the same batch, of which nobody knows how many rows it has.

    A step that is traced for it takes no number of rows for a constant. Called with a batch whose shape is
    known it runs as if it had been traced for that: TensorFlow puts the function into the loop first.
    """
    import tensorflow as tf

    def unknown(leaf: Any) -> Any:
        if not isinstance(leaf, tf.TensorSpec) or leaf.shape.rank in (None, 0):
            return leaf
        return tf.TensorSpec([None, *leaf.shape[1:]], leaf.dtype, leaf.name)

    return tf.nest.map_structure(unknown, spec, expand_composites=False)


def fingerprint(batch: Any) -> Any:
    """Returns a whole number, int64, that hangs on every value of a batch and on its place."""
    import tensorflow as tf

    total = tf.constant(0, tf.int64)
    for i, tensor in enumerate(tf.nest.flatten(batch, expand_composites=True)):
        if is_tensor(tensor):
            total += (2 * i + 1) * _sum_of_bits(tensor)
    return total


def _sum_of_bits(tensor: Any) -> Any:
    """Sums of whole numbers come out the same in whatever order they are made, those of floats do not."""
    import tensorflow as tf

    if tensor.dtype == tf.string:
        bits = tf.strings.to_hash_bucket_fast(tensor, 2**31 - 1)
    elif tensor.dtype.is_floating:
        bits = tf.bitcast(tensor, {2: tf.int16, 4: tf.int32, 8: tf.int64}[tensor.dtype.size])
    elif tensor.dtype.is_complex:
        return _sum_of_bits(tf.math.real(tensor)) + 3 * _sum_of_bits(tf.math.imag(tensor))
    elif tensor.dtype == tf.variant or tensor.dtype == tf.resource:
        return tf.constant(0, tf.int64)
    else:
        bits = tensor
    bits = tf.reshape(tf.cast(bits, tf.int64), [-1])
    return tf.reduce_sum(bits * (2 * tf.range(tf.size(bits, tf.int64)) + 1))


def zeros(spec: Any) -> Any:
    """Returns a batch of one row for a structure of specs, all zeros or empty strings."""
    import tensorflow as tf

    def one(leaf: Any) -> Any:
        shape = [size or 1 for size in leaf.shape]
        dense = tf.zeros(shape, leaf.dtype)
        if isinstance(leaf, tf.RaggedTensorSpec):
            return tf.RaggedTensor.from_tensor(dense, ragged_rank=leaf.ragged_rank)
        if isinstance(leaf, tf.SparseTensorSpec):
            return tf.sparse.from_dense(dense)
        return dense

    return tf.nest.map_structure(one, spec, expand_composites=False)


def is_tensor(component: Any) -> bool:
    """Whether it is data, and not a part of a batch that is not there."""
    import tensorflow as tf

    return tf.is_tensor(component) and not isinstance(component, tf.experimental.Optional)


def _components(batch: Any) -> list[Any]:
    import tensorflow as tf

    return [c for c in tf.nest.flatten(batch, expand_composites=False) if is_tensor(c)]
