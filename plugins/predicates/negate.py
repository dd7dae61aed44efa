"""The predicate negate: goes on while another one says stop."""

from __future__ import annotations

from expcore.types import History, Metrics, Predicate
from expcore_plugins.predicates.combination import Combination


class Negate(Combination):
    """Goes on while its predicate says stop, and stops when that says go on.

    It is given ``checkpoint_path`` and ``history`` if it names them.

    Args:
        of: a predicate.

    Raises:
        InvalidType: it cannot be called, or is a class instead of an object of it.
    """

    def __init__(self, of: Predicate) -> None:
        super().__init__("negate", (of,))

    def __call__(
        self,
        eval_result: Metrics | None,
        *,
        checkpoint_path: str | None = None,
        history: History | None = None,
    ) -> bool:
        """Returns the opposite of what the predicate says."""
        (verdict,) = self._verdicts(eval_result, checkpoint_path, history)
        return not verdict
