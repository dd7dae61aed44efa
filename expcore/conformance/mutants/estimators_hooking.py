"""Estimators that do not serve hooks, listeners or experiments as they should."""

from __future__ import annotations

from typing import Any

from expcore.conformance.mutants.estimators_base import Changed, mutant
from expcore.conformance.mutants.estimators_evaluating import Looking
from expcore.testing.numpy_estimator import NumpyEstimator
from expcore.types import InputFn


class Greedy(NumpyEstimator):
    """Takes everything for a hook."""

    def supports_hook(self, hook: Any) -> bool:
        """Says yes."""
        return True


class Aloof(NumpyEstimator):
    """Takes no hook, though it has the method."""

    def supports_hook(self, hook: Any) -> bool:
        """Says no."""
        return False


class Around:
    """A hook, listener or run around another one, which answers for it."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Wrapped(Changed):
    """Gives hooks and listeners on in other clothes."""

    hook: Any = None
    listener: Any = None

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        for name, made in (("hooks", self.hook), ("saving_listeners", self.listener)):
            if made is not None:
                given[name] = [made(inner) for inner in given[name] or ()]
        return super().fit(input_fn, given)


class WithoutEnd(Around):
    """Is told of no end."""

    end = None


class AtEachStep(Around):
    """Is called after each step."""

    def next_step(self, step: int) -> int:
        """The next."""
        return step + 1


class Late(Around):
    """Is called every four steps only."""

    def next_step(self, step: int) -> Any:
        """The next multiple of four."""
        ask = getattr(self.inner, "next_step", None)
        wanted = ask(step) if callable(ask) else None
        return None if wanted is None else -(-wanted // 4) * 4


class GivenRun(Around):
    """Sees another run."""

    def after_steps(self, run: Any) -> None:
        """With that run."""
        if callable(getattr(self.inner, "after_steps", None)):
            self.inner.after_steps(self.seen(run))

    def seen(self, run: Any) -> Any:
        """What it sees of a run."""
        return run


class NoStop(GivenRun):
    """Cannot stop the run."""

    def seen(self, run: Any) -> Any:
        """A run that goes on."""
        seen = Around(run)
        seen.request_stop = lambda reason: None  # type: ignore[attr-defined]
        return seen


class NoSave(GivenRun):
    """Cannot ask for a save."""

    def seen(self, run: Any) -> Any:
        """A run that saves when it likes."""
        seen = Around(run)
        seen.request_save = lambda: None  # type: ignore[attr-defined]
        return seen


class WrongPath(Around):
    """Is told the directory instead of the checkpoint."""

    def after_save(self, run: Any, checkpoint_path: str) -> None:
        """With the directory."""
        if callable(getattr(self.inner, "after_save", None)):
            self.inner.after_save(run, run.model_dir)


class EndedTwice(Around):
    """Is told of an end after a failure."""

    def failed(self, run: Any, error: BaseException) -> None:
        """Both."""
        for name, args in (("failed", (run, error)), ("end", (run,))):
            if callable(getattr(self.inner, name, None)):
                getattr(self.inner, name)(*args)


class Silenced(Around):
    """Cannot fail."""

    def after_steps(self, run: Any) -> None:
        """Keeps the error to itself."""
        try:
            self.inner.after_steps(run)
        except Exception:
            return


class Stateless(Around):
    """Has no state."""

    get_state = set_state = None


class OfTheCall(Around):
    """Is told the steps of this call."""

    start: int | None = None

    def before_save(self, session: Any, global_step: int) -> None:
        """Counts from the first."""
        self.inner.before_save(session, global_step - 2)

    def after_save(self, session: Any, global_step: int) -> Any:
        """Counts from the first."""
        return self.inner.after_save(session, global_step - 2)


class Early(Around):
    """Is told of a save before it is made."""

    answer: Any = None

    def before_save(self, session: Any, global_step: int) -> None:
        """Both."""
        self.inner.before_save(session, global_step)
        self.answer = self.inner.after_save(session, global_step)

    def after_save(self, session: Any, global_step: int) -> Any:
        """It was told already."""
        return self.answer


class Unheard(Around):
    """Answers in vain."""

    def after_save(self, session: Any, global_step: int) -> None:
        """Nobody listens."""
        self.inner.after_save(session, global_step)


class WithoutMetrics(GivenRun):
    """Sees no metrics."""

    def seen(self, run: Any) -> Any:
        """A run that knows nothing."""
        seen = Around(run)
        seen.metrics = {}  # type: ignore[attr-defined]
        return seen


class NeverEnding(Around):
    """Does not know the last save."""

    def after_save(self, run: Any, checkpoint_path: str) -> None:
        """With a run that goes on."""
        seen = Around(run)
        seen.ending = False  # type: ignore[attr-defined]
        if callable(getattr(self.inner, "after_save", None)):
            self.inner.after_save(seen, checkpoint_path)


class Timeless(Around):
    """Has no seconds."""

    every_secs = None


class Quiet(Looking):
    """Tells hooks of no evaluation."""

    def look(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Evaluates."""
        return super().look(input_fn, {**given, "hooks": None})


