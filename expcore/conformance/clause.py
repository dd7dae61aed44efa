"""Clauses: one promise each, with an id that never changes, and the test that shows whether it is kept."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from expcore.errors import InvalidArgument

MUST, SHOULD = "MUST", "SHOULD"

PAGE = "docs/conformance-clauses.md"
"""Where every clause is described, below its id."""


class Violation(Exception):
    """A promise is not kept.

    Args:
        seen: what was observed.
        expected: what should have been; "": what the clause's title says.
    """

    def __init__(self, seen: str, expected: str = "") -> None:
        super().__init__(f"seen: {seen}" + (f"; expected: {expected}" if expected else ""))
        self.seen, self.expected = seen, expected


class NotApplicable(Exception):
    """A clause finds nothing to try in a component; the reason is told with the result."""


class InvalidSample(InvalidArgument):
    """What a component was to be tried with is wrong; no clause fails for it, the trial ends."""


class Runaway(BaseException):
    """A component goes on waiting for ever; no ``except Exception`` of its own can swallow this."""


@dataclass(frozen=True)
class Clause:
    """One promise.

    Attributes:
        id: such as "EXP-012"; it is never given to another promise.
        level: "MUST" or "SHOULD".
        title: the promise in one sentence.
        about: more about it, for the page of clauses; may be empty.
        test: called with a fresh case; raises Violation where the promise is not kept.
        hint: how it is usually mended.
        since: the release of expcore in which it came.
        page: where the documents state the promise, relative to docs/.
        after: ids of clauses without which this one says nothing; where one of them fails, this is blocked.
        capability: only promised by components that declare it; None: by all.
        forms: only for components of one of these forms, as the kind tells them; empty: for all.
        needs: libraries that have to be there to try it, such as "tensorflow".
    """

    id: str
    level: str
    title: str
    about: str = field(repr=False)
    test: Callable[[Any], None] = field(repr=False)
    hint: str = field(repr=False)
    since: str
    page: str
    after: tuple[str, ...] = ()
    capability: str | None = None
    forms: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()

    @property
    def link(self) -> str:
        """Where the clause is described."""
        return f"{PAGE}#{self.id.lower()}"


class Clauses:
    """The clauses of one kind, in the order of their numbers.

    Args:
        prefix: of the ids, such as "EXP".
        page: where the documents state the promises, where a clause does not say otherwise.

    Attributes:
        prefix: as given.
    """

    def __init__(self, prefix: str, page: str) -> None:
        self.prefix, self._page = prefix, page
        self._found: dict[str, Clause] = {}

    def __iter__(self) -> Iterator[Clause]:
        return iter(sorted(self._found.values(), key=lambda clause: clause.id))

    def __len__(self) -> int:
        return len(self._found)

    def must(self, number: int, **about: Any) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
        """Makes a clause of a function ``(case) -> None``, whose docstring is the promise.

        Args:
            number: of its id.
            about: ``hint``, which has to be given, and ``since``, ``page``, ``after`` (numbers),
                ``capability``, ``forms`` and ``needs`` as ``Clause`` has them.
        """
        return self._add(number, MUST, about)

    def should(self, number: int, **about: Any) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
        """As ``must``, for what is only recommended."""
        return self._add(number, SHOULD, about)

    def _add(
        self, number: int, level: str, about: dict[str, Any]
    ) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
        def add(test: Callable[[Any], None]) -> Callable[[Any], None]:
            own = self._id(number)
            if own in self._found:
                raise InvalidArgument(f"clause {own}: there are two; an id belongs to one promise for ever")
            title, _, rest = (inspect.getdoc(test) or "").partition("\n")
            if not title or not about.get("hint"):
                raise InvalidArgument(f"clause {own}: it lacks a docstring or a hint; give both")
            values = {"since": "0.1", "page": self._page, **about}
            values["after"] = tuple(self._id(n) for n in values.get("after", ()))
            for many in ("forms", "needs"):
                values[many] = tuple(values.get(many, ()))
            self._found[own] = Clause(
                id=own,
                level=level,
                title=title.rstrip("."),
                about=re.sub(r"\s*\n\s*", " ", rest.strip()),
                test=test,
                **values,
            )
            return test

        return add

    def _id(self, number: int) -> str:
        return f"{self.prefix}-{number:03d}"
