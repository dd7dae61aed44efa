"""The built-in predicates keep every promise of a predicate, with no expected failures."""

from __future__ import annotations

from importlib.metadata import distribution

import pytest

from expcore.conformance import check
from expcore_plugins.predicates.while_improving import WhileImproving
from expcore_plugins.samples import predicates as samples

pytestmark = pytest.mark.proof

BUILTINS = sorted(e.name for e in distribution("expcore").entry_points if e.group == "expcore.predicates")


def keeps_every_promise(component):
    report = check(component, kind="predicate", on_fail="raise")
    report.raise_for_failures("should")
    assert [r.message for r in report.results if r.status != "passed"] == []


def test_there_are_the_nine_built_ins():
    assert len(BUILTINS) == 9


@pytest.mark.parametrize("name", BUILTINS)
def test_a_built_in_predicate_keeps_every_promise(name):
    sample = getattr(samples, name, None)
    keeps_every_promise(sample() if sample else WhileImproving)