class Hasty(Looking):
    """Tells hooks of the end in any case."""

    def look(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Evaluates."""
        return super().look(input_fn, {**given, "hooks": [EndedTwice(hook) for hook in given["hooks"] or ()]})


class Busy(Changed):
    """Cannot evaluate a checkpoint by its path while it trains."""

    _busy = False

    def fit(self, input_fn: InputFn, given: dict[str, Any]) -> Any:
        """Trains."""
        self._busy = True
        try:
            return super().fit(input_fn, given)
        finally:
            self._busy = False

    def evaluate(self, input_fn: InputFn, *args: Any, **given: Any) -> Any:
        """Evaluates."""
        if self._busy and given.get("checkpoint_path") is not None:
            raise RuntimeError("it is training")
        return super().evaluate(input_fn, *args, **given)


class Absorbing(NumpyEstimator):
    """Takes any argument, and does nothing with those that it does not know."""

    def train(  # type: ignore[override]
        self,
        input_fn: InputFn,
        hooks: Any = None,
        steps: int | None = None,
        max_steps: int | None = None,
        **_given: Any,
    ) -> Any:
        """Trains."""
        return super().train(input_fn, hooks, steps, max_steps)


def _hooked(made: type, **given: Any) -> type:
    return type(made.__name__, (Wrapped,), {"hook": made, **given})


def _listened(made: type) -> type:
    return type(made.__name__, (Wrapped,), {"listener": made})


HOOKING = (
    mutant(40, "takes everything for a hook", Greedy),
    mutant(40, "takes no hook", Aloof),
    mutant(41, "tells hooks of no end", _hooked(WithoutEnd)),
    mutant(41, "calls hooks after each step", _hooked(AtEachStep)),
    mutant(42, "calls hooks every four steps only", _hooked(Late)),
    mutant(43, "does not stop where a hook asks", _hooked(NoStop)),
    mutant(44, "does not save where a hook asks", _hooked(NoSave)),
    mutant(44, "tells hooks the directory for the path", _hooked(WrongPath)),
    mutant(45, "calls end after failed", _hooked(EndedTwice)),
    mutant(45, "swallows what a hook raises", _hooked(Silenced)),
    mutant(46, "forgets the states of hooks", _hooked(Stateless)),
    mutant(47, "tells listeners other steps", _listened(OfTheCall)),
    mutant(47, "takes listeners by **kwargs and forgets them", Absorbing),
    mutant(48, "tells listeners before it saves", _listened(Early)),
    mutant(49, "does not listen to listeners", _listened(Unheard)),
    mutant(60, "shows hooks no metrics", _hooked(WithoutMetrics)),
    mutant(60, "does not say which save is the last", _hooked(NeverEnding)),
    mutant(61, "calls no hook by the clock", _hooked(Timeless)),
    mutant(62, "tells hooks of no evaluation", Quiet),
    mutant(62, "tells hooks of the end of a failed evaluation", Hasty),
    mutant(50, "cannot evaluate a path while it trains", Busy),
)
