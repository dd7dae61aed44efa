"""Operations in which rows of a batch meet each other, one by one."""

from __future__ import annotations

import math
from typing import Any

_REDUCING = {
    *("Sum", "Mean", "Max", "Min", "Prod", "All", "Any", "ArgMax", "ArgMin"),
    *("Cumsum", "Cumprod", "CumulativeLogsumexp", "L2Loss"),
}
_MIXING = {
    *("UnsortedSegmentSum", "UnsortedSegmentMax", "UnsortedSegmentMin", "UnsortedSegmentProd"),
    *("SegmentSum", "SegmentMean", "SegmentMax", "SegmentMin", "SegmentSumV2", "SegmentMaxV2"),
    *(
        "Bincount",
        "DenseBincount",
        "HistogramFixedWidth",
        "TensorScatterAdd",
        "TensorScatterUpdate",
        "ScatterNd",
    ),
}
_MOVING = {"ReverseV2": 1, "Roll": 2, "Split": 0}  # and which input says along what
_SLIDING = {
    *("Conv2D", "Conv3D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "Conv3DBackpropInputV2"),
    *("MaxPool", "MaxPool3D", "AvgPool", "AvgPool3D", "Dilation2D", "LRN"),
}


_COUNTING = {"Range", "LinSpace"}
_CUTTING = {"StridedSlice", "Slice"}


def places_rows(op: Any, apart: list[Any]) -> bool:
    """Whether an operation gives each row something by its place among the rows of one replica.

    Args:
        op: the operation.
        apart: those of its inputs that differ between replicas.
    """
    if op.type in _COUNTING:
        return bool(apart)
    if op.type in _CUTTING:  # of a table, as far as there are rows
        return bool(apart) and all(t is not op.inputs[0] for t in apart) and op.outputs[0].shape.rank != 0
    if op.type.startswith("StatelessRandom") and not op.type.startswith("StatelessRandomGet"):
        # As many as there are rows, by the same seed.
        return any(t is op.inputs[0] for t in apart) and len(apart) == 1
    if op.type in ("MatrixDiagV3", "MatrixSetDiagV3"):
        shape = op.outputs[0].shape
        return bool(apart) and shape.rank is not None and None in list(shape)[-2:]
    return False


def own_places(op: Any) -> Any:
    """Returns the input that says of which row a value is taken, where that is the row itself; else None."""
    import tensorflow as tf

    if op.type != "Pack" or op.get_attr("axis") not in (1, -1):
        return None
    found = op.inputs[0].op
    while found.type in ("Cast", "Identity"):
        found = found.inputs[0].op
    counts = found.type == "Range" and tf.get_static_value(found.inputs[0]) == 0
    return op.inputs[0] if counts and tf.get_static_value(found.inputs[2]) == 1 else None


def merges_rows(op: Any, apart: list[Any]) -> bool:
    """Whether numbers of several rows come into one by a reshape, where none was cut before."""
    if op.type != "Reshape" or not apart or not _has_rows_first(op.inputs[0]):
        return False
    shape = op.outputs[0].shape
    if shape.rank is None or list(shape).count(None) != 1:
        return False
    place, own = list(shape).index(None), _size_of_rest(op.inputs[0])
    if place > 0:
        return own > 1 and any(size != 1 for size in list(shape)[:place])
    return _size_of_rest(op.outputs[0]) > own and not _was_cut(op.inputs[0])


def _has_rows_first(tensor: Any) -> bool:
    shape = tensor.shape
    return bool(shape.rank) and shape[0] is None and list(shape).count(None) == 1


def _size_of_rest(tensor: Any) -> int:
    """How many numbers a row has."""
    return math.prod(list(tensor.shape)[1:])


def _was_cut(tensor: Any) -> bool:
    """Whether rows were made of parts of rows before: these may come together again."""
    waiting, seen = [tensor], set()
    while waiting:
        one = waiting.pop()
        if one.op.type == "Reshape" and _has_rows_first(before := one.op.inputs[0]):
            kept = _has_rows_first(one) and _size_of_rest(one) >= _size_of_rest(before)
            if not kept:
                return True
        new = [t for t in one.op.inputs if (id(t.graph), t.name) not in seen]
        seen.update((id(t.graph), t.name) for t in new)
        waiting.extend(new)
    return False


def meets(rows: list[Any], result: Any) -> bool:
    """Whether an operation brings rows together, where only the number of them is not known beforehand."""
    import tensorflow as tf

    op, place = result.op, list(rows[0].shape).index(None)
    last = place == rows[0].shape.rank - 1
    if op.type in _REDUCING:
        return reduces(op, place)
    if op.type != "Reshape" and result.shape.rank is not None and list(result.shape).count(None) > 1:
        return True  # rows beside rows
    if op.type in _SLIDING:
        return place != 0
    if op.type == "MatMul":
        return len(rows) == 2 and list(result.shape).count(None) == 0
    if op.type == "Einsum":
        return len(rows) == 2 and len(set(labels_of_rows(op))) > 1
    if op.type == "StridedSlice":
        every = op.get_attr("begin_mask") & op.get_attr("end_mask") | op.get_attr("ellipsis_mask")
        strides = tf.get_static_value(op.inputs[3])
        return place == 0 and (not every & 1 or strides is None or strides[0] != 1)
    if op.type in _MOVING:
        axes = tf.get_static_value(op.inputs[_MOVING[op.type]])
        return axes is not None and any(int(a) % rows[0].shape.rank == place for a in axes.reshape(-1))
    if op.type in ("GatherV2", "GatherNd"):
        return _picks(op, place)
    if op.type in ("Softmax", "LogSoftmax", "TopKV2", "FFT", "IFFT", "RFFT", "IRFFT"):
        return last
    return op.type in _MIXING or op.type.startswith(("Unique", "FusedBatchNorm"))


def contracts_rows(op: Any, rows: list[Any]) -> bool:
    """Whether a product of two matrices is summed over rows, whatever else nobody knows of their shapes.

    Args:
        op: the operation.
        rows: those of its inputs that differ between replicas and have dimensions that nobody knows.
    """
    if op.type != "MatMul":
        return False
    first, second = op.inputs
    summed = [
        *([first] if op.get_attr("transpose_a") else ()),
        *(() if op.get_attr("transpose_b") else [second]),
    ]
    return any(t.shape[0] is None and any(t is one for one in rows) for t in summed)


def sums_rows(op: Any) -> bool:
    """Whether what comes out is a sum over the rows, which all that goes in has in the same place."""
    if op.type != "Einsum" or any(t.shape.rank is None or list(t.shape).count(None) != 1 for t in op.inputs):
        return False
    labels = labels_of_rows(op)
    inputs, _, result = op.get_attr("equation").decode().partition("->")
    return len(labels) == len(inputs.split(",")) and len(set(labels)) == 1 and labels[0] not in result


def labels_of_rows(op: Any) -> list[str]:
    """By what letter an einsum calls the rows of each of its inputs."""
    inputs = op.get_attr("equation").decode().partition("->")[0].split(",")
    return [
        labels[list(t.shape).index(None) - t.shape.rank]
        for labels, t in zip(inputs, op.inputs, strict=True)
        if t.shape.rank and None in list(t.shape) and "." not in labels
    ]


def _picks(op: Any, place: int) -> bool:
    """Whether rows are looked up by others; those where a condition holds are not."""
    import tensorflow as tf

    rows, indices = op.inputs[:2]
    if op.type == "GatherNd" and own_places(indices.op) is not None:
        return False
    if rows.shape.rank is None or None not in list(rows.shape):
        return False  # a table
    axis = 0
    if op.type == "GatherV2":
        axis = int(tf.get_static_value(op.inputs[2]) or 0)
        if op.get_attr("batch_dims"):
            return False
    found = indices.op
    while found.type in ("Squeeze", "Cast", "Reshape", "Identity", "GatherV2"):
        found = found.inputs[0].op
    return axis == place and found.type != "Where"


def reduces(op: Any, place: int) -> bool:
    """Whether an operation reduces this dimension of what it is given."""
    import tensorflow as tf

    if op.type not in _REDUCING:
        return False
    if op.type == "L2Loss":
        return True
    axes, rank = tf.get_static_value(op.inputs[1]), op.inputs[0].shape.rank
    return axes is not None and any(int(axis) % rank == place for axis in axes.reshape(-1))
