"""The hook global_step_waiter: keeps a worker waiting until the others have made some steps."""

from __future__ import annotations

import logging

from expcore.types import History, Run
from expcore_plugins.arguments import whole

_SUBJECT = "hook 'global_step_waiter'"
_LOG = logging.getLogger("expcore.training")

POLL_SECS = 0.5
LOG_STEPS = 1000


class GlobalStepWaiter:
    """Waits before the first step until the newest recorded checkpoint is at a global step.

    It looks every 0.5 s, logs whenever more than 1000 steps were made since its last line, and waits once,
    however often it is used. It also goes on when the run's own last step is reached, and when training is
    over for good: the step will not come any more. A run that is asked to stop meanwhile stops. Without a
    history (no Experiment) it goes on at once.

    Args:
        wait_until_step: the global step, a whole number; 0 and less: no waiting.

    Raises:
        InvalidArgument: ``wait_until_step`` is not a whole number.
    """

    def __init__(self, wait_until_step: int) -> None:
        self.wait_until_step = whole(_SUBJECT, "wait_until_step", wait_until_step, least=-(2**63))
        self._done = self.wait_until_step <= 0

    def begin(self, run: Run) -> None:
        """Waits, the first time."""
        if self._done:
            return
        self._done = True
        history = run.history
        if history is None:
            _LOG.warning(
                "%s: wait_until_step is %d, but there is no record of other processes' steps; training goes "
                "on at once; run it through an Experiment to wait",
                _SUBJECT,
                self.wait_until_step,
            )
            return
        until = self.wait_until_step if run.until is None else min(self.wait_until_step, run.until)
        self._wait(run, history, until)

    def _wait(self, run: Run, history: History | None, until: int) -> None:
        ends = _ends(history)
        told = None
        while (step := max(run.step, _newest(history))) < until:
            if _ends(history) > ends:
                _LOG.info("training is over at global step %d, below %d: no more waiting", step, until)
                return
            if told is None or step - told > LOG_STEPS:
                _LOG.info("waiting for global step %d before training; it is %d now", until, step)
                told = step
            run.clock.sleep(POLL_SECS)
            history = run.history
            if run.stop_reason is not None:
                return
        _LOG.info("global step %d is reached (waited for %d): training goes on", step, until)


def _newest(history: History | None) -> int:
    return max((save.step or 0 for save in history.saves), default=0) if history is not None else 0


def _ends(history: History | None) -> int:
    return sum(end.over for end in history.training_ends) if history is not None else 0
