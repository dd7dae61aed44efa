"""What several replicas cannot make of their parts of a batch is refused or left out, and said."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.tf, pytest.mark.timeout(300)]

REFUSED = {
    "a single number and weights": ("gives one number of a whole batch", "weights or masks"),
    "the largest by hand": ("its loss comes from the operation Max",),
    "a product by hand": ("its loss comes from the operation Prod",),
    "the best of the rows": ("its loss comes from the operation TopKV2", "than their sum or mean"),
    "what a function hides": ("its loss comes from the operation", "a tf.function", "take that off"),
    "a gradient of its own": ("its loss comes from the operation IdentityN", "tf.custom_gradient"),
    "a constant number of rows": ("takes the number of rows for a constant", "tf.shape(x)[0]"),
    "weights under a condition": ("its step gives the variable", "different weights"),
    "an optimizer that nobody sees": ("uses the optimizer", "not an attribute of the model"),
    "a mean of complex numbers": ("its loss comes from the operation Mean", "whose numbers are complex"),
    "a tensordot over the rows": ("something else of the examples than their sum or mean",),
    "a Euclidean norm by its own operation": ("the operation EuclideanNorm",),
    "a logarithm of a sum of powers": ("the operation Max",),
    "gradients of each example": ("tf.GradientTape.jacobian", "its own examples only"),
    "a step that is a function": ("within a tf.function of its own; take that decorator off",),
    "weights by rows": ("its step gives the variable", "different weights", "tf.GradientTape.gradient"),
    "gradients without a tape": ("its step gives the variable", "tf.GradientTape.gradient"),
    "other numbers of rows": ("'edges': int32[6]", "its tensors have 6 and 14 rows", "from all of them"),
    "other numbers of rows that nobody knows": (
        "input function unlike_rows_that_nobody_knows gave a batch",
        "its tensors have other numbers of rows",
        "[6 14 14]",
    ),
    "gradients of gradients": ("while another tape records", "train in one process"),
}
LEFT_OUT = {
    "a largest metric": ("'largest'", ["loss", "mae"]),
    "a metric function": ("'steepest'", ["loss", "mae"]),
    "a metric that is written by hand": ("'unseen'", ["loss", "mae"]),
    "what cannot be told": ("'largest', 'weighed'", ["whole"]),
}


@pytest.fixture(scope="module")
def found(run_on_devices):
    return run_on_devices("refused")


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_parts_is_refused_in_one_line(found, name):
    error = found[name]["error"]
    for words in REFUSED[name]:
        assert words in error
    assert "\n" not in error


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_cannot_be_told_of_training_is_left_out_and_said(found, name):
    names, told = LEFT_OUT[name]
    assert found[name]["told"] == told
    (said,) = (line for line in found[name]["said"] if "left out" in line)
    assert f"{names} of training steps left out" in said


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("rows in the loss", "Range"),
        ("rows in a layer", "Mean"),
        ("rows by hand", "Range"),
        ("rows that change places", "StridedSlice"),
        ("some of the rows", "StridedSlice"),
        ("a loss that balances", "Mean"),
        ("ragged rows", "Mean"),
        ("rows divided by their number", "RealDiv"),
        ("a softmax over rows", "Softmax"),
        ("rows by their classes", "UnsortedSegmentSum"),
        ("sorted rows", "TopKV2"),
        ("turned rows", "Mean"),
        ("rows of any length", "Mean"),
        ("rows in a function", "Mean"),
        ("rows in a function of a function", "Mean"),
        ("rows under a condition", "Mean"),
        ("rows in a loop", "Mean"),
        ("rows one after the other", "StatelessWhile"),
        ("a convolution over rows", "Conv2D"),
    ],
)
def test_rows_that_meet_each_other_are_told_of(found, name, operation):
    said = [line for line in found[name]["said"] if "rows of a batch meet each other" in line]
    assert said
    assert f"in the operation {operation} (" in said[0]


def test_who_asks_for_the_number_of_replicas_is_told_not_to_divide(found):
    said = [line for line in found["divided by the replicas"]["said"] if "num_replicas_in_sync" in line]
    assert len(said) == 1  # of both devices' steps
    assert "do not divide by it" in said[0]
    assert not [line for name in found for line in found[name].get("said", ()) if "do not divide" in line][1:]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a largest that is kept", ("'keeping/kept' comes from the operation Max", "the mean of it")),
        (
            "a variable of TensorFlow that is kept",
            ("variable 'raw' a value", "one or the mean is saved", "add_weight"),
        ),
        ("a mean kept within a function", ("kept' a value", "not in a tf.function, tf.cond or loop")),
        ("a mean kept under a condition", ("kept' a value", "not in a tf.function, tf.cond or loop")),
    ],
)
def test_what_each_replica_keeps_for_itself_is_told_of(found, name, told):
    said = [line for line in found[name]["said"] if "kept" in line or "value that hangs on" in line]
    assert len(said) == 1  # of both devices' steps
    for words in told:
        assert words in said[0]


def test_what_is_the_same_everywhere_is_kept_without_a_word(found):
    assert found["what is the same is kept"]["said"] == []


@pytest.mark.parametrize(
    "name", ["rows apart", "rows apart in functions", "a largest metric", "what cannot be told"]
)
def test_rows_that_do_not_meet_are_nothing_to_tell_of(found, name):
    assert not [line for line in found[name]["said"] if "meet each other" in line]


@pytest.mark.parametrize(
    "name", ["a largest metric", "a metric function", "a metric that is written by hand"]
)
def test_evaluations_have_the_metrics_that_training_leaves_out(found, name):
    assert LEFT_OUT[name][0].strip("'") in found[name]["evaluated"]
