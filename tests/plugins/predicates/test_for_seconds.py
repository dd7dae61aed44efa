"""for_seconds: the time of the history decides, so restarts go on counting."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from expcore.errors import InvalidArgument
from expcore_plugins.predicates.for_seconds import ForSeconds


@pytest.mark.parametrize("result", [None, {}, {"loss": 1.0}])
@pytest.mark.parametrize(("secs", "verdict"), [(0.0, True), (59.5, True), (60.0, False), (61.0, False)])
def test_goes_on_until_the_task_was_at_work_for_so_long(result, secs, verdict):
    assert ForSeconds(60)(result, history=SimpleNamespace(seconds=secs)) is verdict


@pytest.mark.parametrize("result", [None, {}, {"loss": 1.0}])
def test_goes_on_without_a_history(result):
    assert ForSeconds(0.001)(result) is True


@pytest.mark.parametrize("secs", [0, -1, math.inf, math.nan, "60", None])
def test_seconds_that_are_no_positive_number_are_refused(secs):
    with pytest.raises(InvalidArgument, match="predicate 'for_seconds': secs is"):
        ForSeconds(secs)


def test_reads_well():
    assert repr(ForSeconds(60)) == "ForSeconds(secs=60)"
