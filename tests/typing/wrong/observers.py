"""Implementations of hooks that do not fit."""

from __future__ import annotations

from expcore import Experiment, hookimpl, impl
from expcore.types import Checkpoint, Estimator, Evaluation, Export, TrainingEnd


class Notebook:
    @impl.expcore_after_evaluate  # wrong
    def expcore_after_evaluate(self, evaluatoin: Evaluation) -> None:
        return

    @impl.expcore_after_train  # wrong
    def expcore_after_train(self, end: Evaluation) -> None:
        return

    @impl.expcore_after_export  # wrong
    def expcore_after_export(self, export: Export) -> str:
        return export.exporter

    @impl.expcore_before_evaluate  # wrong
    def expcore_before_evaluate(self, checkpoint: Checkpoint) -> None:
        return

    @impl.expcore_before_schedule  # wrong
    def expcore_before_schedule(self, experiment: Estimator) -> None:
        return

    @impl.expcore_failed  # wrong
    @hookimpl(tryfirst=True)
    def expcore_failed(self, error: ValueError) -> None:
        return

    @hookimpl(trylast=True)
    @impl.expcore_checkpoint_saved  # wrong
    def expcore_checkpoint_saved(self, checkpoint: Checkpoint, step: int) -> None:
        return

    @impl.expcore_exporters  # wrong
    def expcore_exporters(self) -> str:
        return "best"


@impl.expcore_after_schedule  # wrong
def expcore_after_schedule(reslut: object) -> None:
    return


@impl.expcore_before_train  # wrong
def expcore_before_train(experiment: int) -> None:
    return


@impl.expcore_train_hooks  # wrong
def expcore_train_hooks(experiment: Experiment) -> int:
    return 1


@impl.expcore_eval_hooks  # wrong
def expcore_eval_hooks(experiment: Experiment, /) -> None:
    return


@impl.expcore_before_export  # wrong
def expcore_before_export(evaluation: Evaluation) -> None:
    return


@impl.expcore_predicates  # wrong
def expcore_predicates(experiment: Experiment) -> None:
    return


@impl.expcore_after_train
def exact(end: TrainingEnd) -> None:
    """Only the run time tells that its name is not the hook's."""


exact(1)  # wrong
print(impl.expcore_after_evaluates)  # wrong
