"""The predicate: what it reports, what it answers, how it finds its trial."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import optuna
import pytest
from expcore_optuna import OptunaPruner, OptunaTuner
from optuna.pruners import MedianPruner, SuccessiveHalvingPruner
from optuna.trial import TrialState
from studies import ITERATION, STEPS, data, experiment, study_of, suggest

import expcore
from expcore.config.config import schedule_of
from expcore.errors import InvalidArgument, UnknownMetric
from expcore.testing.numpy_estimator import NumpyEstimator
from expcore.types import Evaluation


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
