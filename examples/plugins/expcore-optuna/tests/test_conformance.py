"""The predicate keeps the promises of predicates."""

from __future__ import annotations

import optuna
from expcore_optuna import OptunaPruner
from expcore_optuna.samples import optuna_pruner

from expcore.conformance import conformance


@conformance(optuna_pruner(), kind="predicate")
def test_a_pruner_keeps_every_promise_of_predicates(clause):
    clause()


@conformance(factory=lambda: OptunaPruner(optuna.create_study().ask()), kind="predicate")
def test_a_pruner_of_a_study_without_other_trials_keeps_them_too(clause):
    clause()
