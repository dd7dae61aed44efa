"""Terms: what numbers that a replica computes of its rows are of the numbers of the whole batch.

A number of a batch is computed of sums and means over its rows, its terms. Those of the whole batch can be
made of the replicas' own; so the number is computed once more, of the whole's terms instead of a replica's.
What rows do to it before they are added up, no replica can see for another: a number that is made of them in
another way, as their maximum, has no terms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from expcore_plugins.estimators.engine.functions import calls
from expcore_plugins.estimators.engine.lineage import Lineage, key, outside, symbolic
from expcore_plugins.estimators.engine.mixing import sums_rows
from expcore_plugins.estimators.engine.workers import summed

_HIDING = {"IdentityN", "Enter", "Exit", "Merge", "Switch", "NextIteration", "Placeholder"}


class Term(NamedTuple):
    """What a number is computed of.

    Attributes:
        leaf: the tensor, this replica's.
        count: of a mean over the rows, of how many numbers it was taken here; None: it is a sum over them.
        same: whether it is neither, but the same in all replicas.
    """

    leaf: Any
    count: Any = None
    same: bool = False


class Share(NamedTuple):
    """What a replica has of a gradient: that of a tensor.

    Attributes:
        tensor: what is differentiated.
        factor: by which it is multiplied, of the tensor's shape; None: by 1.
    """

    tensor: Any
    factor: Any = None


class NoTerms(Exception):
    """A number is not computed of sums and means over the rows.

    Args:
        op: the operation at which that was seen.
    """

    def __init__(self, op: Any) -> None:
        what = f"the operation {op.type} ({op.name})"
        if calls(op):
            why = (
                "into which nobody can look, as it is a tf.function, tf.cond or tf.while_loop: take that off"
            )
        elif op.type == "IdentityN":
            why = "which has a gradient of its own (tf.custom_gradient)"
        elif any(tensor.dtype.is_complex for tensor in op.outputs):
            why = "whose numbers are complex"
        elif "Random" in op.type:
            why = "which draws another number in each of them"
        else:
            why = "which makes something else of the examples than their sum or mean"
        super().__init__(f"{what}, {why}")


class Terms:
    """Finds the terms of numbers while the step of one replica is traced.

    Args:
        lineage: what tensors hang on.
        replicas: how many there are.
        look: is given what sums and means are taken of.

    Attributes:
        lineage: as given.
    """

    def __init__(self, lineage: Lineage, replicas: int, look: Callable[[Any], None]) -> None:
        self.lineage, self._replicas, self._look = lineage, replicas, look
        self._parts: set[Any] = set()
        self._weights: dict[Any, Any] = {}
        self._wholes: dict[Any, Any] = {}

    def is_part(self, tensor: Any) -> Any:
        """Notes that a number, added up over the replicas, is the whole's; returns it."""
        if symbolic(tensor):
            self._parts.add(key(tensor))
            self.lineage.is_apart(tensor)  # also of what is the same everywhere
        return tensor

    def part(self, tensor: Any) -> Any:
        """Returns what, added up over the replicas, is what the whole batch's number would be.

        Args:
            tensor: a number, or many of which each is one of the whole batch; these have no gradients.

        Raises:
            NoTerms: there is none.
        """
        import tensorflow as tf

        if self._is_sum(tensor):
            return self.is_part(tf.identity(tensor))
        if tensor.dtype in (tf.int32, tf.int64):  # which cannot be divided
            return self.is_part(_of_the_first(_Copy(self, self.whole).of(tensor)))
        if not tensor.dtype.is_floating:
            raise NoTerms(tensor.op)
        if tensor.shape.rank != 0:
            return self.is_part(_Copy(self, self.whole).of(tensor) / self._replicas)
        copy = self._copy(tensor, None)
        shares = list(self._shares_of(copy, tensor))
        value = self._part_of(copy, tensor)

        @tf.custom_gradient
        def number(*_: Any) -> Any:
            return tf.identity(value), lambda above: [above * share.factor for share in shares]

        return self.is_part(number(*(share.tensor for share in shares)) if shares else tf.identity(value))

    def of_all(self, tensor: Any) -> Any:
        """Returns what numbers are of the whole batch, with the gradients that they have.

        Raises:
            NoTerms: they are not computed of sums and means over the rows.
        """
        return self.lineage.is_same(_Copy(self, self._total, recorded=True).of(tensor))

    def shares(self, tensor: Any, sources: Iterable[Any]) -> list[Share]:
        """Returns what to differentiate here, so that the sum over the replicas is the whole's gradient.

        Args:
            tensor: a number of the batch, or one of each row, whose sum is meant.
            sources: what it is differentiated for, as far as it is the same in all replicas.

        Raises:
            NoTerms: it cannot be said.
        """
        if self.of_rows(tensor):
            self._look(tensor)
            return [Share(tensor)]
        if self._is_sum(tensor) or not tensor.dtype.is_floating:
            return [Share(tensor)]
        return list(self._shares_of(self._copy(tensor, sources), tensor))

    def _copy(self, tensor: Any, sources: Iterable[Any] | None) -> _Copy:
        """A copy made of this replica's own parts, if derivatives hang on no others; else of the whole's."""
        own = _Copy(self, self.own, sources)
        own.of(tensor)
        if own.is_linear(tensor):
            return own
        whole = _Copy(self, self.whole, sources)
        whole.of(tensor)
        return whole

    def _shares_of(self, copy: _Copy, tensor: Any) -> Iterator[Share]:
        for term, _, factor in copy.factors(tensor):
            yield Share(term.leaf, factor * self.weight(term))

    def _part_of(self, copy: _Copy, tensor: Any) -> Any:
        """This replica's part of a number: of what is not made of the rows, all have as much."""
        import tensorflow as tf

        value = copy.of(tensor)
        if copy.value == self.whole:
            return value / self._replicas
        of_rows = [f * p for term, p, f in copy.factors(tensor) if not term.same]
        constant = value - tf.add_n(of_rows) if of_rows else value
        return value - constant * ((self._replicas - 1) / self._replicas)

    def term(self, tensor: Any) -> Term | None:
        """Returns the term that a tensor is; None: it is none, but may be computed of some."""
        import tensorflow as tf

        if not symbolic(tensor):
            return None
        if key(tensor) in self._parts:
            return Term(tensor)
        if not (self.lineage.differs(tensor) and tensor.shape.is_fully_defined()) or tensor.dtype.is_complex:
            return None
        op = tensor.op
        while _only_passes_on(op) and key(op.inputs[0]) not in self._parts:
            op = op.inputs[0].op
        if self.lineage.counts_rows(tensor):
            return Term(tensor)
        if (op.type == "MatMul" and all(map(self.of_rows, op.inputs))) or sums_rows(op):
            for one in op.inputs:
                self._look(one)
            return Term(tensor)
        if op.type not in ("Sum", "Mean", "L2Loss") or not self.of_rows(many := op.inputs[0]):
            return None
        self._look(many)
        if op.type != "Mean":
            return Term(tensor)
        return Term(tensor, count=tf.size(many) // max(tensor.shape.num_elements(), 1))

    def _is_sum(self, tensor: Any) -> bool:
        term = self.term(tensor)
        return term is not None and term.count is None

    def weight(self, term: Term) -> Any:
        """Returns what a term is multiplied by for its replica's part; of its type."""
        import tensorflow as tf

        one = tf.ones((), term.leaf.dtype)
        if term.same:
            return one / self._replicas
        if term.count is None:
            return one
        place = key(term.leaf)
        if place not in self._weights:  # made once: it asks all replicas
            count = tf.cast(term.count, tf.float32)
            self._weights[place] = tf.math.divide_no_nan(count, summed(count))
        return tf.cast(self._weights[place], one.dtype)

    def own(self, term: Term) -> Any:
        """Returns this replica's part of a term."""
        import tensorflow as tf

        if term.same or term.count is None:
            return tf.identity(term.leaf)
        return tf.math.multiply_no_nan(term.leaf, self.weight(term))  # without rows it is no number

    def whole(self, term: Term) -> Any:
        """Returns a term of the whole batch."""
        import tensorflow as tf

        if term.same:
            return tf.identity(term.leaf)
        place = key(term.leaf)
        if place not in self._wholes:
            self._wholes[place] = self._total(term)
        return tf.identity(self._wholes[place])

    def _total(self, term: Term) -> Any:
        """The same, added up here and now, so that a tape that is at work sees it."""
        import tensorflow as tf

        if term.same:
            return tf.identity(term.leaf)
        own = self.own(term)
        small = own.dtype in (tf.float16, tf.bfloat16)
        total = summed(tf.cast(own, tf.float32) if small else own)
        return self.lineage.is_same(tf.cast(total, own.dtype))

    def of_rows(self, tensor: Any) -> bool:
        """Whether there is something for each row, how many they may be."""
        if tensor.shape.rank == 0 or not symbolic(tensor) or not self.lineage.differs(tensor):
            return False
        return not tensor.shape.is_fully_defined()


class _Copy:
    """A number that is computed once more, of other values of its terms.

    Args:
        terms: finds them.
        value: gives the other value of a term.
        sources: what the number is to be differentiated for, as far as it is the same in all replicas; None:
            all variables.
        recorded: whether tapes that are at work are to see what is computed.

    Attributes:
        value: as given.
    """

    def __init__(
        self,
        terms: Terms,
        value: Callable[[Term], Any],
        sources: Iterable[Any] | None = None,
        *,
        recorded: bool = False,
    ) -> None:
        self._of, self.value, self._recorded = terms, value, recorded
        self._sources = None if sources is None else list(sources)
        self._terms: list[tuple[Term, Any]] = []  # with their values
        self._made: dict[Any, Any] = {}

    def of(self, tensor: Any, reader: Any = None) -> Any:
        """Returns the copy of a tensor.

        Args:
            tensor: the tensor.
            reader: the operation that reads it.

        Raises:
            NoTerms: it is not computed of terms.
        """
        if not symbolic(tensor):
            return tensor
        if key(tensor) not in self._made:
            self._made[key(tensor)] = self._copied(tensor, reader)
        return self._made[key(tensor)]

    def _copied(self, tensor: Any, reader: Any) -> Any:
        import tensorflow as tf

        if not self._of.lineage.differs(tensor):
            trained = tensor.dtype.is_floating and self._of.lineage.hangs_on(tensor, self._sources)
            return self._placed(Term(tensor, same=True)) if trained else tensor
        if (term := self._of.term(tensor)) is not None:
            return self._placed(term)
        if tf.get_static_value(tensor) is not None:
            return tensor  # as a dimension that is no number of rows
        if (outer := outside(tensor)) is not tensor:
            return self.of(outer, reader)
        if not tensor.shape.is_fully_defined():
            raise NoTerms(reader or tensor.op)
        return self._again(tensor.op)[tensor.value_index]

    def _placed(self, term: Term) -> Any:
        value = self.value(term)
        self._terms.append((term, value))
        return value

    def _again(self, op: Any) -> Any:
        """The results of an operation on copies of what it was given."""
        import tensorflow as tf
        from tensorflow.python.eager import execute

        if (
            op.op_def.is_stateful
            or op.type in _HIDING
            or calls(op)
            or "_gradient_op_type" in op.node_def.attr
        ):
            raise NoTerms(op)
        inputs = [self.of(t, op) for t in op.inputs]
        attributes = {name: value for name, value in op.node_def.attr.items() if not name.startswith("_")}
        graph = tf.compat.v1.get_default_graph()
        again = graph.create_op(op.type, inputs, [t.dtype for t in op.outputs], attrs=attributes)
        if self._recorded:  # which an operation that is not made by TensorFlow's functions is not by itself
            given = tuple(x for a in op.op_def.attr for x in (a.name, again.get_attr(a.name)))
            execute.record_gradient(op.type, inputs, given, again.outputs)
        return again.outputs

    def _derivatives(self, tensor: Any) -> list[tuple[Term, Any, Any]]:
        import tensorflow as tf

        smooth = [(term, value) for term, value in self._terms if value.dtype.is_floating]
        found = tf.gradients(self.of(tensor), [value for _, value in smooth]) if smooth else []
        return [(*one, factor) for one, factor in zip(smooth, found, strict=True)]

    def factors(self, tensor: Any) -> list[tuple[Term, Any, Any]]:
        """Returns each term that is a floating-point number, with its value and the copy's derivative.

        Args:
            tensor: of which this is the copy; of many numbers, their sum is differentiated.
        """
        import tensorflow as tf

        return [
            (term, value, tf.zeros_like(value) if factor is None else tf.convert_to_tensor(factor))
            for term, value, factor in self._derivatives(tensor)
        ]

    def is_linear(self, tensor: Any) -> bool:
        """Whether it is sums of this replica's parts, multiplied by what is the same in all."""
        parts = [value for term, value in self._terms if not term.same]
        if not all(part.dtype.is_floating for part in parts):
            return False
        if any(factor is None and not term.same for term, _, factor in self._derivatives(tensor)):
            return False  # as where it is rounded
        return not any(self._of.lineage.hangs_on(factor, parts) for _, _, factor in self.factors(tensor))


def _of_the_first(number: Any) -> Any:
    """A number in the first replica, and 0 in the others."""
    import tensorflow as tf

    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    return tf.where(tf.equal(replica, 0), number, tf.zeros_like(number))


def _only_passes_on(op: Any) -> bool:
    """Whether an operation leaves a number as it is, in another type; what is rounded is another number."""
    rounded = op.type == "Cast" and op.inputs[0].dtype.is_floating and not op.outputs[0].dtype.is_floating
    return op.type in ("Cast", "Identity") and not rounded
