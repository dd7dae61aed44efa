"""Directions of metrics, what counts as an improvement, and reading a metric by name."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expcore.errors import ExpcoreError, InvalidArgument, InvalidType, UnknownMetric
from expcore.metrics import check_mode, direction, improved, last_improvement, numbers, value_of

LOWER = [
    "loss",
    "error",
    "mae",
    "mse",
    "rmse",
    "mape",
    "msle",
    "crossentropy",
    "perplexity",
    "val_loss",
    "logloss",
    "Loss",
    "mean_absolute_error",
    "root_mean_squared_error",
    "binary_crossentropy",
    "top_5_error",
    "accuracy_loss",
    "loss_1",
    "holdout/loss",
    "accuracy/loss",
    "word-perplexity",
]
HIGHER = [
    "accuracy",
    "acc",
    "auc",
    "precision",
    "recall",
    "f1",
    "f1_score",
    "iou",
    "r2",
    "r2_score",
    "sparse_categorical_accuracy",
    "val_acc",
    "pr_auc",
    "auc_1",
    "mean_io_u",
    "mean_iou",
    "top_k",
    "top_5",
    "top_k_categorical_accuracy",
    "top_3_hits",
    "holdout/accuracy",
    "loss/auc",
    "Mean Recall",
]
UNKNOWN = [
    "score",
    "",
    "holdout/",
    "backlog",
    "pacc",
    "top_of_mind",
    "neg_mean_squared_error",
    "negative_loss",
]


@pytest.mark.parametrize("name", LOWER)
def test_names_of_losses_and_errors_are_better_when_lower(name):
    assert direction(name) == "min"


@pytest.mark.parametrize("name", HIGHER)
def test_names_of_scores_are_better_when_higher(name):
    assert direction(name) == "max"


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_name_that_does_not_tell_asks_for_mode(name):
    with pytest.raises(InvalidArgument, match="pass mode='min' or mode='max'"):
        direction(name)


@pytest.mark.parametrize("name", LOWER + HIGHER + UNKNOWN)
@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_given_mode_counts_whatever_the_name(name, mode):
    assert direction(name, mode) == mode


@pytest.mark.parametrize("mode", ["auto", "", "MIN", 1])
def test_another_mode_is_refused_naming_the_metric_and_the_value(mode):
    with pytest.raises(InvalidArgument, match=r"metric 'loss': mode is .*must be 'min'"):
        direction("loss", mode)
    with pytest.raises(InvalidArgument, match="predicate 'x': mode is"):
        check_mode(mode, "predicate 'x'")
    with pytest.raises(InvalidArgument, match="mode is"):
        improved(1.0, 2.0, mode)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("best", [None, 1.0, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("new", [math.nan, math.inf, -math.inf])
def test_nan_and_infinities_never_improve(new, best, mode):
    assert improved(new, best, mode) is False


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("best", [None, math.nan, math.inf, -math.inf])
def test_any_finite_value_beats_none_nan_and_infinities(best, mode):
    assert improved(0.0, best, mode, min_delta=100.0) is True


@pytest.mark.parametrize(
    ("new", "best", "mode", "min_delta", "verdict"),
    [
        (0.9, 1.0, "min", 0.0, True),
        (1.0, 1.0, "min", 0.0, False),
        (1.1, 1.0, "min", 0.0, False),
        (1.1, 1.0, "max", 0.0, True),
        (1.0, 1.0, "max", 0.0, False),
        (0.9, 1.0, "max", 0.0, False),
        (0.5, 1.0, "min", 0.5, False),
        (0.25, 1.0, "min", 0.5, True),
        (1.5, 1.0, "max", 0.5, False),
        (1.75, 1.0, "max", 0.5, True),
    ],
)
def test_an_improvement_exceeds_the_best_by_more_than_min_delta(new, best, mode, min_delta, verdict):
    assert improved(new, best, mode, min_delta) is verdict


FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(FINITE, FINITE, st.sampled_from(["min", "max"]))
def test_of_two_values_at_most_one_improves_on_the_other(one, other, mode):
    assert improved(one, other, mode) + improved(other, one, mode) == (one != other)


@given(FINITE, FINITE)
def test_lower_is_better_mirrors_higher_is_better(one, other):
    assert improved(one, other, "min") is improved(-one, -other, "max")


class Scalar:
    """As NumPy's and TensorFlow's scalars: has ``__float__``."""

    def __float__(self):
        return 0.25


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1.0),
        (0.5, 0.5),
        (np.float32(0.5), 0.5),
        (np.array(2), 2.0),
        (Scalar(), 0.25),
        (math.inf, math.inf),
    ],
)
def test_value_of_gives_a_plain_float(value, expected):
    found = value_of({"loss": value}, "loss", "hook 'x'")
    assert type(found) is float
    assert found == expected


def test_value_of_gives_nan_as_it_is():
    assert math.isnan(value_of({"loss": math.nan}, "loss", "hook 'x'"))


def test_a_metric_that_is_not_there_names_those_there_are_without_the_step():
    with pytest.raises(UnknownMetric) as caught:
        value_of(
            {"loss": 1.0, "accuracy": 0.5, "global_step": 7}, "acuracy", "exporter 'best' (expcore 0.1.0)"
        )
    assert str(caught.value) == (
        "exporter 'best' (expcore 0.1.0): metric 'acuracy' is not among ['accuracy', 'loss']; "
        "pass metric= or add it to the model; did you mean 'accuracy'?"
    )
    assert isinstance(caught.value, (ExpcoreError, LookupError))


def test_a_metric_of_no_metrics_says_that_there_are_none():
    with pytest.raises(UnknownMetric, match=r"metric 'loss' is not among \[\]"):
        value_of({}, "loss", "hook 'x'")


@pytest.mark.parametrize("value", ["0.5", b"1", None, [1.0, 2.0], {}, np.array([1.0]), np.ones((2, 2))])
def test_a_metric_that_is_no_number_is_a_type_error(value):
    with pytest.raises(InvalidType, match=r"hook 'x': metric 'loss' is .*must be a single number"):
        value_of({"loss": value}, "loss", "hook 'x'")


def test_numbers_keeps_single_numbers_and_leaves_out_the_rest():
    metrics = {"loss": np.float32(0.5), "nan": math.nan, "per_class": np.ones(3), "note": "text", "n": 3}
    found = numbers(metrics)
    assert math.isnan(found.pop("nan"))
    assert found == {"loss": 0.5, "n": 3.0}


@pytest.mark.parametrize(
    ("values", "mode", "min_delta", "at"),
    [
        ([], "min", 0.0, None),
        ([math.nan, math.inf, -math.inf], "min", 0.0, None),
        ([3.0], "min", 0.0, 0),
        ([3.0, 2.0, 2.0, 2.5], "min", 0.0, 1),
        ([3.0, 2.0, 2.0, 2.5], "max", 0.0, 0),
        ([math.nan, 3.0, math.nan], "max", 0.0, 1),
        ([math.inf, 3.0, -math.inf], "min", 0.0, 1),
        ([1.0, 0.75, 0.5], "min", 0.25, 2),  # 0.75 is no improvement, so 0.5 is compared with 1.0
        ([1.0, 0.875, 0.75], "min", 0.25, 0),
    ],
)
def test_last_improvement_finds_the_last_value_better_than_the_best_before(values, mode, min_delta, at):
    assert last_improvement(values, mode, min_delta) == at


@given(
    st.lists(st.one_of(FINITE, st.sampled_from([math.nan, math.inf, -math.inf]))),
    st.sampled_from(["min", "max"]),
)
def test_last_improvement_without_min_delta_is_the_first_place_of_the_best(values, mode):
    finite = [v for v in values if math.isfinite(v)]
    best = {"min": min, "max": max}[mode](finite, default=None)
    assert last_improvement(values, mode) == (None if best is None else values.index(best))
