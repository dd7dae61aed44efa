"""A module that is an observer and keeps every promise: components, added hooks, adapted hooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from expcore.hookspecs import hookimpl
from expcore.testing.numpy_estimator import NumpyEstimator


class Count:
    """A hook that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def next_step(self, step: int) -> int:
        """The next multiple of 5."""
        return step - step % 5 + 5

    def after_steps(self, run: Any) -> None:
        """Counts."""
        self.calls += 1


class Adapted:
    """A hook in the form that an estimator takes."""

    def __init__(self, hook: Any) -> None:
        self._hook = hook

    def end(self, run: Any) -> None:
        """Passes it on."""
        if hasattr(self._hook, "end"):
            self._hook.end(run)


def _go_on(eval_result: Any) -> bool:
    return True


def forever() -> Any:
    """Makes a predicate."""
    return _go_on


@hookimpl
def expcore_predicates() -> dict[str, Any]:
    """One predicate."""
    return {"forever": forever}


@hookimpl
def expcore_hooks() -> dict[str, Any]:
    """One hook."""
    return {"count": Count}


@hookimpl
def expcore_train_hooks() -> list[Any]:
    """A new hook for each training."""
    return [Count()]


@hookimpl
def expcore_adapt_hooks(estimator: Any, hooks: Sequence[Any]) -> Sequence[Any] | None:
    """Adapts to one estimator."""
    return [Adapted(hook) for hook in hooks] if isinstance(estimator, NumpyEstimator) else None
