"""What the tests share: an experiment in NumPy, and studies of its learning rate."""

from __future__ import annotations

import numpy as np
import optuna
from optuna.pruners import MedianPruner

import expcore
from expcore.testing.numpy_estimator import NumpyEstimator

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
