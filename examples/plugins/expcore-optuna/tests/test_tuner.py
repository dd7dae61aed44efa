"""The tuner: studies of short trials with an estimator in NumPy."""

from __future__ import annotations

import os
import subprocess
import sys

import optuna
import pytest
from expcore_optuna import OptunaPruner, OptunaTuner
from optuna.pruners import NopPruner
from optuna.trial import TrialState
from studies import RATES, STEPS, data, evaluations, experiment, study_of, suggest

import expcore
from expcore.errors import InvalidArgument, InvalidType, UnknownOption
from expcore.testing.numpy_estimator import NumpyEstimator


def test_a_study_of_eight_trials_prunes_the_bad_ones_and_has_the_best_value(tmp_path):
    study = study_of()
    expcore.tune(experiment, OptunaTuner(study, 8, suggest, tmp_path))
    assert [t.params["rate"] for t in study.trials] == RATES
    states = {t.params["rate"]: t.state for t in study.trials}
    assert {states[rate] for rate in (0.1, 0.05)} == {TrialState.COMPLETE}
    assert {states[rate] for rate in (0.0001, 0.00001, 0.0002)} == {TrialState.PRUNED}
    losses = {}
    for trial in study.trials:
        made = evaluations(tmp_path, trial.number)
        assert trial.intermediate_values == {e.step: e.metrics["loss"] for e in made}
        if trial.state == TrialState.PRUNED:
            assert made[-1].step < STEPS
            assert trial.value == made[-1].metrics["loss"]
        else:
            assert made[-1].step == STEPS
            losses[trial.number] = min(e.metrics["loss"] for e in made)
            assert trial.value == losses[trial.number]
    assert study.best_value == min(losses.values())
    assert study.best_trial.number == min(losses, key=losses.get)


def test_without_pruning_every_trial_makes_all_steps(tmp_path):
    study = study_of(pruner=NopPruner())
    expcore.tune(experiment, OptunaTuner(study, 8, suggest, tmp_path))
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}
    assert {evaluations(tmp_path, n)[-1].step for n in range(8)} == {STEPS}


def test_the_value_is_the_best_evaluations_or_the_last_ones(tmp_path):
    for value, chosen in (("best", min), ("last", lambda losses: losses[-1])):
        study = study_of([0.1])
        tuner = OptunaTuner(
            study, 1, lambda _: {"rate": 0.99}, tmp_path / value, value=value
        )  # so fast that it overshoots
        expcore.tune(experiment, tuner)
        losses = [e.metrics["loss"] for e in evaluations(tmp_path / value, 0)]
        assert study.best_value == chosen(losses)
    assert min(losses) != losses[-1]


def test_a_metric_that_is_better_higher_needs_a_study_that_maximizes(tmp_path):
    def logistic(run_config, _):
        def labelled():
            x, y = data()
            return x, y > 0

        estimator = NumpyEstimator(run_config.model_dir, run_config, kind="logistic")
        return expcore.Experiment(estimator, labelled, labelled, train_steps=6, train_steps_per_iteration=2)

    study = optuna.create_study(direction="maximize")
    with pytest.raises(InvalidArgument, match=r"'loss' is better when it is lower, but .* 'maximize'"):
        OptunaTuner(study, 1, suggest, tmp_path)
    expcore.tune(logistic, OptunaTuner(study, 1, suggest, tmp_path, metric="accuracy"))
    assert study.best_value > 0.8
    with pytest.raises(InvalidArgument, match=r"'accuracy' is better when it is higher"):
        OptunaPruner(optuna.create_study().ask(), "accuracy")


def test_an_error_fails_the_trial_and_ends_the_tuning_unless_it_is_caught(tmp_path):
    def broken(run_config, hparams):
        if hparams["rate"] == 0.05:
            raise KeyError("broken")
        return experiment(run_config, hparams)

    study = study_of(RATES[:3])
    with pytest.raises(KeyError):
        expcore.tune(broken, OptunaTuner(study, 3, suggest, tmp_path / "a"))
    assert [t.state.name for t in study.trials] == ["COMPLETE", "FAIL", "WAITING"]
    study = study_of(RATES[:3])
    expcore.tune(broken, OptunaTuner(study, 3, suggest, tmp_path / "b", catch=(KeyError,)))
    assert [t.state.name for t in study.trials] == ["COMPLETE", "FAIL", "COMPLETE"]


def test_a_trial_whose_losses_are_never_finite_fails(tmp_path):
    class Nan(NumpyEstimator):
        def evaluate(self, *args, **options):
            return {**super().evaluate(*args, **options), "loss": float("nan")}

    def never(run_config, _):
        estimator = Nan(run_config.model_dir, run_config)
        return expcore.Experiment(estimator, data, data, train_steps=4, train_steps_per_iteration=2)

    study = study_of([0.1])
    expcore.tune(never, OptunaTuner(study, 1, suggest, tmp_path))
    assert study.trials[0].state == TrialState.FAIL


