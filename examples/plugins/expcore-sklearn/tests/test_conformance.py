"""The estimator keeps the promises of estimators, with a regressor and with a classifier."""

from __future__ import annotations

import numpy as np
from expcore_sklearn import SklearnEstimator
from expcore_sklearn.samples import sklearn
from sklearn.neural_network import MLPClassifier

from expcore.conformance import conformance


@conformance(sklearn(), kind="estimator")
def test_a_regressor_keeps_every_promise_of_estimators(clause):
    clause()


def labelled():
    x = np.random.default_rng(0).normal(size=(64, 3))
    return x, x[:, 0] > x[:, 1]


def batches():
    x, y = labelled()
    while True:
        for i in range(0, 64, 16):
            yield x[i : i + 16], y[i : i + 16]


def classifier(model_dir, config):
    return SklearnEstimator(
        MLPClassifier((4,), learning_rate_init=0.5), model_dir, config, classes=[False, True]
    )


@conformance(factory=classifier, train_input_fn=batches, eval_input_fn=labelled, kind="estimator")
def test_a_classifier_keeps_every_promise_of_estimators(clause):
    clause()
