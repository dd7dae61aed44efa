"""until_metric: ends when an evaluation reached the threshold; NaN and infinities never do."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expcore.errors import InvalidArgument, UnknownMetric
from expcore.types import Evaluation
from expcore_plugins.predicates.until_metric import UntilMetric


def history(*values, metric="auc"):
    return SimpleNamespace(
        evaluations=[Evaluation(f"c{i}", i, {metric: v, "global_step": i}) for i, v in enumerate(values)]
    )


@pytest.mark.parametrize(
    ("predicate", "values", "verdict"),
    [
        (UntilMetric("auc", 0.9), [], True),
        (UntilMetric("auc", 0.9), [0.5, 0.875], True),
        (UntilMetric("auc", 0.9), [0.5, 0.9], False),
        (UntilMetric("auc", 0.9), [0.95, 0.5], False),
        (UntilMetric("auc", 0.9, mode="min"), [0.95], True),
        (UntilMetric("auc", 0.9, mode="min"), [0.9], False),
        (UntilMetric("auc", 0.9), [math.nan, math.inf], True),
        (UntilMetric("auc", 0.9, mode="min"), [-math.inf, math.nan], True),
    ],
)
@pytest.mark.parametrize("result", [None, {}])
def test_goes_on_until_any_recorded_evaluation_reached_the_threshold(predicate, values, verdict, result):
    assert predicate(result, history=history(*values)) is verdict


@given(st.lists(st.floats()), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
def test_agrees_with_the_definition_for_any_values(values, threshold, lower):
    reached = [v for v in values if math.isfinite(v) and (v <= threshold if lower else v >= threshold)]
    predicate = UntilMetric("x", threshold, mode="min" if lower else "max")
    assert predicate(None, history=history(*values, metric="x")) is (not reached)


@pytest.mark.parametrize(
    ("result", "verdict"), [(None, True), ({}, True), ({"loss": 0.2}, True), ({"loss": 0.1}, False)]
)
def test_without_a_history_the_result_decides(result, verdict):
    assert UntilMetric("loss", 0.1)(result) is verdict


def test_metrics_of_another_set_are_found_by_its_name():
    assert UntilMetric("holdout/auc", 0.9)(None, history=history(0.95, metric="holdout/auc")) is False


@pytest.mark.parametrize("recorded", [history(0.1, metric="loss"), None])
def test_an_evaluation_without_the_metric_is_an_error_naming_those_there_are(recorded):
    with pytest.raises(
        UnknownMetric, match=r"predicate 'until_metric': metric 'auc' is not among \['loss'\]"
    ):
        UntilMetric("auc", 0.9)({"loss": 0.1, "global_step": 1}, history=recorded)


@pytest.mark.parametrize("threshold", [math.nan, math.inf, None, "0.9", True])
def test_a_threshold_that_is_no_finite_number_is_refused(threshold):
    with pytest.raises(InvalidArgument, match="predicate 'until_metric': threshold is"):
        UntilMetric("auc", threshold)


@pytest.mark.parametrize("metric", ["", None, 1])
def test_a_metric_that_is_no_name_is_refused(metric):
    with pytest.raises(InvalidArgument, match="predicate 'until_metric': metric is"):
        UntilMetric(metric, 0.9)


def test_a_name_that_does_not_tell_the_direction_asks_for_mode_at_construction():
    with pytest.raises(InvalidArgument, match=r"metric 'score'.*pass mode="):
        UntilMetric("score", 0.9)
    with pytest.raises(InvalidArgument, match="mode is 'up'"):
        UntilMetric("auc", 0.9, mode="up")


def test_reads_well():
    assert repr(UntilMetric("auc", 0.9)) == "UntilMetric(metric='auc', threshold=0.9, mode=None)"
