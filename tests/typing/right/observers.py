"""Implementations of hooks that fit, as methods of a class and as functions of a module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_type

from expcore import Experiment, hookimpl, impl
from expcore.types import Checkpoint, Component, Evaluation, Export, Hook, TrainingEnd


class Notebook:
    def __init__(self) -> None:
        self.lines: list[str] = []

    @impl.expcore_after_evaluate
    def expcore_after_evaluate(self, evaluation: Evaluation) -> None:
        self.lines.append(f"step {evaluation.step}")

    @impl.expcore_after_schedule
    def expcore_after_schedule(self) -> None:
        self.lines.append("done")

    @impl.expcore_before_schedule
    def expcore_before_schedule(
        self, options: Mapping[str, Any], experiment: Experiment, schedule: str
    ) -> None:
        self.lines.append(schedule)

    @impl.expcore_before_train
    def expcore_before_train(self, experiment: Any) -> None:
        return

    @impl.expcore_after_train
    def expcore_after_train(self, experiment: object, end: TrainingEnd) -> None:
        return

    @impl.expcore_before_evaluate
    def expcore_before_evaluate(self, checkpoint: Checkpoint | None) -> None:
        return

    @impl.expcore_before_export
    def expcore_before_export(self, exporter: Any, checkpoint: object) -> None:
        return

    @impl.expcore_after_export
    @hookimpl(tryfirst=True)
    def expcore_after_export(self, export: Export) -> None:
        self.lines.append(export.exporter)

    @hookimpl(trylast=True)
    @impl.expcore_failed
    def expcore_failed(self, error: BaseException) -> None:
        self.lines.append(str(error))

    @impl.expcore_exporters
    def expcore_exporters(self) -> list[Component]:
        return []


@impl.expcore_checkpoint_saved
def expcore_checkpoint_saved(experiment: Experiment, checkpoint: Checkpoint) -> None:
    return


@impl.expcore_estimators
def expcore_estimators() -> None:
    return


@impl.expcore_schedules
def expcore_schedules() -> Sequence[Component]:
    return ()


@impl.expcore_hooks
def expcore_hooks() -> dict[str, type[Hook]]:
    return {}


@impl.expcore_predicates
def expcore_predicates() -> Mapping[str, Any] | None:
    return None


@impl.expcore_train_hooks
def expcore_train_hooks(experiment: Experiment) -> list[Hook]:
    return []


@impl.expcore_eval_hooks
def expcore_eval_hooks() -> list[Hook] | None:
    return None


@impl.expcore_adapt_hooks
def expcore_adapt_hooks(hooks: Sequence[Any]) -> Sequence[Any]:
    return hooks


def use(evaluation: Evaluation, experiment: Experiment) -> None:
    assert_type(expcore_train_hooks(experiment), list[Hook])
    assert_type(expcore_schedules(), Sequence[Component])
    assert_type(expcore_eval_hooks(), list[Hook] | None)
    assert_type(Notebook().expcore_exporters(), list[Component])
    Notebook().expcore_after_evaluate(evaluation=evaluation)
