"""The training loop: drives hooks, saves and stops over an engine that runs steps in compiled calls."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple, Protocol

from expcore.calling import check_ran, describe, no_exit
from expcore.errors import InvalidArgument, InvalidHook
from expcore.types import Clock, History, Metrics, is_hook

_LOG = logging.getLogger(__name__)

MAX_CALL_SECS = 1.0
"""No compiled call is planned longer than this, so that signals, heartbeat and clocks are served."""

_GROWTH = 10  # of a call over the longest so far: what a step or two took says little of the next thousands


class Advance(NamedTuple):
    """What a call of ``Engine.advance`` gives.

    Attributes:
        done: steps made, 0 to n.
        more: False once the input has ended; True may still mean that nothing is left.
        metrics: gives the training metrics of now; called only when somebody asks.
    """

    done: int
    more: bool
    metrics: Callable[[], Metrics]


class Engine(Protocol):
    """Runs training steps and writes checkpoints; what an estimator brings to the loop."""

    @property
    def step(self) -> int:
        """The global step."""

    @property
    def model(self) -> Any:
        """The native model."""

    @property
    def model_dir(self) -> str:
        """The model directory."""

    def advance(self, n: int) -> Advance:
        """Makes at most ``n`` >= 1 steps, fewer only where the input ends."""

    def save(self, hook_states: Mapping[str, Any]) -> str:
        """Writes a checkpoint that also holds the hooks' states, and returns its path."""

    def hook_states(self) -> Mapping[str, Any]:
        """Returns the hooks' states of the restored checkpoint; empty where nothing was restored."""


@dataclass(frozen=True)
class SaveRhythm:
    """When checkpoints are due: every so many steps, or seconds; both None: only at the end."""

    steps: int | None = None
    secs: float | None = None


class TrainingRun:
    """A training run as hooks see it (``expcore.types.Run``)."""

    def __init__(self, engine: Engine, until: int | None, clock: Clock) -> None:
        self._engine = engine
        self.until = until
        self.clock = clock
        self.ending = False
        self.stop_reason: str | None = None
        self.history_source: Callable[[], History] | None = None
        self.save_requested = False
        self._fetch: Callable[[], Metrics] | None = None
        self._metrics: Metrics | None = None

    @property
    def step(self) -> int:
        """The global step."""
        return self._engine.step

    @property
    def model(self) -> Any:
        """The native model."""
        return self._engine.model

    @property
    def model_dir(self) -> str:
        """The model directory."""
        return self._engine.model_dir

    @property
    def metrics(self) -> Metrics:
        """The training metrics; fetched once a stop, when first asked for."""
        if self._metrics is None:
            self._metrics = dict(self._fetch()) if self._fetch is not None else {}
        return self._metrics

    @property
    def history(self) -> History | None:
        """The log of the experiment; None where there is no experiment."""
        return self.history_source() if self.history_source is not None else None

    def request_save(self) -> None:
        """Asks for one checkpoint at this stop."""
        self.save_requested = True

    def request_stop(self, reason: str) -> None:
        """Asks that training ends at this stop; the first reason counts."""
        if self.stop_reason is None:
            self.stop_reason = str(reason)

    def made(self, advance: Advance) -> None:
        """Takes over the metrics of a finished call."""
        if advance.done:
            self._fetch, self._metrics = advance.metrics, None


@contextmanager
def _blame(hook: Any, method: str) -> Iterator[None]:
    try:
        with no_exit(f"{method}() of {describe(hook)}"):
            yield
    except Exception as error:
        error.add_note(f"raised in {method}() of {describe(hook)}")
        raise


def call_hook(hook: Any, method: str, *args: Any) -> None:
    """Calls a hook's method where it has it.

    Raises:
        PluginError: it called ``sys.exit()``, or returned a coroutine or a generator.
        Exception: whatever it raised, with a note that names it.
    """
    function = getattr(hook, method, None)
    if callable(function):
        with _blame(hook, method):
            check_ran(function(*args), f"{method}() of {describe(hook)}")


