"""Observers that are wrong about what they are, about what a run is, or in what they answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from expcore.conformance.mutants.observers_right import Count
from expcore.hookspecs import hookimpl
from expcore.testing.numpy_estimator import NumpyEstimator
from expcore.types import Component


class WantsAnArgument:
    """Cannot be made without an argument."""

    def __init__(self, url: str) -> None:
        self.url = url

    @hookimpl
    def expcore_after_schedule(self, result: Any) -> None:
        """Does nothing."""


class Misspelt:
    """Has a hook of almost the right name."""

    @hookimpl
    def expcore_after_evalute(self, evaluation: Any) -> None:
        """Is never called."""

    @hookimpl
    def expcore_after_schedule(self, result: Any) -> None:
        """Does nothing."""


class MisspeltAndUnmarked:
    """The same without the mark, which nobody would ever notice."""

    def expcore_after_evalute(self, evaluation: Any) -> None:
        """Is never called."""

    @hookimpl
    def expcore_after_schedule(self, result: Any) -> None:
        """Does nothing."""


class Unmarked:
    """Forgets one mark."""

    def expcore_after_evaluate(self, evaluation: Any) -> None:
        """Is never called."""

    @hookimpl
    def expcore_after_schedule(self, result: Any) -> None:
        """Does nothing."""


class WithDefault:
    """Has a default, so that the argument is never given."""

    @hookimpl
    def expcore_after_evaluate(self, evaluation: Any = None) -> None:
        """Is called with None."""


class WithStrangeArgument:
    """Wants what there is not."""

    @hookimpl
    def expcore_after_evaluate(self, result: Any) -> None:
        """Cannot be called."""


class Wraps:
    """Stands around the others."""

    @hookimpl(wrapper=True)
    def expcore_after_evaluate(self) -> Iterator[None]:
        """Is a wrapper."""
        return (yield)


class WantsAccuracy:
    """Takes a metric for granted."""

    @hookimpl
    def expcore_after_evaluate(self, evaluation: Any) -> None:
        """Looks for it."""
        self.best = evaluation.metrics["accuracy"]


class AddsABrokenHook:
    """The hook that it adds fails in the training."""

    @hookimpl
    def expcore_train_hooks(self, experiment: Any) -> list[Any]:
        """Adds it."""
        return [BrokenHook()]


class BrokenHook:
    """Takes a metric for granted."""

    def after_steps(self, run: Any) -> None:
        """Looks for it."""
        self.value = run.metrics["accuracy"]


class WantsAMessage:
    """Takes for granted that an error says something."""

    @hookimpl
    def expcore_failed(self, error: BaseException) -> None:
        """Shows the message."""
        self.message = error.args[0]


class NeverForgets:
    """Waits for an end that does not come after a failure."""

    running = False

    @hookimpl
    def expcore_before_schedule(self, schedule: str) -> None:
        """Begins."""
        if self.running:
            raise RuntimeError(f"{schedule}: one is running already")
        self.running = True

    @hookimpl
    def expcore_after_schedule(self, schedule: str) -> None:
        """Ends; a signal is an end for it as well."""
        self.running = False


class OneExperiment:
    """Takes for granted that a process has one experiment."""

    model_dir = ""

    @hookimpl
    def expcore_before_schedule(self, experiment: Any) -> None:
        """Notes which."""
        self.model_dir = self.model_dir or experiment.model_dir
        if self.model_dir != experiment.model_dir:
            raise RuntimeError(f"this is not {self.model_dir}")


class WantsTraining:
    """Takes for granted that its process has trained."""

    @hookimpl
    def expcore_before_train(self, experiment: Any) -> None:
        """Starts to measure."""
        self.start = experiment.clock.monotonic()

    @hookimpl
    def expcore_after_evaluate(self, experiment: Any, evaluation: Any) -> None:
        """Measures."""
        self.secs = experiment.clock.monotonic() - self.start


class WantsASchedule:
    """Takes for granted that a schedule has begun."""

    @hookimpl
    def expcore_before_schedule(self, schedule: str) -> None:
        """Notes its name."""
        self.title = schedule

    @hookimpl
    def expcore_checkpoint_saved(self, checkpoint: Any) -> None:
        """Tells."""
        self.line = f"{self.title}: saved {checkpoint.id}"


class WantsACheckpoint:
    """Takes for granted that there is a checkpoint."""

    @hookimpl
    def expcore_before_evaluate(self, checkpoint: Any) -> None:
        """Looks at its step."""
        self.step = checkpoint.step


class WantsTheSupport:
    """Takes for granted that every estimator takes expcore's hooks."""

    @hookimpl
    def expcore_train_hooks(self, experiment: Any) -> list[Any]:
        """Asks without looking."""
        hook = Count()
        return [hook] if experiment.estimator.supports_hook(hook) else []


