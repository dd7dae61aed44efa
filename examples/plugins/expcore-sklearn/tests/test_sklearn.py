"""The estimator "sklearn": trains on scikit-learn's digits, resumed exactly, under schedules by name."""

from __future__ import annotations

import json
import logging
from itertools import pairwise
from pathlib import Path

import joblib
import numpy as np
import pytest
import scipy.sparse
from expcore_sklearn import SklearnEstimator
from sklearn.cluster import MiniBatchKMeans
from sklearn.datasets import load_digits
from sklearn.linear_model import LinearRegression, SGDClassifier, SGDRegressor
from sklearn.metrics import accuracy_score, f1_score, log_loss, r2_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.neural_network import MLPClassifier, MLPRegressor

import expcore
from expcore.errors import (
    CannotWrite,
    CheckpointCorrupt,
    InvalidArgument,
    InvalidHook,
    InvalidInput,
    InvalidType,
    ModelMismatch,
    NotTrained,
)
from expcore.testing import VirtualClock

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


# --- learning -------------------------------------------------------------------------------------------


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


# --- exact resume ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [logistic, hinge, mlp, naive, one_vs_rest])
def test_interrupted_and_resumed_in_new_objects_equals_uninterrupted_bit_for_bit(tmp_path, model):
    whole = made(tmp_path / "whole", model).train(train_data, max_steps=60)
    for until in (7, 30, 31, 60):
        parts = made(tmp_path / "parts", model).train(train_data, max_steps=until)
    assert bits(parts) == bits(whole)
    same = made(tmp_path / "same", model)
    for _ in range(6):
        same.train(train_data, steps=10)
    assert bits(same) == bits(whole)


def test_random_states_that_are_not_given_follow_the_configs_seed_and_not_numpys_global_one(tmp_path):
    sums = []
    for i, seed in enumerate((3, 3, 4)):
        np.random.seed(i)
        config = expcore.RunConfig(model_dir=str(tmp_path / str(i)), random_seed=seed)
        estimator = SklearnEstimator(logistic, config=config, classes=TEN)
        sums.append(bits(estimator.train(train_data, max_steps=3)))
    assert sums[0] == sums[1] != sums[2]


def test_a_failure_loses_the_steps_since_the_last_checkpoint_and_training_goes_on_from_there(tmp_path):
    class Fail:
        def next_step(self, step):
            return 15 if step < 15 else None

        def after_steps(self, run):
            if run.step == 15:
                raise KeyError("boom")

    estimator = made(tmp_path / "failed", config={"save_checkpoints_steps": 10})
    with pytest.raises(KeyError):
        estimator.train(train_data, hooks=[Fail()], max_steps=20)
    assert [Path(p).name for p in estimator.checkpoints()] == ["ckpt-10.joblib"]
    estimator.train(train_data, max_steps=20)
    assert bits(estimator) == bits(made(tmp_path / "whole").train(train_data, max_steps=20))


def test_input_that_ended_begins_anew_and_other_input_from_its_start(tmp_path):
    estimator = made(tmp_path / "a")
    assert estimator.train(one_pass).evaluate(test_data)["global_step"] == 44
    assert estimator.train(one_pass).evaluate(test_data)["global_step"] == 88
    assert made(tmp_path / "a").train(one_pass).evaluate(test_data)["global_step"] == 132
    first = []

    def other():
        first.append(True)
        return one_pass()

    estimator = made(tmp_path / "b").train(train_data, steps=2)
    estimator.train(other, steps=2)
    assert first == [True]
    assert json.loads(Path(estimator.latest_checkpoint() + ".json").read_text())["taken"] == 2


# --- steps, hooks, listeners ----------------------------------------------------------------------------


def test_max_steps_is_a_global_step_and_steps_are_more_steps(tmp_path):
    estimator = made(tmp_path)
    for limits, step in (({"steps": 3}, 3), ({"steps": 2}, 5), ({"max_steps": 9}, 9), ({"max_steps": 4}, 9)):
        estimator.train(train_data, **limits)
        assert estimator.evaluate(test_data)["global_step"] == step


