"""Watched: an observer as the host sees it; what it is told, answers, raises and changes is written down."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from expcore.hookspecs import PROJECT
from expcore.host.contract import SPECS


def marked(plugin: Any) -> dict[str, Callable[..., Any]]:
    """Returns the functions of a plugin that are marked and have a hook's name, by that name."""
    found = {name: getattr(plugin, name, None) for name in SPECS}
    return {name: f for name, f in found.items() if callable(f) and hasattr(f, f"{PROJECT}_impl")}


class Watched:
    """Has the hooks of an observer, and passes on every call.

    Args:
        plugin: the observer.

    Attributes:
        answers: hook and answer of each call, in order.
        errors: hook and error of each call that raised.
        changed: hook, what it was given, before and after, where it was changed.
        waited: hook and seconds by the experiment's clock of each call.
    """

    def __init__(self, plugin: Any) -> None:
        self.answers: list[tuple[str, Any]] = []
        self.errors: list[tuple[str, BaseException]] = []
        self.changed: list[tuple[str, str, str, str]] = []
        self.waited: list[tuple[str, float]] = []
        for name, function in marked(plugin).items():
            setattr(self, name, self._watching(name, function))

    def _watching(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        arguments = list(inspect.signature(function).parameters)

        @wraps(function)
        def call(*args: Any) -> Any:
            given = dict(zip(arguments, args, strict=False))
            before, clock = _told(given), getattr(given.get("experiment"), "clock", None)
            start = clock.monotonic() if clock else 0.0
            try:
                answer = function(*args)
            except BaseException as error:
                self.errors.append((name, error))
                raise
            if clock:
                self.waited.append((name, clock.monotonic() - start))
            after = _told(given)
            self.changed += [
                (name, key, before[key], after[key]) for key in before if before[key] != after[key]
            ]
            self.answers.append((name, answer))
            return answer

        return call


def _told(given: Mapping[str, Any]) -> dict[str, str]:
    """What an observer is given, in words, as far as it could change it."""
    told = {name: repr(given[name]) for name in ("options", "result", "hooks") if name in given}
    if "evaluation" in given:
        told["evaluation.metrics"] = repr(given["evaluation"].metrics)
    experiment = given.get("experiment")
    for name in ("train_hooks", "eval_hooks", "export_strategies", "saving_listeners"):
        if experiment is not None:
            told[f"experiment.{name}"] = repr(getattr(experiment, name))
    return told