def check_hooks(hooks: Sequence[Any]) -> None:
    """Raises InvalidHook for the first object that is not a hook."""
    for hook in hooks:
        if not is_hook(hook):
            raise InvalidHook(
                f"hook {hook!r}: it has none of a hook's methods (begin, next_step, after_steps, "
                "after_save, end, failed); give an object that has at least one of them"
            )


def _state_keys(hooks: Sequence[Any]) -> dict[str, Any]:
    """Names hooks with state by class and occurrence, so that a hook added between loses nothing."""
    keys: dict[str, Any] = {}
    for hook in hooks:
        if not (callable(getattr(hook, "get_state", None)) and callable(getattr(hook, "set_state", None))):
            continue
        name, n = describe(hook), 1
        while name in keys:
            n += 1
            name = f"{describe(hook)}#{n}"
        keys[name] = hook
    return keys


def _check_every_secs(hook: Any) -> None:
    secs = hook.every_secs
    if isinstance(secs, bool) or not isinstance(secs, Real) or not float(secs) >= 0:
        raise InvalidArgument(
            f"hook {describe(hook)}: every_secs is {secs!r}; it must be seconds, 0 or more, or None"
        )


class _Rhythm:
    """Knows when each hook and the next save are due, and how many steps fit in between."""

    def __init__(self, hooks: Sequence[Any], save: SaveRhythm, clock: Clock, step: int) -> None:
        self._hooks, self._save, self._clock = hooks, save, clock
        self._timed = [h for h in hooks if getattr(h, "every_secs", None) is not None]
        for hook in self._timed:
            _check_every_secs(hook)
        self._saved_step = step
        self._pace = 0.0  # seconds a step, of the last call
        self._longest = 0  # steps of a call
        self.start()

    def start(self) -> None:
        """Counts the seconds from now on: a hook may wait long in ``begin``, and nothing is due for that."""
        now = self._clock.monotonic()
        self._fired = {id(hook): now for hook in self._timed}
        self._saved_at = now

    def plan(self, step: int, until: int | None) -> tuple[int, list[int | None]]:
        """Returns the steps of the next call and each hook's next step."""
        wanted = [self._wanted(hook, step) for hook in self._hooks]
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
        limits += [math.ceil(self._steps_in(deadline - now)) for deadline in deadlines]
        limits.append(math.floor(self._steps_in(MAX_CALL_SECS)))
        return max(1, min(limits)), wanted

    def _wanted(self, hook: Any, step: int) -> int | None:
        ask = getattr(hook, "next_step", None)
        if not callable(ask):
            return None
        with _blame(hook, "next_step"):
            wanted = ask(step)
        if wanted is None:
            return None
        number = float(wanted) if isinstance(wanted, Real) else math.nan
        if not step < number < math.inf:
            raise InvalidArgument(
                f"hook {describe(hook)}: next_step({step}) returned {wanted!r}; "
                "it must be a step greater than the one it was given, or None for only at the end"
            )
        return math.ceil(number)

    def _steps_in(self, secs: float) -> float:
        """Steps, and parts of one, that the measured pace makes in some seconds; one before it is known."""
        most = max(1, _GROWTH * self._longest)
        return min(secs / self._pace, most) if self._pace > 0 else most

    def measured(self, secs: float, done: int) -> None:
        """Takes over the time of a call."""
        if done:
            self._longest, self._pace = max(self._longest, done), secs / done

    def due(self, hook: Any, wanted: int | None, step: int) -> bool:
        """Whether a hook is due at this stop."""
        now = self._clock.monotonic()
        if id(hook) in self._fired and now - self._fired[id(hook)] >= hook.every_secs:
            self._fired[id(hook)] = now
            return True
        return wanted is not None and step >= wanted

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


