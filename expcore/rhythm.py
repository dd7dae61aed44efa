"""The rhythm of a training run: when each hook and the next save are due, and the steps of the next call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

from expcore.calling import Blamed, describe
from expcore.errors import InvalidArgument
from expcore.types import Clock

MAX_CALL_SECS = 1.0
"""No compiled call is planned longer than this, so that signals, heartbeat and clocks are served."""

_GROWTH = 10  # of a call over the longest so far


class Pace:
    """The pace of compiled calls, as measured: how many steps fit into some seconds.

    A call grows step by step: what the first steps took says little of the next thousands, whose data may
    not be at hand.
    """

    def __init__(self) -> None:
        self._secs = 0.0  # a step, of the last call
        self._longest = 0  # steps of a call

    def measured(self, secs: float, done: int) -> None:
        """Takes over the time of a call."""
        if done:
            self._longest, self._secs = max(self._longest, done), secs / done

    def steps_in(self, secs: float) -> float:
        """Steps, and parts of one, that are made in some seconds; one before anything is known."""
        most = max(1, _GROWTH * self._longest)
        return min(secs / self._secs, most) if self._secs > 0 else most

    def longest_call(self) -> int:
        """Steps of a call that is as long as it may be."""
        return max(1, math.floor(self.steps_in(MAX_CALL_SECS)))


@dataclass(frozen=True)
class SaveRhythm:
    """When checkpoints are due: every so many steps, or seconds; both None: only at the end."""

    steps: int | None = None
    secs: float | None = None


class Plan(NamedTuple):
    """What comes next.

    Attributes:
        steps: of the next call, >= 1.
        wanted: the step at which each hook wants control; None: only at the end.
    """

    steps: int
    wanted: list[int | None]


class Rhythm:
    """Knows when each hook and the next save are due.

    Args:
        hooks: in their order.
        save: when checkpoints are due.
        clock: measures seconds.
        step: the global step that training goes on from.

    Raises:
        InvalidArgument: a hook's ``every_secs`` is not seconds of 0 or more.
    """

    def __init__(self, hooks: Sequence[Any], save: SaveRhythm, clock: Clock, step: int) -> None:
        self._hooks, self._save, self._clock = hooks, save, clock
        self._timed = [h for h in hooks if getattr(h, "every_secs", None) is not None]
        for hook in self._timed:
            _check_every_secs(hook)
        self._saved_step = step
        self._pace = Pace()
        self.start()

    def start(self) -> None:
        """Counts the seconds from now on: a hook may wait long in ``begin``, and nothing is due for that."""
        now = self._clock.monotonic()
        self._fired = {id(hook): now for hook in self._timed}
        self._saved_at = now

    def plan(self, step: int, until: int | None) -> Plan:
        """Returns the next call.

        Raises:
            InvalidArgument: a hook's ``next_step`` is not a step after the one it was given.
        """
        wanted = [_wanted(hook, step) for hook in self._hooks]
        limits = [w - step for w in wanted if w is not None]
        if until is not None:
            limits.append(until - step)
        if self._save.steps is not None:
            limits.append(self._saved_step + self._save.steps - step)
        now = self._clock.monotonic()
        deadlines = [self._fired[id(hook)] + hook.every_secs for hook in self._timed]
        if self._save.secs is not None:
            deadlines.append(self._saved_at + self._save.secs)
        # The first step at or after a deadline; stopping before it would cost a call of one step more.
        limits += [math.ceil(self._pace.steps_in(deadline - now)) for deadline in deadlines]
        limits.append(self._pace.longest_call())
        return Plan(max(1, min(limits)), wanted)

    def measured(self, secs: float, done: int) -> None:
        """Takes over the time of a call."""
        self._pace.measured(secs, done)

    def due(self, hook: Any, wanted: int | None, step: int) -> bool:
        """Whether a hook is due at this stop."""
        fired = self._fired.get(id(hook))
        if fired is not None and self._clock.monotonic() - fired >= hook.every_secs:
            return True
        return wanted is not None and step >= wanted

    def served(self, hook: Any) -> None:
        """Notes that a hook has had its stop: its seconds count from here.

        Counted from the start, a hook that takes longer than its rhythm would be due again at once.
        """
        if id(hook) in self._fired:
            self._fired[id(hook)] = self._clock.monotonic()

    def save_due(self, step: int) -> bool:
        """Whether a checkpoint is due at this stop."""
        if self._save.steps is not None and step - self._saved_step >= self._save.steps:
            return True
        return self._save.secs is not None and self._clock.monotonic() - self._saved_at >= self._save.secs

    def saved(self, step: int) -> None:
        """Notes a save."""
        self._saved_at, self._saved_step = self._clock.monotonic(), step

    def unsaved(self, step: int) -> bool:
        """Whether steps were made since the last save."""
        return step != self._saved_step


def _wanted(hook: Any, step: int) -> int | None:
    ask = getattr(hook, "next_step", None)
    if not callable(ask):
        return None
    with Blamed(hook, "next_step"):
        wanted = ask(step)
    if wanted is None or (type(wanted) is int and wanted > step):
        return wanted
    number = float(wanted) if isinstance(wanted, Real) else math.nan
    if not step < number < math.inf:
        raise InvalidArgument(
            f"hook {describe(hook)}: next_step({step}) returned {wanted!r}; "
            "it must be a step greater than the one it was given, or None for only at the end"
        )
    return math.ceil(number)


def _check_every_secs(hook: Any) -> None:
    secs = hook.every_secs
    if isinstance(secs, bool) or not isinstance(secs, Real) or not float(secs) >= 0:
        raise InvalidArgument(
            f"hook {describe(hook)}: every_secs is {secs!r}; it must be seconds, 0 or more, or None"
        )