def test_a_run_that_is_complete_calls_no_hook_and_reads_no_data(tmp_path):
    class Hook:
        def begin(self, run):
            raise AssertionError

    def unread():
        raise AssertionError

    made(tmp_path).train(train_data, max_steps=3)
    made(tmp_path).train(unread, hooks=[Hook()], max_steps=3)


@pytest.mark.parametrize(
    "limits", [{"steps": 1, "max_steps": 1}, {"steps": 0}, {"max_steps": 1.5}, {"steps": True}]
)
def test_wrong_limits_are_refused(tmp_path, limits):
    with pytest.raises(InvalidArgument):
        made(tmp_path).train(train_data, **limits)


def test_hooks_are_called_and_their_states_come_back(tmp_path):
    class Count:
        seen = 0

        def next_step(self, step):
            return step - step % 5 + 5

        def after_steps(self, run):
            self.seen += 1
            assert set(run.metrics) == {"loss", "accuracy"}
            assert run.model.classes_.tolist() == TEN

        def get_state(self):
            return {"seen": self.seen}

        def set_state(self, state):
            self.seen = state["seen"]

    first, second = Count(), Count()
    made(tmp_path).train(train_data, [first], max_steps=20)
    made(tmp_path).train(train_data, [second], max_steps=30)
    assert (first.seen, second.seen) == (4, 6)


def test_hooks_that_need_another_library_and_objects_that_are_none_are_refused(tmp_path):
    class NeedsTensorflow:
        requires = "tensorflow"

        def begin(self, run):
            pass

    estimator = made(tmp_path)
    assert not estimator.supports_hook(NeedsTensorflow())
    with pytest.raises(InvalidHook, match="it needs tensorflow"):
        estimator.train(train_data, [NeedsTensorflow()], steps=1)
    with pytest.raises(InvalidHook):
        estimator.train(train_data, [object()], steps=1)
    assert estimator.latest_checkpoint() is None


def test_listeners_are_told_of_each_save_and_can_end_training(tmp_path):
    class Listener:
        calls = ()

        def after_save(self, session, step):
            self.calls += (session, step)
            return step >= 20

    listener = Listener()
    estimator = made(tmp_path, config={"save_checkpoints_steps": 10})
    estimator.train(train_data, max_steps=100, saving_listeners=[listener])
    assert listener.calls == (None, 10, None, 20)
    assert estimator.evaluate(test_data)["global_step"] == 20


# --- evaluating, predicting, the model ------------------------------------------------------------------


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


