"""The training loop: drives hooks, saves and stops over an engine that runs steps in compiled calls."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from expcore.brake import Brake
from expcore.calling import Blamed, call_hook, describe
from expcore.errors import InvalidHook
from expcore.rhythm import Rhythm, SaveRhythm
from expcore.types import Clock, History, Metrics, is_hook

__all__ = [
    "SIGNAL",
    "SIGNAL_ELSEWHERE",
    "Advance",
    "Engine",
    "PendingSave",
    "SaveRhythm",
    "TrainingLoop",
    "TrainingRun",
    "check_hooks",
]

SIGNAL = "signal"
"""The reason of a stop that a signal asked for."""
SIGNAL_ELSEWHERE = "signal in another process"
"""The same in a process that makes each step together with the one that the signal came to."""

_LOG = logging.getLogger(__name__)


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


class PendingSave(Protocol):
    """A checkpoint that is being written; a ``concurrent.futures.Future`` of its path is one."""

    def done(self) -> bool:
        """Whether it is written, or failed."""

    def result(self) -> str:
        """Waits for it and returns its path; raises what went wrong."""


class Engine(Protocol):
    """Runs training steps and writes checkpoints; what an estimator brings to the loop.

    Optional is ``idle()``, a call of no step: with it the log can say what a hook's stops cost. An engine
    whose steps several processes make together has ``agree(stop, save, cut) -> (stop, save, cut)``: what this
    process wants goes in, what all of them do at this step comes out. ``cut`` says that a signal asked for
    the stop. It is asked before the first call, after each call and after each save but the last, in every
    process alike; ``advance`` may then make fewer steps.
    """

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
        """Makes at most ``n`` >= 1 steps, fewer only where the input ends or another process wants fewer."""

    def save(self, hook_states: Mapping[str, Any]) -> str | PendingSave:
        """Writes a checkpoint that also holds the hooks' states, and returns its path.

        One that is written beside the next steps is returned as a PendingSave: listeners and hooks are told
        of it once it is there.
        """

    def hook_states(self) -> Mapping[str, Any]:
        """Returns the hooks' states of the restored checkpoint; empty where nothing was restored."""


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
        self._rhythm = Rhythm(self._hooks, save, clock, engine.step)
        self._keys = _state_keys(self._hooks)
        self._brake = Brake(self._hooks, getattr(engine, "idle", None), clock)
        self._agree: Callable[[bool, bool, bool], tuple[bool, bool, bool]] | None
        self._agree = getattr(engine, "agree", None)
        self._pending: tuple[PendingSave, int] | None = None  # and the step that it holds
        self._called_at: dict[int, int] = {}
        self._ended: set[int] = set()

    @property
    def history(self) -> History | None:
        """The log of the experiment that the run is part of; None without one."""
        return self._run.history

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
        self._agreed(save=False)

    def _advance(self) -> None:
        run, now = self._run, self._clock.monotonic
        plan = self._rhythm.plan(run.step, run.until)
        start = now()
        advance = self._engine.advance(plan.steps)
        secs = now() - start
        self._rhythm.measured(secs, advance.done)
        run.made(advance)
        if advance.done:
            self._brake.called(advance.done, secs)
            for i, (hook, at) in enumerate(zip(self._hooks, plan.wanted, strict=True)):
                if self._rhythm.due(hook, at, run.step):
                    start = now()
                    self._after_steps(hook)
                    self._rhythm.served(hook)
                    self._brake.stopped(i, now() - start)
            self._brake.tell()
        if run.until is not None and run.step >= run.until:
            run.request_stop("max_steps")
        if not advance.more or not advance.done:
            run.request_stop("input ended")
        self._settle(wait=False)
        if self._agreed(save=self._rhythm.unsaved(run.step) and self._save_wanted()):
            self._save()
            self._agreed(save=False)

    def _agreed(self, save: bool) -> bool:
        """Whether there is a save now; asks for the end where another process wants it."""
        run = self._run
        stop = run.stop_reason is not None
        if self._agree is not None:
            stop, save, cut = self._agree(stop, save, run.stop_reason == SIGNAL)
            if stop:
                run.request_stop(SIGNAL_ELSEWHERE if cut else "asked by another process")
        return save and not stop

    def _save_wanted(self) -> bool:
        return self._run.save_requested or self._rhythm.save_due(self._run.step)

    def _after_steps(self, hook: Any) -> None:
        self._called_at[id(hook)] = self._run.step
        call_hook(hook, "after_steps", self._run)

    def _save(self) -> None:
        self._settle()
        run = self._run
        run.save_requested = False
        for listener in self._listeners:
            call_hook(listener, "before_save", None, run.step)
        states = {}
        for key, hook in self._keys.items():
            with Blamed(hook, "get_state"):
                states[key] = hook.get_state()
        saved = self._engine.save(states)
        self._rhythm.saved(run.step)
        if isinstance(saved, str):
            self._saved(saved, run.step)
        else:
            self._pending = (saved, run.step)

    def _settle(self, wait: bool = True) -> None:
        """Tells of a checkpoint that was written beside the steps, once it is there."""
        if self._pending is not None and (wait or self._pending[0].done()):
            (pending, step), self._pending = self._pending, None
            self._saved(pending.result(), step)

    def _saved(self, path: str, step: int) -> None:
        run = self._run
        for listener in self._listeners:
            after = getattr(listener, "after_save", None)
            if callable(after):
                with Blamed(listener, "after_save"):
                    if after(None, step):
                        run.request_stop(f"asked by {describe(listener)}")
        for hook in self._hooks:
            call_hook(hook, "after_save", run, path)

    def _finish(self) -> None:
        run = self._run
        for hook in self._hooks:
            if self._called_at.get(id(hook)) != run.step:
                self._after_steps(hook)
        self._settle()
        run.ending = True
        if self._rhythm.unsaved(run.step):
            self._save()
            self._settle()
        for hook in self._hooks:
            self._ended.add(id(hook))
            call_hook(hook, "end", run)
        for listener in self._listeners:
            call_hook(listener, "end", None, run.step)

    def _fail(self, error: BaseException) -> None:
        self._run.ending = True  # nobody is to act on what is still told now
        try:
            self._settle()
        except Exception as second:  # told, not hidden, as below
            _LOG.exception("the checkpoint that was being written failed as well")
            error.add_note(f"a checkpoint that was being written: {type(second).__name__}: {second}")
        for hook in (h for h in self._hooks if id(h) not in self._ended):
            try:
                call_hook(hook, "failed", self._run, error)
            except Exception as second:  # told, not hidden: logged and noted on the error that is raised
                _LOG.exception("hook %s failed while told of a failure", describe(hook))
                error.add_note(f"{describe(hook)}.failed() raised {type(second).__name__}: {second}")