class TrainingLoop:
    """Runs an engine under its hooks until a step, the end of the input or a request to stop.

    Args:
        engine: makes the steps and writes the checkpoints.
        hooks: objects with some of the methods of ``expcore.types.Hook``; called in this order.
        saving_listeners: told of each save, before the hooks' ``after_save``.
        until: global step to end at; None: until the input ends or somebody asks to stop.
        save: when checkpoints are due; there is always one at the end if steps were made since the last.
        clock: measures the pace and the seconds.

    Raises:
        InvalidHook: an object in ``hooks`` is not a hook.
        InvalidArgument: a hook's ``every_secs`` is not seconds of 0 or more.
    """

    def __init__(
        self,
        engine: Engine,
        hooks: Sequence[Any],
        *,
        saving_listeners: Sequence[Any] = (),
        until: int | None,
        save: SaveRhythm,
        clock: Clock,
    ) -> None:
        check_hooks(hooks)
        self._engine, self._hooks, self._listeners = engine, list(hooks), list(saving_listeners)
        self._clock = clock
        self._run = TrainingRun(engine, until, clock)
        self._rhythm = _Rhythm(self._hooks, save, clock, engine.step)
        self._keys = _state_keys(self._hooks)
        self._called_at: dict[int, int] = {}
        self._ended: set[int] = set()

    def run(self) -> TrainingRun:
        """Trains and returns the finished run.

        Raises:
            InvalidArgument: a hook's ``next_step`` is not a step after the one it was given.
            Exception: whatever the engine, a hook or a listener raised, after ``failed`` of every hook whose
                ``end`` was not called, begun or not. What ``failed`` raises is logged and noted on it.
        """
        try:
            self._begin()
            while self._run.stop_reason is None:
                self._advance()
            self._finish()
        except BaseException as error:
            self._fail(error)
            raise
        return self._run

    def _begin(self) -> None:
        for hook in self._hooks:
            call_hook(hook, "begin", self._run)
        states = self._engine.hook_states()
        for key, hook in self._keys.items():
            if key in states:
                call_hook(hook, "set_state", states[key])
        for listener in self._listeners:
            call_hook(listener, "begin")
        self._rhythm.start()
        if self._run.until is not None and self._run.step >= self._run.until:
            self._run.request_stop("max_steps")

    def _advance(self) -> None:
        run = self._run
        n, wanted = self._rhythm.plan(run.step, run.until)
        start = self._clock.monotonic()
        advance = self._engine.advance(n)
        self._rhythm.measured(self._clock.monotonic() - start, advance.done)
        run.made(advance)
        if advance.done:
            for hook, at in zip(self._hooks, wanted, strict=True):
                if self._rhythm.due(hook, at, run.step):
                    self._after_steps(hook)
        if run.until is not None and run.step >= run.until:
            run.request_stop("max_steps")
        if not advance.more or not advance.done:
            run.request_stop("input ended")
        if run.stop_reason is None and self._rhythm.unsaved(run.step) and self._save_wanted():
            self._save()

    def _save_wanted(self) -> bool:
        return self._run.save_requested or self._rhythm.save_due(self._run.step)

    def _after_steps(self, hook: Any) -> None:
        self._called_at[id(hook)] = self._run.step
        call_hook(hook, "after_steps", self._run)

    def _save(self) -> None:
        run = self._run
        run.save_requested = False
        for listener in self._listeners:
            call_hook(listener, "before_save", None, run.step)
        states = {}
        for key, hook in self._keys.items():
            with _blame(hook, "get_state"):
                states[key] = hook.get_state()
        path = self._engine.save(states)
        self._rhythm.saved(run.step)
        for listener in self._listeners:
            after = getattr(listener, "after_save", None)
            if callable(after):
                with _blame(listener, "after_save"):
                    if after(None, run.step):
                        run.request_stop(f"asked by {describe(listener)}")
        for hook in self._hooks:
            call_hook(hook, "after_save", run, path)

    def _finish(self) -> None:
        run = self._run
        for hook in self._hooks:
            if self._called_at.get(id(hook)) != run.step:
                self._after_steps(hook)
        run.ending = True
        if self._rhythm.unsaved(run.step):
            self._save()
        for hook in self._hooks:
            self._ended.add(id(hook))
            call_hook(hook, "end", run)
        for listener in self._listeners:
            call_hook(listener, "end", None, run.step)

    def _fail(self, error: BaseException) -> None:
        for hook in (h for h in self._hooks if id(h) not in self._ended):
            try:
                call_hook(hook, "failed", self._run, error)
            except Exception as second:  # told, not hidden: logged and noted on the error that is raised
                _LOG.exception("hook %s failed while told of a failure", describe(hook))
                error.add_note(f"{describe(hook)}.failed() raised {type(second).__name__}: {second}")
