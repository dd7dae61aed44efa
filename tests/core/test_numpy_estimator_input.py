"""The NumPy estimator's input: what is taken as features and labels, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from expcore.errors import InvalidInput
from expcore.testing.clock import VirtualClock
from expcore.testing.numpy_estimator import BATCH, NumpyEstimator, batches

X = np.ones((BATCH * 2, 2))
LINE = np.arange(float(BATCH * 2))


@pytest.mark.parametrize(
    "data",
    [
        None,
        3,
        (X, LINE[:-1]),
        (X, LINE[:, None]),
        (LINE, LINE),
        [X],
        [(X, LINE, LINE)],
        [(X, LINE[:3])],
        [(X, "text")],
        [3],
        {"x": 1},
    ],
)
def test_input_that_is_no_features_and_labels_is_refused_with_the_rule(tmp_path, data):
    for use in (NumpyEstimator(str(tmp_path), clock=VirtualClock()).train, lambda fn: list(batches(fn))):
        with pytest.raises(
            InvalidInput, match=r"input_fn (returned|gave) .*it must return a tuple of features"
        ):
            use(lambda: data)


@pytest.mark.parametrize("data", [[], (X[:0], LINE[:0])])
def test_an_evaluation_without_a_batch_is_an_error(tmp_path, data):
    est = NumpyEstimator(str(tmp_path), clock=VirtualClock()).train(lambda: (X, LINE), steps=1)
    with pytest.raises(InvalidInput, match="gave no batch"):
        est.evaluate(lambda: data)


def test_arrays_are_cut_into_batches_and_an_iterables_tuples_are_the_batches():
    uneven = X[: BATCH + 3], LINE[: BATCH + 3]
    assert [len(y) for _, y in batches(lambda: uneven)] == [BATCH, 3]
    pair = ([[1.0, 2.0]], [3])
    for data in (pair, [pair], (pair,), (pair, pair), iter([pair])):
        for x, y in batches(lambda data=data: data):
            assert (x.tolist(), y.tolist()) == ([[1.0, 2.0]], [3.0])
    assert len(list(batches(lambda: (pair, pair)))) == 2
