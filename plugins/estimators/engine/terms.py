"""Terms: what numbers that a replica computes of its rows are of the numbers of the whole batch.

A step is a graph. So it can be seen, before anything is computed, whether a loss is a sum over the rows, a
mean over them, or the same in all replicas, as what is computed of weights alone; or a sum of such terms.
What is none of them has no part that could be added up to the whole's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from expcore_plugins.estimators.engine.workers import summed

SUM, MEAN, SAME = "sum", "mean", "same"

# Not StopGradient, nor IdentityN, which makes gradients of one's own: terms behind them would be trained.
_PASSED_ON = {"Identity", "Cast", "Squeeze", "Reshape", "ExpandDims", "EnsureShape", "CheckNumerics"}
_ADDED_UP = {"Add", "AddV2", "AddN"}
_DIVIDED = {"RealDiv", "Div", "DivNoNan"}
_ASSIGNED = {"AssignVariableOp", "AssignAddVariableOp", "AssignSubVariableOp"}
_READ = {"ReadVariableOp", "VarHandleOp", "ResourceGather", "ResourceGatherNd", "NoOp"}
_REDUCING = {"Sum", "Mean", "Max", "Min", "Prod", "All", "Any", "Cumsum", "ArgMax", "ArgMin"}
_MOVING = {"ReverseV2": 1, "Roll": 2, "Split": 0}  # and which input says along what
_CALLED = {"If", "While", "Case", "PartitionedCall", "StatefulPartitionedCall"}


class Factor(NamedTuple):
    """A number by which a term is multiplied, or divided."""

    value: Any
    divides: bool = False


class Term(NamedTuple):
    """A part of a sum.

    Attributes:
        leaf: the tensor.
        factors: by which it is multiplied or divided, each the same in all replicas.
        kind: ``SUM`` over the rows, ``MEAN`` over them, or the ``SAME`` in all replicas.
        count: of a mean: how many numbers it was taken of here; else None.
    """

    leaf: Any
    factors: tuple[Factor, ...] = ()
    kind: str = SUM
    count: Any = None

    def times(self, value: Any, divides: bool = False) -> Term:
        """Returns the term multiplied or divided by a number."""
        return self._replace(factors=(*self.factors, Factor(value, divides)))

    def scale(self, without: int | None = None) -> Any:
        """Returns the product of the factors, of the leaf's type, all or without one of them."""
        import tensorflow as tf

        product = tf.ones((), self.leaf.dtype)
        for i, factor in enumerate(self.factors):
            if i != without:
                value = tf.cast(factor.value, product.dtype)
                product = tf.math.divide_no_nan(product, value) if factor.divides else product * value
        return product


class NoTerms(Exception):
    """A number is no sum of terms.

    Args:
        op: the operation at which that was seen.
    """

    def __init__(self, op: Any) -> None:
        super().__init__(f"{op.type} ({op.name})")