def test_trials_of_the_study_count_so_a_second_tuner_does_only_what_is_left(tmp_path):
    study = study_of()
    expcore.tune(experiment, OptunaTuner(study, 3, suggest, tmp_path))
    assert len([t for t in study.trials if t.state != TrialState.WAITING]) == 3
    expcore.tune(experiment, OptunaTuner(study, 5, suggest, tmp_path))
    assert len([t for t in study.trials if t.state != TrialState.WAITING]) == 5
    assert not OptunaTuner(study, 5, suggest, tmp_path).next_trial()


def test_a_new_trial_does_not_take_over_what_another_study_left_in_its_directory(tmp_path):
    expcore.tune(experiment, OptunaTuner(study_of(), 1, suggest, tmp_path))
    study = study_of()
    with pytest.raises(InvalidArgument, match=r"trial-0 holds another run, .*; give another model_dir"):
        expcore.tune(experiment, OptunaTuner(study, 1, suggest, tmp_path))
    assert study.trials[0].state == TrialState.FAIL


KILLED = """
import os, sys
sys.path.insert(0, sys.argv[1])
import optuna, studies as t
from expcore import tune
from expcore_optuna import OptunaTuner

def experiment(run_config, hparams):
    made = t.experiment(run_config, hparams)
    whole = made.evaluate_pass
    def evaluate_pass(*args, **options):
        result = whole(*args, **options)
        if len(made.history.evaluations) == 3:
            os._exit(9)
        return result
    made.evaluate_pass = evaluate_pass
    return made

pruner = optuna.pruners.MedianPruner(n_startup_trials=2)
study = optuna.load_study(study_name="s", storage=sys.argv[2], pruner=pruner)
tune(experiment, OptunaTuner(study, 2, t.suggest, sys.argv[3]))
"""


def test_the_trial_of_a_process_that_was_killed_goes_on_from_its_checkpoint_with_its_parameters(tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    study_of([0.1, 0.05], storage=storage, study_name="s")
    here = os.path.dirname(__file__)
    command = [sys.executable, "-c", KILLED, here, storage, str(tmp_path / "runs")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 9, done.stderr
    study = optuna.load_study(study_name="s", storage=storage)
    (left, _) = study.trials
    assert left.state == TrialState.RUNNING
    assert list(left.intermediate_values) == [2, 4]  # the third was evaluated, but not reported
    assert [e.step for e in evaluations(tmp_path / "runs", 0)] == [2, 4, 6]
    expcore.tune(experiment, OptunaTuner(study, 2, suggest, tmp_path / "runs"))
    assert [t.state for t in study.trials] == [TrialState.COMPLETE, TrialState.COMPLETE]
    assert study.trials[0].params == {"rate": 0.1}
    assert list(study.trials[0].intermediate_values) == list(range(2, STEPS + 1, 2))
    whole = study_of([0.1], pruner=NopPruner())
    expcore.tune(experiment, OptunaTuner(whole, 1, suggest, tmp_path / "whole"))
    assert study.trials[0].value == whole.best_value


def test_an_interrupted_trial_stays_to_be_gone_on_with(tmp_path):
    study = study_of([0.1])
    tuner = OptunaTuner(study, 1, suggest, tmp_path)

    def interrupted(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        expcore.tune(interrupted, tuner)
    assert study.trials[0].state == TrialState.RUNNING
    expcore.tune(experiment, tuner)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE]


def test_a_trial_of_a_living_process_is_left_alone(tmp_path):
    study = study_of()
    trial = study.ask()
    trial.set_user_attr("expcore_model_dir", str(tmp_path / "trial-0"))
    parent = {**expcore_owner(), "pid": os.getppid(), "started": 0}
    trial.set_user_attr("expcore_owner", parent)
    tuner = OptunaTuner(study, 1, suggest, tmp_path)
    assert not tuner.next_trial()
    trial.set_user_attr("expcore_owner", {**parent, "pid": 2**22 + 1})
    assert tuner.next_trial()


def expcore_owner():
    from expcore.owner import Owner

    return Owner.current().to_dict()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"study": "s"}, InvalidType, "study is 's'; give one"),
        ({"n_trials": 0}, InvalidArgument, "n_trials is 0"),
        ({"suggest": {}}, InvalidType, "suggest is {}; give a function"),
        ({"value": "first"}, InvalidArgument, "value is 'first'; it must be 'best' or 'last'"),
    ],
)
def test_wrong_arguments_of_the_tuner_are_refused(tmp_path, options, error, message):
    given = {"study": optuna.create_study(), "n_trials": 1, "suggest": suggest, "model_dir": tmp_path}
    with pytest.raises(error, match=message):
        OptunaTuner(**{**given, **options})


def test_a_schedule_that_takes_no_predicate_is_refused(tmp_path):
    study = study_of([0.1])
    with pytest.raises(UnknownOption, match="continuous_eval_predicate_fn"):
        expcore.tune(experiment, OptunaTuner(study, 1, suggest, tmp_path, schedule="train_and_evaluate"))


def test_a_trial_is_run_only_after_it_was_asked_for(tmp_path):
    with pytest.raises(InvalidArgument, match=r"call next_trial\(\) first"):
        OptunaTuner(optuna.create_study(), 1, suggest, tmp_path).run_experiment(experiment)
