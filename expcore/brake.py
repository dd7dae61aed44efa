"""The brake of a training run: a hook that makes compiled calls short, and what that costs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from expcore.calling import describe
from expcore.rhythm import Plan
from expcore.types import Clock

_LOG = logging.getLogger(__name__)

_WATCHED_CALLS = 20  # that one hook cuts short before it is said: the first ones are no measure
_TOLERATED = 0.05  # part of the time that a hook's stops may cost without a word


class Brake:
    """Says once of a hook that it makes calls so short that training is slowed down, and by how much.

    What a stop costs is the time of a call without any step, measured when it matters, and the hook's own
    time. Hooks whose stops cost less than a twentieth of the time are not mentioned.

    Args:
        hooks: in their order.
        idle: makes a call of no step; None: the engine has no such call, and only the hook's own time counts.
        clock: measures the seconds.
    """

    def __init__(self, hooks: Sequence[Any], idle: Callable[[], None] | None, clock: Clock) -> None:
        self._hooks, self._idle, self._clock = hooks, idle, clock
        self._idle_secs: float | None = None
        self._calls = [0] * len(hooks)
        self._steps = [0] * len(hooks)
        self._secs = [0.0] * len(hooks)  # of the calls that the hook cut short
        self._own = [0.0] * len(hooks)  # of the hook's after_steps at these stops
        self._told = [False] * len(hooks)

    def called(self, plan: Plan, step: int, done: int, secs: float) -> None:
        """Notes a call that has come to ``step``; the first hook that wanted to stop there cut it."""
        if done == plan.steps:
            for i, wanted in enumerate(plan.wanted):
                if wanted is not None and wanted <= step and not self._told[i]:
                    self._calls[i] += 1
                    self._steps[i] += done
                    self._secs[i] += secs
                    return

    def stopped(self, i: int, secs: float) -> None:
        """Notes the time of a hook at a stop."""
        self._own[i] += secs

    def tell(self) -> None:
        """Says what there is to say."""
        for i, calls in enumerate(self._calls):
            if calls >= _WATCHED_CALLS and not self._told[i]:
                self._told[i] = True
                self._say(i)

    def _say(self, i: int) -> None:
        calls, steps = self._calls[i], self._steps[i]
        own = self._own[i] / calls
        stop = self._cost_of_a_call() + own
        whole = self._secs[i] / calls + own
        if whole > 0 and stop / whole >= _TOLERATED:
            _LOG.warning(
                "hook %s limits the loop: it stops training every %.3g step(s), and a stop costs %.3g ms "
                "(%.3g ms in the hook itself), %d%% of the time; a longer rhythm makes training faster",
                describe(self._hooks[i]),
                steps / calls,
                1000 * stop,
                1000 * own,
                round(100 * stop / whole),
            )

    def _cost_of_a_call(self) -> float:
        if self._idle_secs is None:
            self._idle_secs = 0.0
            if self._idle is not None:
                taken = []
                for _ in range(5):
                    start = self._clock.monotonic()
                    self._idle()
                    taken.append(self._clock.monotonic() - start)
                self._idle_secs = sorted(taken)[2]
        return self._idle_secs