# --- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "sum gone", "sum cut"])
def test_a_damaged_checkpoint_is_told_and_not_loaded(tmp_path, damage, monkeypatch):
    estimator = made(tmp_path).train(train_data, max_steps=2)
    path = Path(estimator.latest_checkpoint())
    beside = Path(f"{path}.json")
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[:-10])
    elif damage == "changed":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "gone":
        path.unlink()
    elif damage == "sum gone":
        beside.unlink()
    else:
        beside.write_text(beside.read_text()[:30])
    monkeypatch.setattr(joblib, "load", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(CheckpointCorrupt, match=r"checkpoint .*use another checkpoint"):
        estimator.evaluate(test_data, checkpoint_path=str(path))


def test_training_goes_on_from_the_newest_whole_checkpoint_and_sets_damaged_ones_aside(tmp_path, caplog):
    rhythm = {"save_checkpoints_steps": 5}
    _, second, third = made(tmp_path, config=rhythm).train(train_data, max_steps=15).checkpoints()
    Path(second).write_bytes(b"damaged")
    Path(third + ".json").write_bytes(b"damaged")
    estimator = made(tmp_path).train(train_data, max_steps=8)
    assert [Path(p).name for p in estimator.checkpoints()] == ["ckpt-5.joblib", "ckpt-8.joblib"]
    assert bits(estimator) == bits(made(tmp_path / "whole").train(train_data, max_steps=8))
    assert caplog.text.count("the one before is tried") == 2
    for path in estimator.checkpoints():
        Path(path).write_bytes(b"damaged")
    with pytest.raises(CheckpointCorrupt):
        made(tmp_path).train(train_data, max_steps=9)
    assert len(made(tmp_path).checkpoints()) == 2


def test_without_a_checkpoint_it_is_not_trained(tmp_path):
    estimator = made(tmp_path)
    with pytest.raises(NotTrained):
        estimator.evaluate(test_data)
    with pytest.raises(NotTrained):
        next(estimator.predict(test_data))
    with pytest.raises(NotTrained), estimator.restored():
        pass


def test_a_checkpoint_of_another_model_or_of_other_classes_is_refused(tmp_path):
    made(tmp_path).train(train_data, max_steps=2)
    for other in (made(tmp_path, naive), made(tmp_path, classes=[*TEN, 10])):
        with pytest.raises(ModelMismatch, match="use another model_dir"):
            other.train(train_data, max_steps=4)


def test_changed_parameters_are_told_and_the_checkpoints_hold(tmp_path, caplog):
    made(tmp_path, logistic()).train(train_data, max_steps=2)
    with caplog.at_level(logging.WARNING):
        made(tmp_path, logistic()).train(train_data, max_steps=3)
        assert caplog.text == ""
        other = made(tmp_path, SGDClassifier(loss="log_loss", alpha=0.5)).train(train_data, max_steps=4)
    assert "the parameters 'alpha' are others than in the checkpoint of step 3" in caplog.text
    with other.restored() as model:
        assert model.alpha == 0.0001


@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (LinearRegression(), {}, InvalidType, "has no partial_fit"),
        (LinearRegression, {}, InvalidType, "has no partial_fit"),
        (lambda: None, {}, InvalidType, "has no partial_fit"),
        (MiniBatchKMeans(), {}, InvalidType, "must be a classifier or a regressor"),
        (logistic, {}, InvalidArgument, "pass classes="),
        (logistic, {"classes": [1]}, InvalidArgument, "at least two different"),
        (logistic, {"classes": [1, 1]}, InvalidArgument, "at least two different"),
        (SGDRegressor(), {"classes": TEN}, InvalidArgument, "leave classes= out"),
        (logistic, {"classes": TEN, "batch_size": 0}, InvalidArgument, "batch_size is 0"),
        (logistic, {"classes": TEN, "metrics": "f1_score"}, InvalidType, "must be a list of names"),
        (logistic, {"classes": TEN, "metrics": ["f1_scor"]}, InvalidArgument, "did you mean 'f1_score'"),
        (logistic, {"classes": TEN, "metrics": {"a": 1}}, InvalidType, "is no function"),
        (logistic, {"classes": TEN, "metrics": {"loss": max}}, InvalidArgument, "choose another name"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_trained(tmp_path, model, options, error, message):
    with pytest.raises(error, match=message):
        SklearnEstimator(model, tmp_path, **options)


@pytest.mark.parametrize(
    "data",
    [
        lambda: None,
        lambda: "text",
        lambda: [DIGITS],
        lambda: (DIGITS, LABELS[:-1]),
        lambda: (DIGITS[0], LABELS[:1]),
        lambda: (DIGITS * np.nan, LABELS),
        lambda: (DIGITS[:, :3], LABELS),
        lambda: (DIGITS, LABELS + 1),
        list,
    ],
)
def test_input_that_cannot_be_used_is_refused(tmp_path, data):
    estimator = made(tmp_path).train(train_data, max_steps=1)
    with pytest.raises(InvalidInput):
        estimator.evaluate(data)
    if data is not list:  # an empty input makes no step
        with pytest.raises(InvalidInput):
            estimator.train(data)


def test_two_model_dirs_that_differ_are_refused_and_none_is_a_temporary_one(tmp_path, caplog):
    config = expcore.RunConfig(model_dir=str(tmp_path))
    with pytest.raises(InvalidArgument, match="give one of them"):
        SklearnEstimator(logistic, tmp_path / "b", config, classes=TEN)
    assert SklearnEstimator(logistic, config=config, classes=TEN).model_dir == str(tmp_path)
    estimator = SklearnEstimator(logistic, classes=TEN)
    assert estimator.config.model_dir == estimator.model_dir
    assert estimator.model_dir in caplog.text


def test_a_directory_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match="the checkpoint cannot be written"):
        made(tmp_path / "file" / "run").train(train_data, max_steps=1)


# --- in experiments, by name ----------------------------------------------------------------------------


class Dump:
    """A format for any estimator of this kind."""

    def write(self, estimator, directory, checkpoint_path=None):
        with estimator.restored(checkpoint_path) as model:
            joblib.dump(model, Path(directory, "model.joblib"))


def from_config(folder, **changes):
    host = expcore.default_host()
    given = {
        "estimator": {"type": "sklearn", "model": logistic, "classes": TEN, "batch_size": 16},
        "run_config": {"random_seed": 1, "save_checkpoints_steps": 20},
        "output_dir": str(folder),
        "train_input_fn": train_data,
        "eval_input_fn": test_data,
        "train_steps": 200,
        "eval_steps": None,
        "eval_every_n_steps": 20,
        "train_hooks": [{"type": "early_stopping", "metric": "accuracy", "threshold": 0.85}],
        "export_strategies": [host.create("exporters", "best", format=Dump(), metric="accuracy")],
        **changes,
    }
    return expcore.create_experiment(given)


def test_train_and_evaluate_stops_early_and_exports_the_best_by_a_config(tmp_path):
    experiment = from_config(tmp_path)
    result, _ = experiment.train_and_evaluate()
    assert result["accuracy"] >= 0.85
    assert result["global_step"] < 200
    best = experiment.history.best("accuracy", "max")
    assert experiment.history.exports[-1].step == best.step
    exported = joblib.load(sorted((tmp_path / "export" / "best").iterdir())[-1] / "model.joblib")
    assert accuracy_score(LABELS[TEST], exported.predict(DIGITS[TEST])) == best.metrics["accuracy"]
    assert from_config(tmp_path).train_and_evaluate()[0] == result  # a restart makes no more steps


def test_continuous_eval_evaluates_every_checkpoint_of_a_finished_training(tmp_path):
    from_config(tmp_path, train_hooks=[], train_steps=60).train()
    experiment = from_config(tmp_path, train_hooks=[], train_steps=60, continuous_eval_throttle_secs=0)
    result = experiment.continuous_eval(backlog="all")
    assert result["global_step"] == 60
    assert [e.step for e in experiment.history.evaluations] == [20, 40, 60]


def test_a_schedule_that_was_interrupted_ends_with_the_same_model_and_log(tmp_path):
    whole = from_config(tmp_path / "whole", train_hooks=[], train_steps=80)
    whole.train_and_evaluate()
    stop = {"type": "stop_at_step", "last_step": 50}
    from_config(tmp_path / "parts", train_hooks=[stop], train_steps=80).train_and_evaluate()
    parts = from_config(tmp_path / "parts", train_hooks=[], train_steps=80)
    parts.train_and_evaluate()
    assert bits(parts.estimator) == bits(whole.estimator)
    log = {e.step: dict(e.metrics) for e in parts.history.evaluations}
    assert all(log[e.step] == dict(e.metrics) for e in whole.history.evaluations if e.step in log)
    assert parts.history.evaluations[-1].metrics == whole.history.evaluations[-1].metrics


def test_the_schedule_test_leaves_the_directory_as_it_was(tmp_path):
    experiment = from_config(tmp_path / "run")
    result = experiment.test()
    assert result["global_step"] == 1
    assert experiment.estimator.checkpoints() == []


def test_virtual_time_drives_saves_by_seconds(tmp_path):
    clock = VirtualClock()

    class Wait:
        def next_step(self, step):
            return step + 1

        def after_steps(self, run):
            clock.sleep(1)

    config = expcore.RunConfig(model_dir=str(tmp_path), save_checkpoints_secs=10)
    estimator = SklearnEstimator(logistic, config=config, classes=TEN, clock=clock)
    estimator.train(train_data, [Wait()], max_steps=25)
    steps = [int(Path(p).stem.partition("-")[2]) for p in estimator.checkpoints()]
    assert steps == [10, 20, 25]