class Terms:
    """Looks into the step of one replica while it is traced.

    Args:
        batch: the replica's rows: what is computed of them differs between replicas.
        replicas: how many there are.
        own: variables that each replica has its own values of, as sums of what it has seen.
    """

    def __init__(self, batch: Any, replicas: int, own: Iterable[Any] = ()) -> None:
        import tensorflow as tf

        self._replicas = replicas
        whole = tf.nest.flatten(batch, expand_composites=False)
        # Of ragged and sparse ones dimensions are no numbers of rows.
        self._dense = all(isinstance(t, tf.Tensor) for t in whole if tf.is_tensor(t))
        self._own = {id(v.handle) for v in own}
        self._rows = [_key(t) for t in tf.nest.flatten(batch, expand_composites=True) if _symbolic(t)]
        self._apart = dict.fromkeys(self._rows, True)
        self._parts: set[Any] = set()
        self._weights: dict[Any, Any] = {}

    def is_part(self, tensor: Any) -> Any:
        """Notes that a number, added up over the replicas, is the whole's; returns it."""
        if _symbolic(tensor):
            self._parts.add(_key(tensor))
            self._apart[_key(tensor)] = True  # also of what is the same everywhere
        return tensor

    def is_same(self, tensor: Any) -> Any:
        """Notes that a tensor is the same in all replicas; returns it."""
        if _symbolic(tensor):
            self._apart[_key(tensor)] = False
        return tensor

    def are_rows(self, tensor: Any) -> bool:
        """Whether a tensor is one of the batch, if in another shape and type, as ids that are looked up."""
        while tensor.op.type in ("Reshape", "ExpandDims", "Squeeze", "Cast", "Identity", "SelectV2"):
            # Keras looks up negative ids from the end, else the ids themselves.
            tensor = tensor.op.inputs[2 if tensor.op.type == "SelectV2" else 0]
        return _key(tensor) in self._rows

    def differs(self, tensor: Any) -> bool:
        """Whether a tensor may differ between replicas: it hangs on their rows, or was drawn at random."""
        if not _symbolic(tensor):
            return False
        waiting = [tensor]
        while waiting:
            one = waiting[-1]
            if _key(one) in self._apart:
                waiting.pop()
                continue
            sources = [t for t in _sources(one) if _symbolic(t)]
            unknown = [t for t in sources if _key(t) not in self._apart]
            if one.op.type.startswith("Collective"):
                self._apart[_key(one)] = False
            elif _draws(one.op) or self._is_own(one):
                self._apart[_key(one)] = True
            elif unknown and not any(self._apart.get(_key(t)) for t in sources):
                waiting.append(unknown[0])
            else:
                self._apart[_key(one)] = any(self._apart[_key(t)] for t in sources if _key(t) in self._apart)
        return self._apart[_key(tensor)]

    def of(self, tensor: Any) -> list[Term]:
        """Returns the terms whose sum a number is.

        Raises:
            NoTerms: it is no such sum.
        """
        if _symbolic(tensor) and _key(tensor) in self._parts:
            return [Term(tensor)]
        if not self.differs(tensor):
            return [Term(tensor, kind=SAME)]
        if tensor.shape.rank != 0 or self._is_count(tensor):
            return [Term(tensor)]
        op = tensor.op
        if op.type in _PASSED_ON and (inner := op.inputs[tensor.value_index]).shape.rank == 0:
            terms = self.of(inner)
            alone = len(terms) == 1 and not terms[0].factors
            return [terms[0]._replace(leaf=tensor)] if alone else terms
        if op.type in _ADDED_UP | {"Sub"} and all(t.shape.rank == 0 for t in op.inputs):
            return list(self._added(op))
        if op.type == "Neg":
            return [term.times(-1.0) for term in self.of(op.inputs[0])]
        if op.type == "Mul":
            return self._multiplied(op)
        if op.type in _DIVIDED:
            return self._divided(op)
        if op.type in ("Sum", "Mean", "L2Loss"):
            return self._reduced(tensor)
        raise NoTerms(op)

    def part(self, tensor: Any) -> Any:
        """Returns what, added up over the replicas, is what the whole batch's would be.

        Args:
            tensor: a number, or many of which each is the same in all replicas, or a sum over the rows.

        Raises:
            NoTerms: there is none.
        """
        import tensorflow as tf

        if tensor.shape.rank != 0 and self.differs(tensor) and not _is_sum(tensor):
            raise NoTerms(tensor.op)
        terms = self.of(tensor)
        if [(t.factors, t.kind) for t in terms] == [((), SUM)]:
            return self.is_part(tf.identity(tensor))
        if not tensor.dtype.is_floating:
            raise NoTerms(tensor.op)  # of which there are no parts
        values = [tf.math.multiply_no_nan(t.leaf, t.scale() * self.weight(t)) for t in terms]
        return self.is_part(tf.add_n([tf.cast(value, tensor.dtype) for value in values]))

    def weight(self, term: Term) -> Any:
        """Returns what a term is multiplied by for its replica's part, besides its factors; of its type."""
        import tensorflow as tf

        one = tf.ones((), term.leaf.dtype)
        if term.kind == SAME:
            return one / self._replicas
        if term.kind == SUM:
            return one
        key = _key(term.leaf)
        if key not in self._weights:  # made once: it asks all replicas
            count = tf.cast(term.count, tf.float32)
            self._weights[key] = tf.math.divide_no_nan(count, summed(count))
        return tf.cast(self._weights[key], one.dtype)

    def meeting(self, tensor: Any) -> Any:
        """Looks for an operation in which rows of the batch meet each other, as all those of a replica do.

        Args:
            tensor: what is computed of them.

        Returns:
            The last operation that reduces the rows, or compares them with one another, unless the replicas
            do it together; None: none is seen.
        """
        if not self._dense:
            return None
        waiting, seen = [tensor], {_key(tensor)}
        while waiting:
            one = waiting.pop()
            if _key(one) in self._rows:
                continue
            if _meets([t for t in one.op.inputs if self.differs(t)], one):
                return one.op
            new = [t for t in _sources(one) if _symbolic(t) and _key(t) not in seen and self.differs(t)]
            seen.update(map(_key, new))
            waiting.extend(new)
        return None

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
                found = handles.get(id(_outside(op.inputs[0])))
                if found is not None:
                    return str(found.name)
        return None

    def counted(self, value: Any, variable: Any) -> Any:
        """Returns what is added to a variable where this value is written to it.

        Raises:
            NoTerms: it is another value than the variable's and something added.
        """
        op = value.op
        if op.type in _ADDED_UP and len(op.inputs) == 2:
            for old, added in (op.inputs, reversed(op.inputs)):
                if self._is_own(old, {id(variable.handle)}):
                    return added
        raise NoTerms(op)

    def _is_own(self, tensor: Any, handles: set[int] | None = None) -> bool:
        """Whether a tensor is what was read of such a variable."""
        op = tensor.op
        while op.type in ("Identity", "Cast"):
            op = op.inputs[0].op
        own = self._own if handles is None else handles
        return op.type == "ReadVariableOp" and id(_outside(op.inputs[0])) in own

    def _is_count(self, tensor: Any) -> bool:
        return self._dense and _is_count(tensor)

    def _added(self, op: Any) -> Iterator[Term]:
        for i, each in enumerate(op.inputs):
            for term in self.of(each):
                yield term.times(-1.0) if op.type == "Sub" and i else term

    def _multiplied(self, op: Any) -> list[Term]:
        one, two = op.inputs
        if self.differs(one):
            one, two = two, one
        if self.differs(one):
            raise NoTerms(op)
        return [term.times(one) for term in self.of(two)]

    def _divided(self, op: Any) -> list[Term]:
        import tensorflow as tf

        above, below = op.inputs
        terms = self.of(above)
        if not self.differs(below):
            return [term.times(below, divides=True) for term in terms]
        own = all(t.kind == SUM and _key(t.leaf) not in self._parts for t in terms)
        if not (own and self._is_count(below)):
            raise NoTerms(op)
        count = tf.cast(below, tf.float32)
        return [term.times(below, divides=True)._replace(kind=MEAN, count=count) for term in terms]

    def _reduced(self, tensor: Any) -> list[Term]:
        """A number made of many: of a list of numbers, or of what there is of each row."""
        import tensorflow as tf

        op = tensor.op
        many = op.inputs[0]
        if many.shape.rank == 0 and op.type != "L2Loss":
            return self.of(many)
        if many.op.type == "Pack" and all(t.shape.rank == 0 for t in many.op.inputs):
            terms = [term for one in many.op.inputs for term in self.of(one)]
            count = float(len(many.op.inputs))
            return [t.times(count, divides=True) for t in terms] if op.type == "Mean" else terms
        if many.shape.is_fully_defined():  # whatever this is, it is not there once a row
            raise NoTerms(op)
        return [Term(tensor, kind=MEAN, count=tf.size(many))] if op.type == "Mean" else [Term(tensor)]


