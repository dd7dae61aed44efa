"""Watched: a hook as the training loop sees it; what it is asked and asks for is written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from numbers import Real
from typing import Any

ARGUMENTS = {
    "begin": ("run",),
    "next_step": ("step",),
    "after_steps": ("run",),
    "after_save": ("run", "checkpoint_path"),
    "end": ("run",),
    "failed": ("run", "error"),
    "get_state": (),
    "set_state": ("state",),
}
"""What each method of a hook is called with."""


@dataclass
class Seen:
    """What was seen of one hook, in order.

    Attributes:
        calls: method and global step of each call that is given the run.
        asked: each question ``next_step(step)`` with its answer.
        put_off: step, answer, later step and its later answer, where it was asked again before its step had
            come, had not been called since, and answered with a later one.
        saves: global steps at which it asked for a checkpoint.
        stops: global step and reason of each time it asked for the end.
        states: what ``get_state`` gave.
        taken: each state that it was given back, and what ``get_state`` gave right afterwards.
        read: the method in which the metrics were read, each time.
        errors: method and error of each call that raised.
    """

    calls: list[tuple[str, int]] = field(default_factory=list)
    asked: list[tuple[Any, Any]] = field(default_factory=list)
    put_off: list[tuple[Any, Any, Any, Any]] = field(default_factory=list)
    saves: list[int] = field(default_factory=list)
    stops: list[tuple[int, Any]] = field(default_factory=list)
    states: list[Any] = field(default_factory=list)
    taken: list[tuple[Any, Any]] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    errors: list[tuple[str, BaseException]] = field(default_factory=list)

    @property
    def steps(self) -> list[int]:
        """Global steps at which ``after_steps`` was called; the last is the end of the training."""
        return [step for method, step in self.calls if method == "after_steps"]


class _View:
    """The run as it is, but for noting what the hook does with it."""

    def __init__(self, run: Any, watched: Watched) -> None:
        self._run, self._watched = run, watched

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)

    @property
    def metrics(self) -> Any:
        """The metrics."""
        self._watched.seen.read.append(self._watched.now)
        return self._run.metrics

    def request_save(self) -> None:
        """Asks for a checkpoint."""
        self._watched.seen.saves.append(self._run.step)
        self._run.request_save()

    def request_stop(self, reason: Any) -> None:
        """Asks for the end."""
        self._watched.seen.stops.append((self._run.step, reason))
        self._run.request_stop(reason)


class Watched:
    """Has the methods and attributes of a hook, and passes on every call.

    Args:
        hook: the hook.

    Attributes:
        seen: what was seen.
        now: the method that is being called; "" between the calls.
    """

    def __init__(self, hook: Any) -> None:
        self._hook = hook
        self._view: _View | None = None
        self._waits: tuple[Any, Any] | None = None
        self.seen, self.now = Seen(), ""

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._hook, name)
        return partial(self._call, name, value) if name in ARGUMENTS and callable(value) else value

    def _call(self, name: str, method: Callable[..., Any], *args: Any) -> Any:
        if ARGUMENTS[name][:1] == ("run",):
            self.seen.calls.append((name, args[0].step))
            if name in ("begin", "after_steps"):
                self._waits = None
            args = (self._viewed(args[0]), *args[1:])
        self.now = name
        try:
            answer = method(*args)
        except BaseException as error:
            self.seen.errors.append((name, error))
            raise
        finally:
            self.now = ""
        if name == "next_step":
            self._answered(args[0], answer)
        elif name == "get_state":
            self.seen.states.append(answer)
        elif name == "set_state":
            self.seen.taken.append((args[0], self._hook.get_state()))
        return answer

    def _answered(self, step: Any, answer: Any) -> None:
        self.seen.asked.append((step, answer))
        if self._waits is not None:
            before, due = self._waits
            # Only numbers can be compared; another clause tells of other answers.
            known = isinstance(due, Real) and (answer is None or isinstance(answer, Real))
            if known and step < due and (answer is None or answer > due):
                self.seen.put_off.append((before, due, step, answer))
        self._waits = (step, answer)

    def _viewed(self, run: Any) -> _View:
        # One a run: a hook may compare or keep what it is given.
        if self._view is None or vars(self._view)["_run"] is not run:
            self._view = _View(run, self)
        return self._view
