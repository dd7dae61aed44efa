"""The door for code: ``check``, a function call."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from expcore.calling import describe
from expcore.conformance.case import Sample
from expcore.conformance.kind import load_kind
from expcore.conformance.report import Report
from expcore.conformance.suite import Suite
from expcore.errors import InvalidArgument, InvalidType, listing

_ON_FAIL = ("raise", "collect")
_MAPPINGS = ("options", "config", "expected_failures")
_FUNCTIONS = ("factory", "estimator", "train_input_fn", "eval_input_fn")


def check(
    component: Any = None,
    *,
    kind: str,
    on_fail: str = "raise",
    factory: Callable[..., Any] | None = None,
    estimator: Callable[[str], Any] | None = None,
    train_input_fn: Callable[[], Any] | None = None,
    eval_input_fn: Callable[[], Any] | None = None,
    options: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    capabilities: Collection[str] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    only: Iterable[str] | None = None,
    label: str | None = None,
) -> Report:
    """Tries a component on every clause of its kind.

    Args:
        component: an instance; for schedules and predicates the function itself; a class that can be made
            without arguments; a ``Sample``. It is copied for each clause where it can be.
        kind: "estimator", "schedule", "exporter", "hook", "predicate" or "observer".
        on_fail: "raise": ConformanceError where a MUST fails or too little was tried, with every failure in
            its message; "collect": the report says it, and nothing is raised.
        factory: makes a fresh component for each clause; instead of ``component``.
        estimator: as ``Sample`` has it, like the next five.
        train_input_fn: the training data.
        eval_input_fn: the evaluation data.
        options: options of a schedule.
        config: attributes of the config of a schedule's experiment.
        capabilities: what the component can do besides; None: what it declares itself.
        expected_failures: reason by clause id. Such a clause has to fail: one that passes is a failure.
        only: ids of the clauses to try; None: all.
        label: what to call the component in messages; None: after its class.

    Returns:
        The report; ``report.results`` has ``id``, ``status``, ``level`` and ``message`` of each clause.

    Raises:
        ConformanceError: see ``on_fail``; it is an AssertionError.
        InvalidArgument: no such kind, clause or capability; neither component nor factory, or both.
        InvalidType: an argument is of a type that cannot be used.
    """
    if on_fail not in _ON_FAIL:
        raise InvalidArgument(f"on_fail={on_fail!r}: it is not among {listing(_ON_FAIL)}")
    given = {
        "factory": factory,
        "estimator": estimator,
        "train_input_fn": train_input_fn,
        "eval_input_fn": eval_input_fn,
        "options": options,
        "config": config,
        "capabilities": capabilities,
        "expected_failures": expected_failures,
    }
    sample = as_sample(component, **given)
    report = Suite(load_kind(kind), sample, label or label_of(sample)).report(only)
    if on_fail == "raise":
        report.raise_for_failures()
    return report


def as_sample(component: Any, **given: Any) -> Sample:
    """Returns the sample for what ``check`` was given.

    Raises:
        InvalidArgument: neither component nor factory, or both.
        InvalidType: an argument is no function, or no mapping.
    """
    given = {name: value for name, value in given.items() if value is not None}
    for name, value in given.items():
        wanted = _MAPPINGS if name in _MAPPINGS else _FUNCTIONS if name in _FUNCTIONS else ()
        if wanted and not (isinstance(value, Mapping) if wanted is _MAPPINGS else callable(value)):
            what = "a mapping" if wanted is _MAPPINGS else "a function"
            raise InvalidType(f"{name} is {value!r}; it must be {what}")
    if isinstance(component, Sample):
        return replace(component, **given)
    if (component is None) == ("factory" not in given):
        raise InvalidArgument("check: give either a component or factory=, which makes one")
    return Sample(component=component, **given)


def label_of(sample: Sample) -> str:
    """Returns what to call a component in messages."""
    return describe(sample.component if sample.component is not None else sample.factory)
