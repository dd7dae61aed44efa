"""Lineage: what the numbers of a replica's step hang on, as the graph that is traced says it.

A step is a graph. So it can be seen, before anything is computed, which of its numbers differ between the
replicas, since they are made of the rows of one, and where rows meet each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_ASSIGNED = {"AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"}
_SIZES = {"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"}  # of what, but not its values
_READING = {"ReadVariableOp", "ResourceGather", "ResourceGatherNd"}
_READ = {*_READING, "VarHandleOp", "VariableShape", "NoOp"}
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
_TURNING = {"Transpose", "BatchMatMulV2", "While", "StatelessWhile", "TensorListStack"}


class Lineage:
    """Looks into the step of one replica while it is traced.

    Args:
        batch: the replica's rows: what is computed of them differs between replicas.
        own: variables that each replica has its own values of, as sums of what it has seen.

    Attributes:
        dense: whether the batch has dense tensors only; of others dimensions are no numbers of rows.
    """

    def __init__(self, batch: Any, own: Iterable[Any] = ()) -> None:
        import tensorflow as tf

        whole = tf.nest.flatten(batch, expand_composites=False)
        self.dense = all(isinstance(t, tf.Tensor) for t in whole if tf.is_tensor(t))
        self._own = {id(v.handle) for v in own}
        self._rows = [key(t) for t in tf.nest.flatten(batch, expand_composites=True) if symbolic(t)]
        self._apart = dict.fromkeys(self._rows, True)

    def is_apart(self, tensor: Any) -> Any:
        """Notes that a tensor differs between replicas; returns it."""
        if symbolic(tensor):
            self._apart[key(tensor)] = True
        return tensor

    def is_same(self, tensor: Any) -> Any:
        """Notes that a tensor is the same in all replicas; returns it."""
        if symbolic(tensor):
            self._apart[key(tensor)] = False
        return tensor

    def are_rows(self, tensor: Any) -> bool:
        """Whether a tensor is one of the batch, if in another shape and type, as ids that are looked up."""
        while tensor.op.type in ("Reshape", "ExpandDims", "Squeeze", "Cast", "Identity", "SelectV2"):
            # Keras looks up negative ids from the end, else the ids themselves.
            tensor = tensor.op.inputs[2 if tensor.op.type == "SelectV2" else 0]
        return key(tensor) in self._rows

    def differs(self, tensor: Any) -> bool:
        """Whether a tensor may differ between replicas: it hangs on their rows, or was drawn at random."""
        if not symbolic(tensor):
            return False
        waiting = [tensor]
        while waiting:
            one = waiting[-1]
            if key(one) in self._apart:
                waiting.pop()
                continue
            sources = [t for t in sources_of(one) if symbolic(t)]
            unknown = [t for t in sources if key(t) not in self._apart]
            if one.op.type.startswith("Collective") or self._is_other_dimension(one):
                self._apart[key(one)] = False
            elif _draws(one.op) or _is_read_of(one, self._own):
                self._apart[key(one)] = True
            elif unknown and not any(self._apart.get(key(t)) for t in sources):
                waiting.append(unknown[0])
            else:
                self._apart[key(one)] = any(self._apart[key(t)] for t in sources if key(t) in self._apart)
        return self._apart[key(tensor)]

    def counts_rows(self, tensor: Any) -> bool:
        """Whether a number says how many rows there are: a dimension, or the size, of something dense."""
        op = tensor.op
        while op.type in ("Cast", "Identity"):
            op = op.inputs[0].op
        if not self.dense or tensor.shape.rank != 0 or not self.differs(tensor):
            return False
        if op.type == "Size":
            return not op.inputs[0].op.type.startswith("Unique")
        if op.type == "Prod":  # of a shape, not of the rows
            return op.inputs[0].op.type in ("Shape", "Pack") and op.inputs[0].dtype.is_integer
        return (shaped := _shaped(op)) is not None and shaped[1] == 0 and self._begins_with_rows(shaped[0])

    def _is_other_dimension(self, tensor: Any) -> bool:
        """Whether a number is a dimension of something dense that is as large in all replicas."""
        if not self.dense or (shaped := _shaped(tensor.op)) is None:
            return False
        return shaped[1] > 0 and self._begins_with_rows(shaped[0])

    def meeting(self, tensor: Any) -> Any:
        """Looks for an operation in which rows of the batch meet each other, as all those of a replica do.

        Args:
            tensor: what is computed of them.

        Returns:
            The last operation that reduces the rows, or compares them with one another, unless the replicas
            do it together; None: none is seen.
        """
        waiting, seen = [tensor], {key(tensor)}
        while waiting:
            one = waiting.pop()
            if key(one) in self._rows:
                continue
            rows = [t for t in one.op.inputs if self.differs(t)]
            if any(map(self.counts_rows, rows)) and one.dtype.is_floating and one.shape.rank != 0:
                return one.op  # how many rows one replica has, beside rows
            # Of ragged and sparse ones whole numbers say where rows begin.
            if (self.dense or all(t.dtype.is_floating for t in rows)) and self._meets(rows, one):
                return one.op
            new = [t for t in sources_of(one) if symbolic(t) and key(t) not in seen and self.differs(t)]
            seen.update(map(key, new))
            waiting.extend(new)
        return None

    def _meets(self, rows: list[Any], result: Any) -> bool:
        """Whether an operation brings rows together."""
        if any(t.shape.rank is None for t in rows) or not rows:
            return False
        unknown = {list(t.shape).count(None) for t in rows}
        if unknown == {1}:  # the number of rows
            return _meets(rows, result)
        if len(rows) != 1 or 0 in unknown:
            return False
        return _reduces(result.op, 0) and rows[0].shape[0] is None and self._begins_with_rows(rows[0])

    def _begins_with_rows(self, tensor: Any) -> bool:
        """Whether the first dimension is that of the rows, where others may not be known either."""
        if tensor.shape.rank in (None, 0) or tensor.shape[0] is not None:
            return False
        if list(tensor.shape).count(None) == 1:
            return True
        waiting, seen = [tensor], {key(tensor)}
        while waiting:
            one = waiting.pop()
            if one.op.type in _TURNING or one.shape.rank is None:
                return False
            new = [t for t in sources_of(one) if symbolic(t) and key(t) not in seen and self.differs(t)]
            seen.update(map(key, new))
            waiting.extend(t for t in new if key(t) not in self._rows)
        return True

    def changes(self, variables: list[Any]) -> str | None:
        """Looks for a variable that the replicas change each in its own way.

        Args:
            variables: those that have to stay the same everywhere.

        Returns:
            The name of the first that does not; None: all do.
        """
        import tensorflow as tf

        graph = tf.compat.v1.get_default_graph()
        handles = {id(v.handle): v for v in variables}
        for op in graph.get_operations():
            if op.type in _ASSIGNED:
                written = op.inputs[:1] if self.differs(op.inputs[1]) else []
            elif calls(op) and _assigns(op) and any(self.differs(t) for t in _values(op)):
                written = [t for t in op.inputs if t.dtype == tf.resource]
            else:
                continue
            for tensor in written:
                if (found := handles.get(id(outside(tensor)))) is not None:
                    return str(found.name)
        return None

    def added_to(self, value: Any, variable: Any) -> Any:
        """Returns what is added to a variable where this value is written to it.

        Returns:
            None: it is another value than the variable's and something added.
        """
        op = value.op
        if op.type in ("Add", "AddV2") and len(op.inputs) == 2:
            for old, added in (op.inputs, reversed(op.inputs)):
                if _is_read_of(old, {id(variable.handle)}):
                    return added
        return None

    def hangs_on(self, tensor: Any, wanted: Iterable[Any] | None) -> bool:
        """Whether a tensor's values are computed of one of these: tensors, or variables by their handles.

        Args:
            tensor: the tensor.
            wanted: of what; None: of any variable.
        """
        places = None if wanted is None else {_name(t) for t in wanted}
        seen, waiting = set(), [tensor]
        while waiting:
            one = waiting.pop()
            if _name(one) in seen:
                continue
            seen.add(_name(one))
            if _name(one) in places if places is not None else symbolic(one) and one.op.type in _READING:
                return True
            if symbolic(one) and one.op.type not in _SIZES:
                waiting.extend(sources_of(one))
        return False


def _is_read_of(tensor: Any, handles: set[int]) -> bool:
    """Whether a tensor is what was read of such a variable."""
    op = tensor.op
    while op.type in ("Identity", "Cast"):
        op = op.inputs[0].op
    return op.type == "ReadVariableOp" and id(outside(op.inputs[0])) in handles


def symbolic(value: Any) -> bool:
    """Whether it is a tensor of a graph."""
    import tensorflow as tf

    return tf.is_tensor(value) and tf.is_symbolic_tensor(value)


def key(tensor: Any) -> Any:
    """What tells a tensor of a graph from all others."""
    return id(tensor.graph), tensor.name


def _name(tensor: Any) -> Any:
    """The same of tensors outside of graphs, as the handles of variables are."""
    return key(tensor) if symbolic(tensor) else id(tensor)


def outside(tensor: Any) -> Any:
    """Returns what a tensor was outside of the function whose argument it is; else the tensor itself."""
    if tensor.op.type == "Placeholder":
        for outer, inner in getattr(tensor.graph, "captures", ()):
            if inner is tensor:
                return outer
    return tensor


def sources_of(tensor: Any) -> list[Any]:
    """Returns what a tensor is computed of, also outside of the function whose argument it is."""
    outer = outside(tensor)
    return [outer] if outer is not tensor else list(tensor.op.inputs)


def calls(op: Any) -> bool:
    """Whether an operation runs functions, which are graphs of their own."""
    return any(attribute.type in ("func", "list(func)") for attribute in op.op_def.attr)


def _values(op: Any) -> list[Any]:
    import tensorflow as tf

    return [t for t in op.inputs if t.dtype != tf.resource]


def _assigns(op: Any) -> bool:
    """Whether a function that is called, or one of the functions that it calls, writes to variables."""
    library = {f.signature.name: f for f in op.graph.as_graph_def().library.function}
    waiting, seen = [op.node_def], set()
    while waiting:
        node = waiting.pop()
        if node.op in _ASSIGNED:
            return True
        for attribute in node.attr.values():
            for name in [attribute.func.name, *(f.name for f in attribute.list.func)]:
                if name in library and name not in seen:
                    seen.add(name)
                    waiting.extend(library[name].node_def)
    return False


def _draws(op: Any) -> bool:
    """Whether what comes out hangs on more than what goes in: numbers drawn, files read."""
    if "Random" in op.type or "Multinomial" in op.type:
        return True
    return bool(op.op_def.is_stateful) and op.type not in _READ and not calls(op)


def _shaped(op: Any) -> tuple[Any, int] | None:
    """Of what a number is a dimension, and which, from 0; None: it is none."""
    import tensorflow as tf

    if op.type != "StridedSlice" or op.inputs[0].op.type != "Shape":
        return None
    place = tf.get_static_value(op.inputs[1])
    tensor = op.inputs[0].op.inputs[0]
    if place is None or len(place) != 1 or tensor.shape.rank is None:
        return None
    return tensor, int(place[0]) % max(tensor.shape.rank, 1)


def _meets(rows: list[Any], result: Any) -> bool:
    """Whether an operation brings rows together, where only the number of them is not known beforehand."""
    import tensorflow as tf

    op, place = result.op, list(rows[0].shape).index(None)
    last = place == rows[0].shape.rank - 1
    if op.type in _REDUCING:
        return _reduces(op, place)
    if op.type != "Reshape" and result.shape.rank is not None and list(result.shape).count(None) > 1:
        return True  # rows beside rows
    if op.type == "MatMul":
        return len(rows) == 2 and list(result.shape).count(None) == 0
    if op.type == "Einsum":
        return len(rows) == 2 and len(set(_labels_of_rows(op))) > 1
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


def _labels_of_rows(op: Any) -> list[str]:
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


def _reduces(op: Any, place: int) -> bool:
    """Whether an operation reduces this dimension of what it is given."""
    import tensorflow as tf

    if op.type not in _REDUCING:
        return False
    axes, rank = tf.get_static_value(op.inputs[1]), op.inputs[0].shape.rank
    return axes is not None and any(int(axis) % rank == place for axis in axes.reshape(-1))