class OnceAStep:
    """Takes for granted that a step comes once."""

    def __init__(self) -> None:
        self.seen: dict[str, set[Any]] = {}

    @hookimpl
    def expcore_checkpoint_saved(self, experiment: Any, checkpoint: Any) -> None:
        """Refuses a second one."""
        seen = self.seen.setdefault(experiment.model_dir, set())
        if checkpoint.step in seen:
            raise KeyError(checkpoint.step)
        seen.add(checkpoint.step)


class OnceEvaluated(OnceAStep):
    """Takes for granted that a checkpoint is evaluated once."""

    @hookimpl
    def expcore_checkpoint_saved(self, experiment: Any, checkpoint: Any) -> None:
        """Does nothing."""

    @hookimpl
    def expcore_after_evaluate(self, experiment: Any, evaluation: Any) -> None:
        """Refuses a second one."""
        seen = self.seen.setdefault(experiment.model_dir, set())
        if evaluation.checkpoint is not None and evaluation.checkpoint in seen:
            raise KeyError(evaluation.checkpoint)
        seen.add(evaluation.checkpoint)


class DrawsItsNames:
    """Gives other components each time."""

    calls = 0

    @hookimpl
    def expcore_predicates(self) -> dict[str, Any]:
        """Another name each time."""
        self.calls += 1
        return {f"go_on_{self.calls}": lambda: None}


class GivesOnce:
    """Gives an iterator, which is empty the second time."""

    def __init__(self) -> None:
        self.components = iter([Component("predicates", "go_on", lambda: lambda: None)])

    @hookimpl
    def expcore_predicates(self) -> Any:
        """What is left of it."""
        return self.components


class NamesWithSpaces:
    """Gives a name that nobody can ask for."""

    @hookimpl
    def expcore_predicates(self) -> dict[str, Any]:
        """A name with a space."""
        return {"go on": lambda: None}


class GivesObjects:
    """Gives an object instead of what makes one."""

    @hookimpl
    def expcore_hooks(self) -> dict[str, Any]:
        """A hook."""
        return {"count": Count()}


class AddsOneHook:
    """Returns the hook itself."""

    @hookimpl
    def expcore_train_hooks(self) -> Any:
        """No list, but something that can be gone through."""
        return {Count(): "every training"}


class AddsAClass:
    """Returns the class of a hook, which every estimator declines in silence."""

    @hookimpl
    def expcore_train_hooks(self) -> Any:
        """A class."""
        return [Count]


class AddsTheSame:
    """Returns the same hook to every training."""

    def __init__(self) -> None:
        self.hooks = [Count()]

    @hookimpl
    def expcore_train_hooks(self) -> Any:
        """The one that it has."""
        return list(self.hooks)


class AdaptsForAll:
    """Answers for every estimator, so that nobody else is asked."""

    @hookimpl
    def expcore_adapt_hooks(self, hooks: Sequence[Any]) -> Sequence[Any]:
        """What it was given."""
        return hooks


class AdaptsSome:
    """Leaves out hooks that it does not know."""

    @hookimpl
    def expcore_adapt_hooks(self, estimator: Any, hooks: Sequence[Any]) -> Sequence[Any] | None:
        """Only some."""
        return [] if isinstance(estimator, NumpyEstimator) else None


class AdaptsSorted:
    """Changes the order."""

    @hookimpl
    def expcore_adapt_hooks(self, estimator: Any, hooks: Sequence[Any]) -> Sequence[Any] | None:
        """The last first."""
        return list(reversed(hooks)) if isinstance(estimator, NumpyEstimator) else None
