"""Workers: several processes that make every training step together, by TensorFlow's collectives.

Each has a whole model in ordinary variables. They stay equal because all begin with the chief's values, and
every step adds up the gradients of all before anybody uses them. ``tf.distribute`` brings the replica
context, in which the sums are made, and finds out whether the others are still there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

from expcore.errors import PeerLost
from expcore.types import Clock
from expcore_plugins.estimators.engine.batches import rows_between, rows_of
from expcore_plugins.estimators.engine.messages import reason
from expcore_plugins.estimators.engine.replicas import SEED_STRIDE, Reading, Rows
from expcore_plugins.estimators.engine.waiting import Waiting

_ABORTED = re.compile(r"Collective ops is aborted by: (.*)")


class Workers:
    """The processes of a synchronous cluster.

    Args:
        strategy: a ``tf.distribute.MultiWorkerMirroredStrategy`` with one device in each process.
        chief: whether this process writes checkpoints.
        clock: measures how long one waits for the others.

    Attributes:
        count: of replicas, one a process.
        chief: as given.
        reading: how they read; what steps are traced with.
    """

    def __init__(self, strategy: Any, *, chief: bool, clock: Clock) -> None:
        self._waiting = Waiting(clock)
        self._strategy, self.chief, self.reading = strategy, chief, Reading()
        self.count = int(strategy.num_replicas_in_sync)
        self._sums: dict[str, Any] = {}

    def scope(self) -> AbstractContextManager[Any]:
        """A context in which the model is made, an empty one: its variables are this process's own."""
        return nullcontext()

    def agree_on_reading(self, *, shared: bool, rows: int | None, endless: bool) -> bool:
        """Takes note of how all read; what is always the same need not be asked at each step.

        Args:
            shared: as this process reads.
            rows: of this process's batches; None: not always as many.
            endless: whether its data have no end.

        Returns:
            Whether all read alike; False: some share the data and others do not.
        """
        import numpy as np

        some_share, some_do_not, unknown, finite = self.any_of(shared, not shared, rows is None, not endless)
        if some_share and some_do_not:
            return False
        rows = None if unknown else rows
        total = None if shared or rows is None else int(self.together([np.int32(rows)])[0])
        self.reading = Reading(shared, rows, total, endless=not shared and not finite)
        return True

    def alike(self, number: int) -> bool:
        """Returns whether a whole number of 32 bits is the same in all processes; all call this together."""
        bits = [bool(number >> i & 1) for i in range(32)]
        set_somewhere, not_everywhere = self.any_of(*bits), self.any_of(*(not bit for bit in bits))
        return not any(a and b for a, b in zip(set_somewhere, not_everywhere, strict=True))

    # -- while a graph is made ----------------------------------------------------------------------

    def each(self, step: Callable[[Any, Rows], Any], batch: Any) -> Any:
        """Runs a step on this process's rows of a batch, in the replica context."""

        def one(batch: Any) -> Any:
            import tensorflow as tf

            replica = tf.get_static_value(tf.distribute.get_replica_context().replica_id_in_sync_group)
            rows = rows_of(batch) if self.reading.rows is None else self.reading.rows
            with _numbers_of(replica):
                if not self.reading.shared:
                    total = self.reading.total
                    total = summed(tf.identity(rows)) if total is None else total
                    return step(batch, Rows(rows, total, replica, self.count))
                first, end = (i * rows // self.count for i in (replica, replica + 1))
                return step(rows_between(batch, first, end), Rows(end - first, rows, replica, self.count))

        return self._first(self._strategy.run(one, args=(batch,)))

    def _first(self, values: Any) -> Any:
        """What the first replica of this process gave."""
        import tensorflow as tf

        return tf.nest.map_structure(lambda v: self._strategy.experimental_local_results(v)[0], values)

    def summed(self, values: Sequence[Any]) -> list[Any]:
        """Returns numbers summed over all processes."""
        return self._strategy.run(lambda: _summed_at_once(values))

    def average(self, variables: Sequence[Any]) -> None:
        """Gives variables their mean over all processes; what is equal stays as it is, to the bit."""
        import tensorflow as tf

        own = [tf.convert_to_tensor(v) for v in variables]
        base = self.summed([v if self.chief else tf.zeros_like(v) for v in own])
        apart = self.summed([v - b for v, b in zip(own, base, strict=True)])
        for variable, b, d in zip(variables, base, apart, strict=True):
            variable.assign(b + d / self.count)

    def least(self, n: Any) -> Any:
        """Returns the least of all processes' numbers."""
        import tensorflow as tf

        return tf.reduce_min(self._gathered(n))

    def everyone(self, flag: Any) -> Any:
        """Returns whether a flag, which says that there are data, is true in all processes.

        Nobody has to be asked where all share the data, or where they have no end.
        """
        import tensorflow as tf

        if self.reading.shared or self.reading.endless:
            return flag
        return tf.reduce_all(self._gathered(tf.cast(flag, tf.int32)) > 0)

    def same(self, number: Any) -> Any:
        """Returns whether a whole number is the same in all processes."""
        import tensorflow as tf

        found = self._gathered(number)
        return tf.equal(tf.reduce_min(found), tf.reduce_max(found))

    def _gathered(self, number: Any) -> Any:
        """One number of each process, as a vector."""
        import tensorflow as tf

        def one() -> Any:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            return summed(tf.one_hot(replica, self.count, number, tf.zeros_like(number), dtype=number.dtype))

        return self._strategy.run(one)

    # -- at once ------------------------------------------------------------------------------------

    def from_chief(self, values: Sequence[Any]) -> list[Any]:
        """Returns the chief's values in every process; this one's own must have their shapes and types."""
        import tensorflow as tf

        own = [tf.convert_to_tensor(v) for v in values]
        return self._sum([v if self.chief else tf.zeros_like(v) for v in own])

    def any_of(self, *wishes: bool) -> tuple[bool, ...]:
        """Returns for each wish whether some process has it; all call this at the same step."""
        import numpy as np

        (found,) = self._sum([np.array(wishes, np.int32)])
        return tuple(bool(n) for n in found.numpy())

    def together(self, values: Sequence[Any]) -> list[Any]:
        """Returns numbers summed over all processes."""
        return self._sum(values)

    def _sum(self, values: Sequence[Any]) -> list[Any]:
        import tensorflow as tf

        if not values:
            return []
        own = [tf.convert_to_tensor(v) for v in values]
        specs = [tf.TensorSpec(v.shape, v.dtype) for v in own]
        place = repr(specs)
        if place not in self._sums:  # not called as a tf.function, which warns of so many kinds of values
            self._sums[place] = tf.function(self.summed, autograph=False).get_concrete_function(specs)
        with self.waits():
            return list(self._sums[place](own))

    def waits(self) -> AbstractContextManager[None]:
        """A context of an operation that all processes make together; a long one is told."""
        return self._waiting.here()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """A context in which the loss of another process is told as such.

        Raises:
            PeerLost: another process is gone, or does not answer any more.
        """
        import tensorflow as tf

        try:
            with self._waiting.watched():
                yield
        except (
            tf.errors.UnavailableError,
            tf.errors.DeadlineExceededError,
            tf.errors.AbortedError,
            tf.errors.CancelledError,
        ) as error:
            raise PeerLost(
                f"another process of the cluster is lost ({_why(error)}); restart all of them: training "
                "goes on from the last checkpoint"
            ) from error


def _why(error: Any) -> str:
    """What TensorFlow says of the loss, without what it says of the operation that noticed it."""
    found = _ABORTED.search(error.message)
    return found[1].strip()[:200].rstrip(".:") if found else reason(error)


@contextmanager
def _numbers_of(replica: Any) -> Iterator[None]:
    """A context in which random operations that get their seeds from the graph's differ between replicas.

    Those of the first are as a single process's. Without a seed they differ by themselves.
    """
    import tensorflow as tf

    graph = tf.compat.v1.get_default_graph()
    seed = graph.seed
    if seed is not None:
        graph.seed = (seed + int(replica) * SEED_STRIDE) % 2**31
    try:
        yield
    finally:
        graph.seed = seed


def summed(value: Any) -> Any:
    """Returns a number, or each of a list, summed over all replicas; called in the replica context."""
    import tensorflow as tf

    reduce = partial(tf.distribute.get_replica_context().all_reduce, tf.distribute.ReduceOp.SUM)
    if not isinstance(value, list):
        return reduce(value)
    totals = list(value)
    for chosen in _by_type(value):  # TensorFlow packs all that it is given together
        for i, total in zip(chosen, reduce([value[i] for i in chosen]), strict=True):
            totals[i] = total
    return totals


def _by_type(values: Sequence[Any]) -> list[list[int]]:
    """The places of those values that have a type in common."""
    types = dict.fromkeys(v.dtype for v in values)
    return [[i for i, v in enumerate(values) if v.dtype == dtype] for dtype in types]


def _summed_at_once(values: Sequence[Any]) -> list[Any]:
    """Numbers summed over all replicas, with one collective for all that have a type in common."""
    import tensorflow as tf

    given = [_summable(v) for v in values]
    totals: list[Any] = list(values)
    for chosen in _by_type(given):
        line = summed(tf.concat([tf.reshape(given[i], [-1]) for i in chosen], 0))
        parts = tf.split(line, tf.stack([tf.size(given[i]) for i in chosen]), num=len(chosen))
        for i, part in zip(chosen, parts, strict=True):
            totals[i] = _restored(tf.reshape(part, tf.shape(given[i])), values[i])
    return totals


def _summable(value: Any) -> Any:
    """A value in a type that collectives can sum, from which it can be had back."""
    import tensorflow as tf

    value = tf.identity(value)  # placed in this replica, which what is read of a variable is not
    if value.dtype in (tf.float32, tf.float64, tf.int32, tf.int64):
        return value
    if value.dtype in (tf.float16, tf.bfloat16):
        return tf.cast(value, tf.float32)
    return tf.cast(value, tf.int64)


def _restored(total: Any, value: Any) -> Any:
    import tensorflow as tf

    return tf.cast(total, tf.convert_to_tensor(value).dtype)
