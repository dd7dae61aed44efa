"""How expcore's conformance suite tries the predicate: with a trial of a study that has others."""

from __future__ import annotations

import optuna

from expcore.conformance import Sample
from expcore_optuna.pruner import OptunaPruner


def optuna_pruner() -> Sample:
    """Returns a sample whose predicates have a fresh trial each, in a study that prunes some."""
    return Sample(factory=_predicate)


def _predicate() -> OptunaPruner:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # a line for each study would bury the report
    try:
        return OptunaPruner(_busy_study().ask())
    finally:
        optuna.logging.set_verbosity(verbosity)


def _busy_study() -> optuna.Study:
    study = optuna.create_study(pruner=optuna.pruners.MedianPruner(n_startup_trials=1))
    other = study.ask()
    for step in range(0, 100, 10):
        other.report(1.0 / (1 + step), step)
    study.tell(other, 0.01)
    return study
