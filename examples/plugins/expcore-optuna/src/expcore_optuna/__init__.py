"""Optuna for expcore: a pruner as a predicate, and a tuner that runs a study."""

from expcore_optuna.pruner import OptunaPruner as OptunaPruner
from expcore_optuna.tuner import OptunaTuner as OptunaTuner

__all__ = ["OptunaPruner", "OptunaTuner"]
