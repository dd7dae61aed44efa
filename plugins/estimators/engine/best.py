"""The checkpoint that is best by the log, which stays."""

from __future__ import annotations

import logging
from collections.abc import Callable

from expcore.errors import listing
from expcore.metrics import direction
from expcore.types import History

_LOG = logging.getLogger(__name__)


class BestCheckpoint:
    """Finds the best checkpoint so far.

    Args:
        metric: a metric of the evaluations; None: none is looked for.
        mode: "min" or "max"; None: worked out from the metric's name.

    Raises:
        InvalidArgument: the name does not tell which results are better.
    """

    def __init__(self, metric: str | None, mode: str | None) -> None:
        self._metric = metric
        self._mode = direction(metric, mode) if metric is not None else "min"
        self._told = False

    def paths(self, history_of: Callable[[], History | None]) -> list[str]:
        """Returns the path of the best checkpoint; empty where there is none yet.

        Args:
            history_of: returns the log; None where there is none. Asked only if a metric is looked for.
        """
        if self._metric is None:
            return []
        history = history_of()
        if history is None:
            self._tell("there is no log, since the estimator is trained outside of an experiment")
            return []
        best = history.best(self._metric, self._mode)
        if best is None:
            if history.evaluations:
                known = listing(sorted(history.evaluations[-1].metrics))
                self._tell(f"no evaluation has it as a finite number; they have {known}")
            return []
        return [save.path for save in history.saves if save.id == best.checkpoint]

    def _tell(self, why: str) -> None:
        if not self._told:
            self._told = True
            _LOG.warning("keep_checkpoint_best=%r keeps no checkpoint: %s", self._metric, why)
