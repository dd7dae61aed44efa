"""The predicate all_of: goes on while all of its predicates do."""

from __future__ import annotations

from expcore.types import History, Metrics, Predicate
from expcore_plugins.predicates.combination import Combination


class AllOf(Combination):
    """Goes on while all of its predicates do: ends as soon as one says stop.

    Each is given ``checkpoint_path`` and ``history`` if it names them, and is asked at every look.

    Args:
        of: predicates, at least one.

    Raises:
        InvalidArgument: there is none.
        InvalidType: one cannot be called, or is a class instead of an object of it.
    """

    def __init__(self, *of: Predicate) -> None:
        super().__init__("all_of", of)

    def __call__(
        self,
        eval_result: Metrics | None,
        *,
        checkpoint_path: str | None = None,
        history: History | None = None,
    ) -> bool:
        """Returns whether every one of the predicates says go on."""
        return all(self._verdicts(eval_result, checkpoint_path, history))
