"""The estimator by name in experiments, under several schedules."""

from __future__ import annotations

from pathlib import Path

import joblib
from digits import DIGITS, LABELS, TEN, TEST, bits, logistic, test_data, train_data
from expcore_sklearn import SklearnEstimator
from sklearn.metrics import accuracy_score

import expcore
from expcore.testing import VirtualClock


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
