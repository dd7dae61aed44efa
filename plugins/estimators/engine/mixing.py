"""Operations in which rows of a batch meet each other, one by one."""

from __future__ import annotations

from typing import Any

_REDUCING = {
    *("Sum", "Mean", "Max", "Min", "Prod", "All", "Any", "ArgMax", "ArgMin"),
    *("Cumsum", "Cumprod", "CumulativeLogsumexp"),
}
_MIXING = {
    *("UnsortedSegmentSum", "UnsortedSegmentMax", "UnsortedSegmentMin", "UnsortedSegmentProd"),
    *("SegmentSum", "SegmentMean", "SegmentMax", "SegmentMin", "SegmentSumV2", "SegmentMaxV2"),
    *("Bincount", "DenseBincount", "TensorScatterAdd", "TensorScatterUpdate", "ScatterNd"),
}
_MOVING = {"ReverseV2": 1, "Roll": 2, "Split": 0}  # and which input says along what
_SLIDING = {
    *("Conv2D", "Conv3D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "Conv3DBackpropInputV2"),
    *("MaxPool", "MaxPool3D", "AvgPool", "AvgPool3D", "Dilation2D", "LRN"),
}


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
    if op.type in ("Softmax", "LogSoftmax", "TopKV2"):
        return last
    return op.type in _MIXING or op.type.startswith(("Unique", "FusedBatchNorm"))


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
    axes, rank = tf.get_static_value(op.inputs[1]), op.inputs[0].shape.rank
    return axes is not None and any(int(axis) % rank == place for axis in axes.reshape(-1))
