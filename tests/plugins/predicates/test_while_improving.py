"""while_improving: patience over the recorded evaluations; ties, NaN, restarts."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expcore.errors import InvalidArgument, UnknownMetric
from expcore.types import Evaluation
from expcore_plugins.predicates.while_improving import WhileImproving

VALUES = st.lists(st.one_of(st.integers(-3, 3).map(float), st.floats()), max_size=12)


def history(values, metric="loss"):
    return SimpleNamespace(
        evaluations=[Evaluation(f"c{i}", i, {metric: v, "global_step": i}) for i, v in enumerate(values)]
    )


@pytest.mark.parametrize(
    ("patience", "values", "verdict"),
    [
        (1, [], True),
        (1, [3.0], True),
        (1, [3.0, 2.0], True),
        (1, [3.0, 3.0], False),
        (1, [3.0, 4.0], False),
        (1, [3.0, 4.0, 2.0], True),
        (2, [3.0, 4.0], True),
        (2, [3.0, 4.0, 3.0], False),
        (2, [3.0, 4.0, 2.0, 2.0], True),
        (1, [math.nan], False),
        (2, [math.nan], True),
        (2, [math.nan, math.inf], False),
        (1, [math.nan, 3.0], True),
        (1, [3.0, math.nan], False),
        (1, [3.0, -math.inf], False),
        (1, [-math.inf, 3.0], True),
    ],
)
@pytest.mark.parametrize("result", [None, {}])
def test_goes_on_while_one_of_the_last_evaluations_improved(patience, values, verdict, result):
    assert WhileImproving("loss", patience=patience)(result, history=history(values)) is verdict


def test_a_higher_value_improves_where_higher_is_better():
    assert WhileImproving("auc")(None, history=history([0.5, 0.75], "auc")) is True
    assert WhileImproving("auc")(None, history=history([0.75, 0.5], "auc")) is False
    assert WhileImproving("auc", mode="min")(None, history=history([0.75, 0.5], "auc")) is True


def test_an_improvement_must_exceed_min_delta_and_small_ones_add_up():
    predicate = WhileImproving("loss", min_delta=0.25)
    assert predicate(None, history=history([1.0, 0.75])) is False
    assert predicate(None, history=history([1.0, 0.75, 0.5])) is True


def reference(values, patience, lower):
    """The best of the last ``patience`` values against the best of those before, nothing else."""
    last, before = values[-patience:], values[:-patience]
    if len(values) < patience:
        return True
    key = (lambda v: -v) if lower else (lambda v: v)
    last, before = ([key(v) for v in part if math.isfinite(v)] for part in (last, before))
    return bool(last) and (not before or max(last) > max(before))


@given(VALUES, st.integers(1, 6), st.booleans())
def test_agrees_with_the_best_of_the_last_against_the_best_before(values, patience, lower):
    predicate = WhileImproving("x", mode="min" if lower else "max", patience=patience)
    assert predicate(None, history=history(values, "x")) is reference(values, patience, lower)


@given(VALUES, st.integers(1, 4), st.lists(st.booleans(), max_size=12))
def test_a_restart_at_any_evaluation_comes_to_the_same_verdicts(values, patience, restarts):
    kept = WhileImproving("loss", patience=patience)
    for n in range(len(values) + 1):
        if n < len(restarts) and restarts[n]:
            kept = WhileImproving("loss", patience=patience)
        fresh = WhileImproving("loss", patience=patience)
        assert kept(None, history=history(values[:n])) is fresh({}, history=history(values[:n]))


@given(VALUES, st.integers(1, 4))
def test_asking_again_changes_nothing(values, patience):
    predicate = WhileImproving("loss", patience=patience)
    assert len({predicate(None, history=history(values)) for _ in range(3)}) == 1


@pytest.mark.parametrize(
    ("patience", "result", "verdict"),
    [
        (1, None, True),
        (1, {}, True),
        (1, {"loss": 9.0}, True),
        (1, {"loss": math.nan}, False),
        (2, {"loss": math.nan}, True),
    ],
)
def test_without_a_history_it_knows_one_result_only(patience, result, verdict):
    assert WhileImproving("loss", patience=patience)(result) is verdict


def test_an_evaluation_without_the_metric_is_an_error_naming_those_there_are():
    with pytest.raises(
        UnknownMetric, match=r"predicate 'while_improving': metric 'loss' is not among \['auc'\]"
    ):
        WhileImproving()(None, history=history([0.5], "auc"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patience": 0}, "patience is 0; it must be a whole number of at least 1"),
        ({"patience": None}, "patience is None"),
        ({"min_delta": -0.5}, "min_delta is -0.5; it must be a finite number of at least 0"),
        ({"min_delta": math.nan}, "min_delta is nan"),
        ({"metric": ""}, "metric is ''"),
        ({"metric": "score"}, "pass mode="),
        ({"mode": "up"}, "mode is 'up'"),
    ],
)
def test_wrong_arguments_are_refused_at_construction(arguments, message):
    with pytest.raises(InvalidArgument, match=message):
        WhileImproving(**arguments)


def test_reads_well():
    assert repr(WhileImproving(patience=3)) == (
        "WhileImproving(metric='loss', mode=None, patience=3, min_delta=0.0)"
    )
