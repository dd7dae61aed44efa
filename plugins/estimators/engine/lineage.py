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
_READ = {*_READING, "VarHandleOp", "NoOp"}
_REDUCING = {"Sum", "Mean", "Max", "Min", "Prod", "All", "Any", "Cumsum", "ArgMax", "ArgMin"}
_MOVING = {"ReverseV2": 1, "Roll": 2, "Split": 0}  # and which input says along what
_TURNING = {"Transpose", "BatchMatMulV2", "While", "StatelessWhile", "TensorListStack"}
_CALLED = {"If", "While", "Case", "PartitionedCall", "StatefulPartitionedCall"}


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
            if one.op.type.startswith("Collective"):
                self._apart[key(one)] = False
            elif _draws(one.op) or _is_read_of(one, self._own):
                self._apart[key(one)] = True
            elif unknown and not any(self._apart.get(key(t)) for t in sources):
                waiting.append(unknown[0])
            else:
                self._apart[key(one)] = any(self._apart[key(t)] for t in sources if key(t) in self._apart)
        return self._apart[key(tensor)]

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
        return len(rows) == 1 and 0 not in unknown and _reduces(result.op) and self._begins_with_rows(rows[0])

    def _begins_with_rows(self, tensor: Any) -> bool:
        """Whether the first dimension is that of the rows, where others are not known either."""
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
            if op.type in _ASSIGNED and self.differs(op.inputs[1]):
                found = handles.get(id(outside(op.inputs[0])))
                if found is not None:
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


def _draws(op: Any) -> bool:
    """Whether what comes out hangs on more than what goes in: numbers drawn, files read."""
    if "Random" in op.type or "Multinomial" in op.type:
        return True
    return bool(op.op_def.is_stateful) and op.type not in _READ | _CALLED


def _meets(rows: list[Any], result: Any) -> bool:
    """Whether an operation brings rows together, where only the number of them is not known beforehand."""
    import tensorflow as tf

    op, among = result.op, rows[0].shape[0] is None
    if op.type in _REDUCING:
        return among and _reduces(op)
    if op.type != "Reshape" and result.shape.rank is not None and list(result.shape).count(None) > 1:
        return True  # rows beside rows
    if op.type == "MatMul":
        return len(rows) == 2 and list(result.shape).count(None) == 0
    if op.type == "StridedSlice":
        every = op.get_attr("begin_mask") & op.get_attr("end_mask") | op.get_attr("ellipsis_mask")
        strides = tf.get_static_value(op.inputs[3])
        return among and (not every & 1 or strides is None or strides[0] != 1)
    if op.type in _MOVING:
        axes = tf.get_static_value(op.inputs[_MOVING[op.type]])
        return among and axes is not None and 0 in axes.reshape(-1)
    return op.type == "TopKV2" and among and rows[0].shape.rank == 1


def _reduces(op: Any) -> bool:
    """Whether an operation reduces the first dimension of what it is given."""
    import tensorflow as tf

    if op.type not in _REDUCING:
        return False
    axes = tf.get_static_value(op.inputs[1])
    return axes is not None and any(int(axis) in (0, -op.inputs[0].shape.rank) for axis in axes.reshape(-1))
