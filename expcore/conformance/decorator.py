"""The door for tests: a decorator that makes one test of each clause; telling pytest what came out."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from expcore.conformance.check import as_sample, label_of
from expcore.conformance.kind import load_kind
from expcore.conformance.report import BLOCKED, FAILED, SKIPPED, XFAIL
from expcore.conformance.suite import Suite


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
        given: other arguments of ``check``, but ``on_fail``.

    Raises:
        InvalidArgument: as for ``check``.
        TypeError: there is no such argument.
    """
    import pytest

    label, only = given.pop("label", None), given.pop("only", None)
    sample = as_sample(component, **given)
    suite = Suite(load_kind(kind), sample, label or label_of(sample))

    def outcome(own: str) -> Callable[[], None]:
        return lambda: tell_pytest(suite, own)

    cases = [pytest.param(outcome(own), id=own) for own in suite.chosen(only)]
    if only is None:
        cases.append(pytest.param(lambda: tell_floor(suite), id="floor"))
    return pytest.mark.parametrize("clause", cases)


def tell_pytest(suite: Suite, own: str) -> None:
    """Fails, skips or xfails the running test as a clause came out; a SHOULD that fails is a warning."""
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
        pytest.fail(report.untried, pytrace=False)
