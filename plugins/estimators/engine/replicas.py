"""Replicas: what makes a training step together, and the part of a batch that each has."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

SEED_STRIDE = 1_000_003  # between the seeds of two replicas


class Rows(NamedTuple):
    """The part of a step's batch that a replica has.

    Attributes:
        mine: number of its rows, an int32 scalar, or an int where it is always the same; may be 0.
        total: rows of the whole batch, the same.
        replica: which replica this is, from 0.
        replicas: how many there are.
    """

    mine: Any
    total: Any
    replica: Any
    replicas: int


class Reading(NamedTuple):
    """How the processes of a cluster read their training data.

    Attributes:
        shared: whether all read the same batches, and each takes its own rows of them; else each reads
            batches of its own, which together are a step's.
        rows: of a batch that this process reads, where all have always as many; else None.
        total: rows of a step, where each reads its own and they are always as many; else None.
        endless: whether each reads its own, and nobody's end.
    """

    shared: bool = True
    rows: int | None = None
    total: int | None = None
    endless: bool = False


class Alone:
    """One process with one replica: nobody has to be asked.

    Attributes:
        count: of replicas.
        chief: whether this process writes checkpoints.
    """

    count = 1
    chief = True

    def scope(self) -> AbstractContextManager[Any]:
        """A context in which the model and its variables are made, here an empty one."""
        return nullcontext()

    def from_chief(self, values: Sequence[Any]) -> list[Any]:
        """Returns the chief's values, here the values themselves."""
        return list(values)

    def any_of(self, *wishes: bool) -> tuple[bool, ...]:
        """Returns for each wish whether some process has it, here the wishes themselves."""
        return wishes

    def together(self, values: Sequence[Any]) -> list[Any]:
        """Returns numbers summed over all processes, here the values themselves."""
        return list(values)

    def watched(self) -> AbstractContextManager[None]:
        """A context in which the loss of another process is told as such, here an empty one."""
        return nullcontext()

    def waits(self) -> AbstractContextManager[None]:
        """A context of an operation that all processes make together, here an empty one."""
        return nullcontext()


class NotJoined(Alone):
    """A task of a cluster that does not join it, since training was complete before it began."""
