"""What all_of, any_of and negate share: the checked parts, and asking each with what it names."""

from __future__ import annotations

from typing import Any

from expcore.calling import call_naming
from expcore.errors import InvalidArgument, InvalidType
from expcore.types import History, Metrics, Predicate


class Combination:
    """A predicate made of predicates; has no state of its own.

    Args:
        name: the component's name, for messages.
        of: the parts, at least one.

    Raises:
        InvalidArgument: there is no part.
        InvalidType: a part cannot be called, or is a class instead of an object of it.
    """

    def __init__(self, name: str, of: tuple[Predicate, ...]) -> None:
        if not of:
            raise InvalidArgument(f"predicate {name!r}: of is empty; give it at least one predicate")
        for i, part in enumerate(of):
            _check(name, i, part)
        self._of = of

    @property
    def of(self) -> tuple[Predicate, ...]:
        """The parts."""
        return self._of

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._of))})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, Combination) and other._of == self._of

    def __hash__(self) -> int:
        return hash((type(self), self._of))

    def _verdicts(
        self, eval_result: Metrics | None, checkpoint_path: str | None, history: History | None
    ) -> list[bool]:
        # Every part is asked at every look: a user's own may count its calls.
        return [
            bool(call_naming(part, eval_result, checkpoint_path=checkpoint_path, history=history))
            for part in self._of
        ]


def _check(name: str, i: int, part: Any) -> None:
    if isinstance(part, type):
        raise InvalidType(
            f"predicate {name!r}: of[{i}] is the class {part.__name__}; give an object of it, "
            f"as {part.__name__}(...)"
        )
    if not callable(part):
        raise InvalidType(
            f"predicate {name!r}: of[{i}] is {part!r}; it must be a predicate, a callable "
            "(eval_result) -> bool"
        )
