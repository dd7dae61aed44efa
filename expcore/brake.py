"""The brake of a training run: a hook that makes compiled calls short, and what that costs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from expcore.calling import describe
from expcore.types import Clock

_LOG = logging.getLogger(__name__)

_WATCHED_STOPS = 20  # that a hook wanted before anything is said of it: the first ones are no measure
_TOLERATED = 0.05  # part of the time that a hook's stops may cost without a word


class Brake:
    """Says once of a hook that its stops are so many that training is slowed down, and by how much.

    A hook is judged as if it were alone: by the steps between the stops that it wanted, by what a stop
    costs, which is the time of a call without any step and the hook's own time, and by what the steps
    themselves take. Hooks whose stops cost less than a twentieth of the time are not mentioned.

    Args:
        hooks: in their order.
        idle: makes a call of no step; None: the engine has no such call, and only the hook's own time counts.
        clock: measures the seconds.
    """

    def __init__(self, hooks: Sequence[Any], idle: Callable[[], None] | None, clock: Clock) -> None:
        self._hooks, self._idle, self._clock = hooks, idle, clock
        self._idle_secs: float | None = None
        self._calls, self._steps, self._secs = 0, 0, 0.0
        self._stops = [0] * len(hooks)  # that each hook wanted
        self._own = [0.0] * len(hooks)  # seconds of its after_steps
        self._watched = set(range(len(hooks)))

    def called(self, done: int, secs: float) -> None:
        """Notes a call of some steps, at least one."""
        self._calls += 1
        self._steps += done
        self._secs += secs

    def stopped(self, i: int, secs: float) -> None:
        """Notes a stop that a hook wanted, by its step or its seconds, and the hook's time at it."""
        self._stops[i] += 1
        self._own[i] += secs

    def tell(self) -> None:
        """Says what there is to say."""
        for i in [i for i in self._watched if self._stops[i] >= _WATCHED_STOPS]:
            self._watched.remove(i)
            self._say(i)

    def _say(self, i: int) -> None:
        every = self._steps / self._stops[i]
        own = self._own[i] / self._stops[i]
        stop = self._cost_of_a_call() + own
        step = max(0.0, self._secs - self._calls * self._cost_of_a_call()) / self._steps
        whole = every * step + stop
        if whole > 0 and stop / whole >= _TOLERATED:
            _LOG.warning(
                "hook %s limits the loop: it stops training every %.3g step(s), and a stop costs %.3g ms "
                "(%.3g ms in the hook itself), %d%% of the time; a longer rhythm makes training faster",
                describe(self._hooks[i]),
                every,
                1000 * stop,
                1000 * own,
                round(100 * stop / whole),
            )

    def _cost_of_a_call(self) -> float:
        if self._idle_secs is None:
            self._idle_secs = median(self._timed(self._idle) for _ in range(5)) if self._idle else 0.0
        return self._idle_secs

    def _timed(self, call: Callable[[], None]) -> float:
        start = self._clock.monotonic()
        call()
        return self._clock.monotonic() - start
