"""The part of a step that is traced in this thread: the rows of one replica, and what comes of them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from expcore.errors import InvalidArgument
from expcore_plugins.estimators.engine.devices import parts_of
from expcore_plugins.estimators.engine.lineage import Lineage
from expcore_plugins.estimators.engine.replicas import Rows
from expcore_plugins.estimators.engine.terms import NoTerms, Terms

_LOG = logging.getLogger(__name__)

_here = threading.local()


@dataclass
class Part:
    """What one replica makes of its rows.

    Attributes:
        model: its name, for messages.
        rows: which rows it has.
        lineage: what is computed of them.
        graph: of the step.
        own: the handles of variables, by id, of which it was said that each replica has its own.
        speaks: whether it says what is to be said, and not another device of this process with the same step.
        terms: what such numbers are of the whole batch's.
        left_out: the metrics that cannot be kept by several replicas.
        told: what was said.
        results: the metrics whose results were asked for, by the id of what was given, and that.
        differentiating: whether a tape is at work, in which another may compute a part of its gradient.
        gives_parts: whether a metric is being given what is this replica's part already.
        tallied: the handles of metrics' variables, by id, to which was written what adds up.
    """

    model: str
    rows: Rows
    lineage: Lineage
    graph: Any
    own: set[int]
    speaks: bool
    terms: Terms = field(init=False)
    left_out: list[Any] = field(default_factory=list)
    told: set[str] = field(default_factory=set)
    results: dict[int, Any] = field(default_factory=dict)
    differentiating: bool = False
    tallied: set[int] = field(default_factory=set)
    gives_parts: bool = False

    def __post_init__(self) -> None:
        self.terms = Terms(self.lineage, self.rows.replicas, self.look)

    def of(self, number: Any, what: str) -> Any:
        """Returns a number that, added up over the replicas, is what the whole batch's would be.

        Args:
            number: of this replica's rows, a scalar.
            what: it is, for messages.

        Raises:
            InvalidArgument: there is none.
        """
        try:
            return self.terms.part(number)
        except NoTerms as error:
            raise self.refusal(what, error) from None

    def look(self, values: Any) -> None:
        """Says once where rows meet each other in what a number is made of: no replica sees all of them."""
        if "rows" not in self.told and (op := self.lineage.meeting(values)) is not None:
            self.tell(
                "rows",
                f"the rows of a batch meet each other in the operation {op.type} ({op.name}): each replica "
                "sees its own rows only, so what comes out hangs on how many replicas there are",
            )

    def tell(self, what: str, text: str) -> None:
        """Warns of something, once for each step that is traced."""
        if self.speaks and what not in self.told:
            self.told.add(what)
            _LOG.warning("model %r: %s", self.model, text)

    @contextmanager
    def differentiation(self) -> Iterator[None]:
        """A context in which a tape is at work."""
        self.differentiating = True
        try:
            yield
        finally:
            self.differentiating = False

    @contextmanager
    def giving_parts(self) -> Iterator[None]:
        """A context in which what is written to a metric's variables is this replica's part as it is."""
        self.gives_parts = True
        try:
            yield
        finally:
            self.gives_parts = False

    def own_of(self, variable: Any) -> Any:
        """Returns what a variable of Keras is on this replica's device."""
        parts = parts_of(variable.value)
        return parts[self.rows.replica] if len(parts) > 1 else parts[0]

    def refusal(self, what: str, error: NoTerms) -> InvalidArgument:
        """Returns the error that says that a number has no part."""
        return InvalidArgument(
            f"model {self.model!r}: {what} comes from {error}; replicas that have a part of the examples "
            "each cannot make the whole batch's of it: give a loss of every example (compile(loss=...), "
            "compute_loss, a Loss of Keras), or what is computed of sums and means over them, or train in "
            "one process"
        )


@contextmanager
def part_is(part: Part) -> Iterator[None]:
    """A context that says what is traced in this thread."""
    _here.part = part
    try:
        yield
    finally:
        del _here.part


def part_here() -> Part:
    """Returns what is traced in this thread; called within ``part_is``."""
    return _here.part  # type: ignore[no-any-return]


def is_traced_here() -> bool:
    """Whether this thread traces a replica's part of a step."""
    return hasattr(_here, "part")