def _symbolic(value: Any) -> bool:
    import tensorflow as tf

    return tf.is_tensor(value) and tf.is_symbolic_tensor(value)


def _key(tensor: Any) -> Any:
    return id(tensor.graph), tensor.name


def _outside(tensor: Any) -> Any:
    """What a tensor was outside of the function whose argument it is; else the tensor itself."""
    if tensor.op.type == "Placeholder":
        for outer, inner in getattr(tensor.graph, "captures", ()):
            if inner is tensor:
                return outer
    return tensor


def _sources(tensor: Any) -> list[Any]:
    outer = _outside(tensor)
    return [outer] if outer is not tensor else list(tensor.op.inputs)


def _draws(op: Any) -> bool:
    """Whether what comes out hangs on more than what goes in: numbers drawn, files read."""
    if "Random" in op.type or "Multinomial" in op.type:
        return True
    return bool(op.op_def.is_stateful) and op.type not in _READ | _CALLED


def _meets(rows: list[Any], result: Any) -> bool:
    """Whether an operation brings rows together, where only the number of them is not known beforehand."""
    import tensorflow as tf

    if not rows or any(t.shape.rank is None or list(t.shape).count(None) != 1 for t in rows):
        return False
    op, among = result.op, rows[0].shape[0] is None
    if result.shape.rank is not None and list(result.shape).count(None) > 1:
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
    if op.type == "TopKV2":
        return among and rows[0].shape.rank == 1
    if op.type not in _REDUCING or not among:
        return False
    axes = tf.get_static_value(op.inputs[1])
    return axes is not None and any(int(axis) in (0, -rows[0].shape.rank) for axis in axes.reshape(-1))


def _is_sum(tensor: Any) -> bool:
    """Whether these are sums over the rows, one or many."""
    op = tensor.op
    while op.type in ("Cast", "Identity"):
        op = op.inputs[0].op
    return op.type == "Sum" and not op.inputs[0].shape.is_fully_defined()


def _is_count(tensor: Any) -> bool:
    """Whether a number says how many rows there are: a dimension, or the size, of something."""
    import tensorflow as tf

    op = tensor.op
    while op.type in ("Cast", "Identity"):
        op = op.inputs[0].op
    if op.type == "Size":
        return True
    if op.type == "Prod":  # of a shape, not of the rows
        return op.inputs[0].op.type in ("Shape", "Pack") and op.inputs[0].dtype.is_integer
    if op.type != "StridedSlice" or op.inputs[0].op.type != "Shape":
        return False
    place = tf.get_static_value(op.inputs[1])
    return place is not None and list(place) == [0]
