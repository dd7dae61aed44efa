"""The predicate for_seconds: goes on for some time of work."""

from __future__ import annotations

from dataclasses import dataclass

from expcore.types import History, Metrics
from expcore_plugins.arguments import seconds


@dataclass(frozen=True)
class ForSeconds:
    """Goes on until this task has been at work for ``secs`` seconds, over all its starts.

    The time comes from the history, so a restart goes on counting. Without a history nothing is known of the
    time, and it goes on.

    Args:
        secs: seconds, > 0.

    Raises:
        InvalidArgument: ``secs`` is something else.
    """

    secs: float

    def __post_init__(self) -> None:
        seconds("predicate 'for_seconds'", "secs", self.secs)

    def __call__(self, eval_result: Metrics | None, *, history: History | None = None) -> bool:
        """Returns True while less than ``secs`` seconds have passed."""
        return history is None or history.seconds < self.secs
