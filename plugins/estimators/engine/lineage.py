"""Lineage: what the numbers of a replica's step hang on, as the graph that is traced says it.

A step is a graph. So it can be seen, before anything is computed, which of its numbers differ between the
replicas, since they are made of the rows of one, and where rows meet each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from expcore_plugins.estimators.engine.functions import Function, calls, functions_of
from expcore_plugins.estimators.engine.mixing import (
    contracts_rows,
    meets,
    merges_rows,
    own_places,
    places_rows,
    reduces,
)

_ASSIGNED = {"AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"}
_SIZES = {"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"}  # of what, but not its values
_READING = {"ReadVariableOp", "ResourceGather", "ResourceGatherNd"}
_READ = {*_READING, "VarHandleOp", "VariableShape", "NoOp"}
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
        kinds = ("Reshape", "ExpandDims", "Squeeze", "Cast", "Identity", "SelectV2")
        while key(tensor) not in self._rows and tensor.op.type in kinds:
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

    def _is_of_counts(self, tensor: Any) -> bool:
        """Whether a number is computed of how many rows there are, and of nothing else of them."""
        if tensor.shape.rank != 0 or not self.differs(tensor):
            return False
        waiting, seen = [tensor], {key(tensor)}
        while waiting:
            one = waiting.pop()
            if self.counts_rows(one):
                continue
            sources = [t for t in one.op.inputs if self.differs(t)]
            if not sources or any(t.shape.rank != 0 for t in sources):
                return False
            new = [t for t in sources if key(t) not in seen]
            seen.update(map(key, new))
            waiting.extend(new)
        return True

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
            if any(map(self._is_of_counts, rows)) and one.dtype.is_floating and one.shape.rank != 0:
                return one.op  # how many rows one replica has, beside rows
            if self.dense and (places_rows(one.op, rows) or merges_rows(one.op, rows)):
                return one.op  # where a row is among those of one replica
            # Of ragged and sparse ones whole numbers say where rows begin.
            if (self.dense or all(t.dtype.is_floating for t in rows)) and self._meets(rows, one):
                return one.op
            found = [t for t in sources_of(one) if t is not own_places(one.op)]
            for function in functions_of(one.op):
                self._enter(function)
                if function.loops and self._goes_through(function):
                    return one.op
                found.append(function.results[one.value_index])
            new = [t for t in found if symbolic(t) and key(t) not in seen and self.differs(t)]
            seen.update(map(key, new))
            waiting.extend(new)
        return None

    def _goes_through(self, loop: Function) -> bool:
        """Whether a loop takes one row after the other, and a number with it from each to the next."""
        lists = [outer.op for outer, _ in loop.inputs if outer.op.type == "TensorListFromTensor"]
        of_rows = [op for op in lists if self.differs(op.inputs[0]) and self._begins_with_rows(op.inputs[0])]
        if not of_rows:
            return False
        carried = [t for (_, t), after in zip(loop.inputs, loop.results, strict=True) if t is not after]
        if any(t.dtype.is_floating for t in carried):
            return True
        read = (op for op in loop.graph.get_operations() if op.type == "TensorListGetItem")
        return any(op.inputs[0] is t for op in read for t in carried)  # a list that is a number's place

    def _meets(self, rows: list[Any], result: Any) -> bool:
        """Whether an operation brings rows together."""
        rows = [t for t in rows if not t.shape.is_fully_defined()]  # others are numbers of rows, or places
        if any(t.shape.rank is None for t in rows) or not rows:
            return False
        if contracts_rows(result.op, rows):
            return True
        unknown = {list(t.shape).count(None) for t in rows}
        if unknown == {1}:  # the number of rows
            return meets(rows, result)
        if len(rows) != 1 or 0 in unknown:
            return False
        return reduces(result.op, 0) and rows[0].shape[0] is None and self._begins_with_rows(rows[0])

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

    def written(self) -> list[Any]:
        """Returns the handles of all variables that the replicas give each a value of its own."""
        import tensorflow as tf

        return list(self._written(tf.compat.v1.get_default_graph().get_operations()))

    def _written(self, operations: Iterable[Any], apart: bool = False) -> Iterator[Any]:
        """The handles that some operations write to, where a replica may run them while another does not."""
        for op in operations:
            if op.type in _ASSIGNED and (apart or self.differs(op.inputs[1])):
                yield outermost(op.inputs[0])
            for function in functions_of(op):
                self._enter(function)
                decided = apart or any(map(self.differs, function.deciding))
                yield from self._written(function.graph.get_operations(), decided)

    def _enter(self, function: Function) -> None:
        """Takes note of what the inputs of a function are; in a loop also after its first turn."""
        apart = [self.differs(outer) for outer, _ in function.inputs]
        for (_, inner), differs in zip(function.inputs, apart, strict=True):
            if (differs or (function.loops and any(apart))) and not self._apart.get(key(inner)):
                # It was called before with what is the same everywhere: that is worked out again.
                self._apart = {k: v for k, v in self._apart.items() if v or k[0] != id(inner.graph)}
                self._apart[key(inner)] = True

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
    return op.type == "ReadVariableOp" and id(outermost(op.inputs[0])) in handles


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


def outermost(tensor: Any) -> Any:
    """Returns what a tensor was outside of all functions whose argument it is."""
    while symbolic(tensor) and (outer := outside(tensor)) is not tensor:
        tensor = outer
    return tensor


def sources_of(tensor: Any) -> list[Any]:
    """Returns what a tensor is computed of, also outside of the function whose argument it is."""
    outer = outside(tensor)
    return [outer] if outer is not tensor else list(tensor.op.inputs)


def _draws(op: Any) -> bool:
    """Whether what comes out hangs on more than what goes in: numbers drawn, files read."""
    if op.type.startswith("Stateless"):
        return False  # it hangs on its seed
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
