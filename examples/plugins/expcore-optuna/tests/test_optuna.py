"""The Optuna pruner and tuner: studies of short trials with an estimator in NumPy."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
from expcore_optuna import OptunaPruner, OptunaTuner
from optuna.pruners import MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.trial import TrialState

import expcore
from expcore.config.config import schedule_of
from expcore.errors import InvalidArgument, InvalidType, UnknownMetric, UnknownOption
from expcore.testing.numpy_estimator import NumpyEstimator
from expcore.types import Evaluation

RATES = [0.1, 0.05, 0.2, 0.0001, 0.00001, 0.15, 0.0002, 0.12]
STEPS, ITERATION = 16, 2

optuna.logging.set_verbosity(optuna.logging.WARNING)


def data():
    x = np.random.default_rng(0).normal(size=(64, 3))
    return x, x @ [1.0, 2.0, 3.0]


def experiment(run_config, hparams):
    return expcore.Experiment(
        NumpyEstimator(run_config.model_dir, run_config, learning_rate=hparams["rate"]),
        data,
        data,
        train_steps=STEPS,
        train_steps_per_iteration=ITERATION,
    )


def suggest(trial):
    return {"rate": trial.suggest_float("rate", 1e-6, 1.0, log=True)}


def study_of(rates=RATES, pruner=None, **options):
    pruner = pruner or MedianPruner(n_startup_trials=2)
    study = optuna.create_study(pruner=pruner, sampler=optuna.samplers.RandomSampler(0), **options)
    for rate in rates:
        study.enqueue_trial({"rate": rate})
    return study


def evaluations(folder, number):
    found = experiment(expcore.RunConfig(model_dir=str(folder / f"trial-{number}")), {"rate": 0.1})
    return found.history.evaluations


# --- a study --------------------------------------------------------------------------------------------


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


# --- failures, restarts ---------------------------------------------------------------------------------


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
import optuna, test_optuna as t
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

study = optuna.load_study(study_name="s", storage=sys.argv[2], pruner=t.MedianPruner(n_startup_trials=2))
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


# --- the predicate --------------------------------------------------------------------------------------


def history(*losses):
    found = [
        Evaluation(None, 10 * (i + 1), {"loss": loss, "global_step": 10 * (i + 1)})
        for i, loss in enumerate(losses)
    ]
    return SimpleNamespace(evaluations=found)


def busy(pruner=None):
    """A study with two complete trials, whose losses were 1 at every step."""
    study = optuna.create_study(pruner=pruner or MedianPruner(n_startup_trials=2))
    for _ in range(2):
        trial = study.ask()
        for step in range(10, 60, 10):
            trial.report(1.0, step)
        study.tell(trial, 1.0)
    return study


def test_it_reports_what_the_trial_does_not_have_yet_and_asks_the_pruner():
    trial = busy().ask()
    predicate = OptunaPruner(trial)
    assert predicate(None)
    assert predicate({})
    assert predicate(None, history=history())
    assert predicate({"loss": 0.5}, history=history(0.5, 0.9))
    reported = trial.study.trials[2].intermediate_values
    assert reported == {10: 0.5, 20: 0.9}
    assert OptunaPruner(trial)(None, history=history(2.0, 2.0, 2.0))  # the best so far counts, 0.5
    assert trial.study.trials[2].intermediate_values == {10: 0.5, 20: 0.9, 30: 2.0}


def test_without_a_history_the_result_is_reported():
    trial = busy().ask()
    predicate = OptunaPruner(trial)
    assert predicate({"loss": 0.5, "global_step": np.int64(10)})
    other = OptunaPruner(trial.study.ask())
    assert not other({"loss": 3.0, "global_step": 10})
    assert trial.study.trials[2].intermediate_values == {10: 0.5}


@pytest.mark.parametrize("pruner", [MedianPruner(n_startup_trials=2), SuccessiveHalvingPruner(10, 2)])
def test_its_verdict_stays_the_same_also_in_another_object(pruner):
    study = busy(pruner)
    if isinstance(pruner, SuccessiveHalvingPruner):
        for _ in range(3):
            better = study.ask()
            assert OptunaPruner(better)(None, history=history(0.1))
    trial = study.ask()
    first = OptunaPruner(trial)
    seen = history(5.0)
    verdicts = [first(None, history=seen), first(None, history=seen), OptunaPruner(trial)({}, history=seen)]
    assert verdicts == [False, False, False]


def test_a_pruned_trial_does_not_go_on_and_a_complete_one_takes_no_reports():
    study = busy()
    trial = study.ask()
    OptunaPruner(trial)(None, history=history(5.0))
    study.tell(trial, state=TrialState.PRUNED)
    assert not OptunaPruner(trial)(None, history=history(5.0, 4.0))
    trial = study.ask()
    assert OptunaPruner(trial)(None, history=history(0.5))
    study.tell(trial, 0.5)
    assert OptunaPruner(trial)(None, history=history(0.5))
    with pytest.raises(InvalidArgument, match=r"trial 3 is finished \(COMPLETE\), and step 20"):
        OptunaPruner(trial)(None, history=history(0.5, 0.4))


def test_a_metric_that_is_not_there_is_told():
    with pytest.raises(UnknownMetric, match="predicate 'optuna_pruner': metric 'mae' is not among"):
        OptunaPruner(busy().ask(), "mae")(None, history=history(1.0))


ADDRESS = {"trial": 0, "storage": "sqlite://", "study_name": "s"}

# --- by name --------------------------------------------------------------------------------------------


def config(folder, **pruner):
    return {
        "estimator": NumpyEstimator(str(folder), learning_rate=0.00001),
        "train_input_fn": data,
        "eval_input_fn": data,
        "train_steps": STEPS,
        "train_steps_per_iteration": ITERATION,
        "schedule": {
            "type": "continuous_train_and_evaluate",
            "continuous_eval_predicate_fn": {"type": "optuna_pruner", **pruner},
        },
    }


def test_by_name_it_finds_the_trial_by_storage_study_and_number(tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    study = study_of([0.1, 0.05, 0.1], storage=storage, study_name="s")
    expcore.tune(experiment, OptunaTuner(study, 2, suggest, tmp_path / "runs"))
    number = study.ask().number
    median = {"pruner": "MedianPruner", "pruner_options": {"n_startup_trials": 2}}
    given = config(tmp_path / "named", trial=number, storage=storage, study_name="s", **median)
    made = expcore.create_experiment(given)
    schedule, options = schedule_of(given)
    made.run(schedule, **options)
    assert made.history.evaluations[-1].step < STEPS
    assert list(study.trials[number].intermediate_values) == [e.step for e in made.history.evaluations]
    assert study.trials[number].state == TrialState.RUNNING


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "trial and storage and study_name is missing; in Python give a live trial"),
        ({"trial": 0, "storage": "sqlite://"}, "study_name is missing"),
        ({"trial": 0, "study_name": "s"}, "storage is missing"),
        ({"trial": -1, "storage": "sqlite://", "study_name": "s"}, "trial is -1; it must be"),
        ({"trial": "0", "storage": "sqlite://", "study_name": "s"}, "trial is '0'; it must be"),
        ({"trial": True, "storage": "sqlite://", "study_name": "s"}, "trial is True; it must be"),
        ({"trial": 0, "storage": "sqlite://", "study_name": "s", "metric": "x"}, "pass mode="),
        ({**ADDRESS, "pruner": "Median"}, "did you mean 'MedianPruner'"),
        ({**ADDRESS, "pruner": "MedianPruner", "pruner_options": {"n": 1}}, "refuses the pruner_options"),
        ({**ADDRESS, "pruner_options": {}}, "pruner_options are given without pruner"),
    ],
)
def test_by_name_what_is_missing_or_wrong_is_told(options, message):
    with pytest.raises(InvalidArgument, match=message):
        expcore.default_host().create("predicates", "optuna_pruner", **options)


def test_a_study_or_trial_that_is_not_there_is_told_at_the_first_question(tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    study_of([], storage=storage, study_name="there")
    for options, message in (
        ({"trial": 0, "storage": storage, "study_name": "s"}, r"no study 's' in .*; there are 'there'"),
        ({"trial": 7, "storage": storage, "study_name": "there"}, "no trial 7, only 0 trials; ask for it"),
        ({"trial": 0, "storage": "nonsense", "study_name": "s"}, "the storage nonsense cannot be opened"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            OptunaPruner(**options)(None)


def test_a_live_trial_beside_an_address_is_refused():
    with pytest.raises(InvalidArgument, match="leave them out"):
        OptunaPruner(optuna.create_study().ask(), storage="sqlite://")


def test_a_study_of_several_objectives_is_refused():
    study = optuna.create_study(directions=["minimize", "maximize"])
    with pytest.raises(InvalidArgument, match="has 2 objectives; pruning needs a study with one"):
        OptunaPruner(study.ask())


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
