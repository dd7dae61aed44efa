"""What comes of a training: accuracy, metrics, predictions, the model."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse
from digits import (
    DIGITS,
    LABELS,
    bits,
    hinge,
    line,
    logistic,
    made,
    mlp,
    naive,
    one_vs_rest,
    test_data,
    train_data,
)
from sklearn.linear_model import SGDRegressor
from sklearn.metrics import accuracy_score, f1_score, log_loss, r2_score
from sklearn.neural_network import MLPRegressor

from expcore.errors import InvalidInput

# --- learning -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "accuracy"), [(logistic, 0.88), (hinge, 0.88), (mlp, 0.85), (naive, 0.8), (one_vs_rest, 0.85)]
)
def test_models_of_several_kinds_learn_the_digits(tmp_path, model, accuracy):
    estimator = made(tmp_path, model).train(train_data, max_steps=400)
    result = estimator.evaluate(test_data)
    assert result["global_step"] == 400
    assert result["accuracy"] > accuracy


def test_a_regressor_learns_a_line(tmp_path):
    estimator = made(tmp_path, SGDRegressor(), classes=None)
    for _ in range(20):
        estimator.train(line)
    result = estimator.evaluate(line)
    assert set(result) == {"loss", "r2", "global_step"}
    assert result["r2"] > 0.99


def test_a_regressor_of_several_outputs_learns(tmp_path):
    def planes():
        x, _ = line()
        return x, x @ np.ones((3, 2))

    estimator = made(tmp_path, MLPRegressor(hidden_layer_sizes=(), learning_rate_init=0.1), classes=None)
    for _ in range(20):
        estimator.train(planes)
    assert estimator.evaluate(planes)["r2"] > 0.9
    assert next(estimator.predict(planes)).shape == (2,)


def test_labels_may_be_words_and_features_sparse(tmp_path):
    words = np.asarray(["zero", "one"])

    def data():
        few = LABELS < 2
        return scipy.sparse.csr_matrix(DIGITS[few]), words[LABELS[few]]

    estimator = made(tmp_path, classes=["zero", "one"]).train(data)
    assert estimator.evaluate(data)["accuracy"] > 0.95
    assert set(estimator.predict(data)) == {"zero", "one"}


# --- evaluating, predicting, the model ----------------------------------------------------------------


def test_metrics_are_those_of_all_examples_whatever_the_batches(tmp_path):
    estimator = made(tmp_path, metrics={"f1": lambda y, p: f1_score(y, p, average="macro")})
    estimator.train(train_data, max_steps=30)
    x, y = test_data()
    with estimator.restored() as model:
        expected = {
            "loss": log_loss(y, model.predict_proba(x)),
            "accuracy": accuracy_score(y, model.predict(x)),
            "f1": f1_score(y, model.predict(x), average="macro"),
            "global_step": 30,
        }
    uneven = [0, 1, 5, 100, 200, len(y)]
    cuts = [slice(a, b) for a, b in pairwise(uneven)]
    for data in (test_data, lambda: [(x[c], y[c]) for c in cuts]):
        assert estimator.evaluate(data) == pytest.approx(expected)
    assert list(estimator.predict(test_data)) == model.predict(x).tolist()
    assert list(estimator.predict(lambda: x)) == model.predict(x).tolist()


def test_a_regressors_metrics_are_those_of_all_examples(tmp_path):
    estimator = made(tmp_path, SGDRegressor(), classes=None, metrics=["mean_absolute_error"]).train(line)
    x, y = line()
    with estimator.restored() as model:
        p = model.predict(x)
    assert estimator.evaluate(line) == pytest.approx(
        {
            "loss": np.mean((y - p) ** 2),
            "r2": r2_score(y, p),
            "mean_absolute_error": np.mean(np.abs(y - p)),
            "global_step": 3,
        }
    )


def test_without_probabilities_the_loss_is_the_share_of_wrong_predictions(tmp_path):
    result = made(tmp_path, hinge).train(train_data, max_steps=30).evaluate(test_data)
    assert result["loss"] == pytest.approx(1 - result["accuracy"])


class Watcher:
    """Notes what it is told of an evaluation."""

    def __init__(self):
        self.told = []

    def begin(self, run):
        self.told.append(("begin", run.step, dict(run.metrics)))

    def after_steps(self, run):
        self.told.append(("after_steps", run.step, dict(run.metrics)))

    def end(self, run):
        self.told.append(("end", run.ending))

    def failed(self, run, error):
        self.told.append(("failed", type(error)))
        raise KeyError("second")


def test_hooks_of_an_evaluation_are_told_of_its_result_or_its_failure(tmp_path):
    estimator = made(tmp_path).train(train_data, max_steps=3)
    hook = Watcher()
    result = dict(estimator.evaluate(test_data, hooks=[hook]))
    del result["global_step"]
    assert hook.told == [("begin", 3, {}), ("after_steps", 3, result), ("end", True)]
    hook = Watcher()
    with pytest.raises(InvalidInput) as told:
        estimator.evaluate(list, hooks=[hook])
    assert hook.told == [("begin", 3, {}), ("failed", InvalidInput)]
    assert "failed() raised KeyError: 'second'" in told.value.__notes__[0]


def test_an_evaluation_reads_at_most_its_steps(tmp_path):
    estimator = made(tmp_path, batch_size=10).train(train_data, max_steps=1)
    x, y = test_data()
    assert estimator.evaluate(test_data, steps=2) == estimator.evaluate(lambda: (x[:20], y[:20]))


def test_evaluating_and_restoring_an_older_checkpoint_leaves_training_as_it_was(tmp_path):
    estimator = made(tmp_path / "a", config={"save_checkpoints_steps": 5}).train(train_data, max_steps=10)
    old, new = estimator.checkpoints()
    assert estimator.evaluate(test_data, checkpoint_path=old)["global_step"] == 5
    assert bits(estimator, old) != bits(estimator, new) == bits(estimator)
    with estimator.restored(old) as model:
        model.coef_[:] = 0
    estimator.train(train_data, max_steps=20)
    assert bits(estimator) == bits(made(tmp_path / "b").train(train_data, max_steps=20))


def test_only_so_many_checkpoints_are_kept(tmp_path):
    estimator = made(tmp_path, config={"save_checkpoints_steps": 1, "keep_checkpoint_max": 2})
    estimator.train(train_data, max_steps=12)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        *("ckpt-11.joblib", "ckpt-11.joblib.json", "ckpt-12.joblib", "ckpt-12.joblib.json")
    ]


def test_a_copy_in_another_directory_shares_nothing_and_begins_anew(tmp_path):
    for i, model in enumerate((logistic, logistic())):
        estimator = made(tmp_path / f"{i}", model, metrics=["hamming_loss"]).train(train_data, max_steps=5)
        before = bits(estimator)
        copied = estimator.with_model_dir(tmp_path / f"copy{i}")
        assert copied.latest_checkpoint() is None
        assert copied.config.model_dir == copied.model_dir == str(tmp_path / f"copy{i}")
        copied.train(train_data, max_steps=5)
        assert bits(copied) == bits(estimator) == before
        assert "hamming_loss" in copied.evaluate(test_data)
