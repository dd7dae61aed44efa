"""What the tests share: scikit-learn's digits as input, a few models, and estimators of them."""

from __future__ import annotations

import joblib
import numpy as np
from expcore_sklearn import SklearnEstimator
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.neural_network import MLPClassifier

import expcore

DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS = DIGITS / 16
TRAIN, TEST = slice(0, 1400), slice(1400, None)
TEN = list(range(10))


def train_data():
    """Endless batches, the same every time."""
    random = np.random.default_rng(1)
    while True:
        chosen = random.integers(0, 1400, size=32)
        yield DIGITS[chosen], LABELS[chosen]


def test_data():
    return DIGITS[TEST], LABELS[TEST]


test_data.__test__ = False


def one_pass():
    return DIGITS[TRAIN], LABELS[TRAIN]


def line():
    x = np.random.default_rng(0).normal(size=(70, 3))
    return x, x @ [1.0, 2.0, 3.0] + 4


def logistic():
    return SGDClassifier(loss="log_loss")


def hinge():
    return SGDClassifier()


def mlp():
    return MLPClassifier(hidden_layer_sizes=(32,), learning_rate_init=0.01)


def one_vs_rest():
    return OneVsRestClassifier(SGDClassifier(loss="log_loss"))


def naive():
    return MultinomialNB()


def made(folder, model=logistic, config=None, **options):
    options.setdefault("classes", TEN)
    config = config or {}
    config = expcore.RunConfig(model_dir=str(folder), random_seed=3, **config)
    return SklearnEstimator(model, str(folder), config, **options)


def bits(estimator, checkpoint=None):
    """Everything that a model is made of, as one sum."""
    with estimator.restored(checkpoint) as model:
        return joblib.hash(vars(model))
