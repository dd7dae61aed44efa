"""The two doors for code: ``check``, a function call, and ``conformance``, a decorator for pytest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from expcore.calling import describe
from expcore.conformance.case import Sample
from expcore.conformance.kind import load_kind
from expcore.conformance.report import BLOCKED, FAILED, SKIPPED, XFAIL, Report
from expcore.conformance.suite import Suite
from expcore.errors import InvalidArgument, listing

_ON_FAIL = ("raise", "collect")


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
    report = Suite(load_kind(kind), sample, label or _label(sample)).report(only)
    if on_fail == "raise":
        report.raise_for_failures()
    return report


def as_sample(component: Any, **given: Any) -> Sample:
    """Returns the sample for what ``check`` was given.

    Raises:
        InvalidArgument: neither component nor factory, or both.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if isinstance(component, Sample):
        return Sample(**{**vars(component), **given})
    if (component is None) == ("factory" not in given):
        raise InvalidArgument("check: give either a component or factory=, which makes one")
    return Sample(component=component, **given)


def conformance(component: Any = None, *, kind: str, **given: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorates a test so that pytest runs it once a clause, with the clause's outcome to be called.

    The test takes one argument, ``clause``, and calls it: ``clause()`` fails, skips or xfails the test as
    the clause came out::

        @conformance(MyFormat(), kind="exporter")
        def test_it_keeps_every_promise(clause):
            clause()

    Args:
        component: as for ``check``.
        kind: as for ``check``.
        given: other arguments of ``check``, but ``on_fail`` and ``only``.

    Raises:
        InvalidArgument: as for ``check``.
        TypeError: there is no such argument.
    """
    import pytest

    label = given.pop("label", None)
    sample = as_sample(component, **given)
    suite = Suite(load_kind(kind), sample, label or _label(sample))

    def outcome(own: str) -> Callable[[], None]:
        return lambda: tell_pytest(suite, own)

    cases = [pytest.param(outcome(clause.id), id=clause.id) for clause in suite.clauses]
    cases.append(pytest.param(lambda: tell_floor(suite), id="floor"))
    return pytest.mark.parametrize("clause", cases)


def tell_pytest(suite: Suite, own: str) -> None:
    """Fails, skips or xfails the running test as a clause came out; a SHOULD that fails is a warning."""
    import warnings

    import pytest

    result = suite.result(own)
    if result.status == FAILED:
        if result.level == "MUST":
            pytest.fail(result.message, pytrace=False)
        warnings.warn(result.message, stacklevel=2)
    elif result.status == XFAIL:
        pytest.xfail(result.message)
    elif result.status in (SKIPPED, BLOCKED):
        pytest.skip(result.message)


def tell_floor(suite: Suite) -> None:
    """Fails the running test where too few clauses were tried to prove anything."""
    import pytest

    report = suite.report()
    if report.below_floor:
        missing = [r.id for r in report.results if r.counts and r.status in (SKIPPED, BLOCKED)]
        pytest.fail(
            f"{report.summary}; at least {report.floor} have to be tried; not tried: "
            f"{', '.join(missing) or 'all'}",
            pytrace=False,
        )


def _label(sample: Sample) -> str:
    return describe(sample.component if sample.component is not None else sample.factory)
