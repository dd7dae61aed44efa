"""How predicates are tried: on scripted metrics, with the metrics of an estimator of their own."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from expcore import hookimpl
from expcore.conformance import check
from expcore.conformance.predicates.scripted import LONG, SHORT, USUAL, script
from expcore.errors import InvalidArgument
from expcore.testing.numpy_estimator import NumpyEstimator


def until(metric: str, threshold: float) -> Any:
    return lambda eval_result: not eval_result or eval_result[metric] < threshold


class Translates(NumpyEstimator):
    """Has a metric that no other has."""

    def evaluate(self, *args: Any, **named: Any) -> Any:
        return {**super().evaluate(*args, **named), "bleu": 20.0, "sentences": 3, "of": "Goethe"}


@pytest.mark.parametrize("metric", sorted(USUAL))
def test_a_predicate_may_decide_from_any_of_the_usual_metrics(metric):
    assert check(until(metric, 0.5), kind="predicate", only=["PRE-003", "PRE-004", "PRE-005"]).ok


def test_a_predicate_that_decides_from_another_metric_is_told_to_bring_an_estimator():
    report = check(until("bleu", 30), kind="predicate", on_fail="collect")
    assert [failure.id for failure in report.failures] == ["PRE-005"]
    assert "where it needs another metric give estimator= that has it" in report.failures[0].message


def test_with_an_estimator_that_has_the_metric_every_clause_is_tried():
    report = check(until("bleu", 30), kind="predicate", estimator=Translates)
    assert report.counts["passed"] == report.total


class Fixed:
    def evaluate(self) -> dict[str, Any]:
        return {"loss": 2.0, "accuracy": 0.3, "bleu": 20.0, "sentences": 3, "of": "Goethe", "global_step": 5}


def test_fractions_follow_the_script_and_everything_else_stays():
    estimator = Fixed()
    script(estimator, (0.25, 0.5), {"auc": 0.0})
    seen = [estimator.evaluate() for _ in range(3)]
    assert [r["loss"] for r in seen] == [1.5, 1.0, 1.0]
    assert [r["accuracy"] for r in seen] == [r["auc"] for r in seen] == [0.25, 0.5, 0.5]
    assert [r["bleu"] for r in seen] == [25.0, 30.0, 30.0]
    assert {(r["sentences"], r["of"], r["global_step"]) for r in seen} == {(3, "Goethe", 5)}


def test_the_scripts_get_better_stay_and_get_worse():
    for levels in (SHORT, LONG):
        moves = [b - a for a, b in pairwise(levels)]
        assert min(moves) < 0 < max(moves)
        assert 0 in moves


class Observer:
    @hookimpl
    def expcore_failed(self, experiment: Any, error: BaseException) -> None:
        """Does nothing."""


@pytest.mark.parametrize("kind", ["predicate", "hook", "observer"])
@pytest.mark.parametrize(
    ("estimator", "told"),
    [
        (lambda model_dir: None, r"estimator= returned None, which has no train, evaluate"),
        (lambda model_dir: {}[model_dir], r"estimator= raised KeyError"),
    ],
    ids=["returns None", "raises"],
)
def test_an_estimator_that_is_none_is_no_fault_of_the_component(kind, estimator, told):
    component = {
        "predicate": until("loss", 0.5),
        "hook": type("Hook", (), {"end": lambda self, run: None}),
        "observer": Observer,
    }[kind]
    with pytest.raises(InvalidArgument, match=told):
        check(component, kind=kind, estimator=estimator, on_fail="collect")
