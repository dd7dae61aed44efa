"""until_step: ends when a checkpoint of the step is evaluated, by history or by the result alone."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from expcore.errors import InvalidArgument, UnknownMetric
from expcore.types import Evaluation
from expcore_plugins.predicates.until_step import UntilStep


def history(*steps):
    return SimpleNamespace(
        evaluations=[Evaluation(f"c{i}", s, {"global_step": s}) for i, s in enumerate(steps)]
    )


@pytest.mark.parametrize("result", [None, {}, {"global_step": 999}])
def test_goes_on_before_the_step_is_evaluated(result):
    assert UntilStep(100)(result, history=history()) is True
    assert UntilStep(100)(result, history=history(50, 99)) is True


@pytest.mark.parametrize("result", [None, {}, {"global_step": 1}])
def test_ends_when_the_history_reached_the_step_whatever_the_result(result):
    assert UntilStep(100)(result, history=history(50, 100)) is False
    assert UntilStep(100)(result, history=history(150)) is False


def test_a_rollback_below_the_step_does_not_begin_it_anew():
    assert UntilStep(100)({}, history=history(100, 50)) is False


@pytest.mark.parametrize(
    ("result", "verdict"),
    [(None, True), ({}, True), ({"global_step": 99}, True), ({"global_step": 100}, False)],
)
def test_without_a_history_the_result_decides(result, verdict):
    assert UntilStep(100)(result) is verdict


def test_without_a_history_a_result_without_a_step_is_an_error():
    with pytest.raises(
        UnknownMetric, match=r"predicate 'until_step': metric 'global_step' is not among \['loss'\]"
    ):
        UntilStep(100)({"loss": 1.0})


@pytest.mark.parametrize("step", [-1, 1.5, "100", None, True])
def test_a_step_that_is_no_whole_number_is_refused(step):
    with pytest.raises(InvalidArgument, match="predicate 'until_step': step is"):
        UntilStep(step)


def test_reads_well():
    assert repr(UntilStep(100)) == "UntilStep(step=100)"
