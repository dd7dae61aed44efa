"""Typed hookimpls, one a hook, with which mypy and pyright reject an implementation that does not fit.

Written by tools/make_impl.py from expcore/hookspecs.py; edit that file instead. Each marks a function or a
method of the hook's own name as ``expcore.hookimpl`` does, and returns it, of unchanged type::

    @impl.expcore_after_evaluate
    def expcore_after_evaluate(self, evaluation: Evaluation) -> None: ...

Any of the hook's arguments may be left out. For an order put ``@hookimpl(tryfirst=True)`` below or above.

Raises:
    InvalidType: what is decorated is not a function.
    InvalidArgument: its name is not the hook's, or an argument is not the hook's or has a default.
"""

# ruff: noqa: N805

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from expcore.hookspecs import Catalogue
from expcore.host.marking import marked
from expcore.types import Checkpoint, Evaluation, Export, TrainingEnd

if TYPE_CHECKING:
    from expcore.experiment import Experiment


# --- What a function may look like: some of a hook's arguments, with and without self -----------------
# fmt: off
class _Nothing(Protocol):
    def __call__(_) -> Catalogue: ...
class _Self(Protocol):
    def __call__(_, *, self: Any) -> Catalogue: ...
class _Nothing2(Protocol):
    def __call__(_) -> Sequence[Any] | None: ...
class _Self2(Protocol):
    def __call__(_, *, self: Any) -> Sequence[Any] | None: ...
class _Experiment(Protocol):
    def __call__(_, *, experiment: Experiment) -> Sequence[Any] | None: ...
class _SelfExperiment(Protocol):
    def __call__(_, *, self: Any, experiment: Experiment) -> Sequence[Any] | None: ...
class _Estimator(Protocol):
    def __call__(_, *, estimator: Any) -> Sequence[Any] | None: ...
class _SelfEstimator(Protocol):
    def __call__(_, *, self: Any, estimator: Any) -> Sequence[Any] | None: ...
class _Hooks(Protocol):
    def __call__(_, *, hooks: Sequence[Any]) -> Sequence[Any] | None: ...
class _SelfHooks(Protocol):
    def __call__(_, *, self: Any, hooks: Sequence[Any]) -> Sequence[Any] | None: ...
class _EstimatorHooks(Protocol):
    def __call__(_, *, estimator: Any, hooks: Sequence[Any]) -> Sequence[Any] | None: ...
class _SelfEstimatorHooks(Protocol):
    def __call__(_, *, self: Any, estimator: Any, hooks: Sequence[Any]) -> Sequence[Any] | None: ...
class _Nothing3(Protocol):
    def __call__(_) -> None: ...
class _Self3(Protocol):
    def __call__(_, *, self: Any) -> None: ...
class _Experiment2(Protocol):
    def __call__(_, *, experiment: Experiment) -> None: ...
class _SelfExperiment2(Protocol):
    def __call__(_, *, self: Any, experiment: Experiment) -> None: ...
class _Schedule(Protocol):
    def __call__(_, *, schedule: str) -> None: ...
class _SelfSchedule(Protocol):
    def __call__(_, *, self: Any, schedule: str) -> None: ...
class _Options(Protocol):
    def __call__(_, *, options: Mapping[str, Any]) -> None: ...
class _SelfOptions(Protocol):
    def __call__(_, *, self: Any, options: Mapping[str, Any]) -> None: ...
class _ExperimentSchedule(Protocol):
    def __call__(_, *, experiment: Experiment, schedule: str) -> None: ...
class _SelfExperimentSchedule(Protocol):
    def __call__(_, *, self: Any, experiment: Experiment, schedule: str) -> None: ...
class _ExperimentOptions(Protocol):
    def __call__(_, *, experiment: Experiment, options: Mapping[str, Any]) -> None: ...
class _SelfExperimentOptions(Protocol):
    def __call__(_, *, self: Any, experiment: Experiment, options: Mapping[str, Any]) -> None: ...
class _ScheduleOptions(Protocol):
    def __call__(_, *, schedule: str, options: Mapping[str, Any]) -> None: ...
class _SelfScheduleOptions(Protocol):
    def __call__(_, *, self: Any, schedule: str, options: Mapping[str, Any]) -> None: ...
class _ExperimentScheduleOptions(Protocol):
    def __call__(_, *, experiment: Experiment, schedule: str, options: Mapping[str, Any]) -> None: ...
class _SelfExperimentScheduleOptions(Protocol):
    def __call__(
        _, *, self: Any, experiment: Experiment, schedule: str, options: Mapping[str, Any]
    ) -> None: ...
class _Checkpoint(Protocol):
    def __call__(_, *, checkpoint: Checkpoint | None) -> None: ...
class _SelfCheckpoint(Protocol):
    def __call__(_, *, self: Any, checkpoint: Checkpoint | None) -> None: ...
class _ExperimentCheckpoint(Protocol):
    def __call__(_, *, experiment: Experiment, checkpoint: Checkpoint | None) -> None: ...
class _SelfExperimentCheckpoint(Protocol):
    def __call__(_, *, self: Any, experiment: Experiment, checkpoint: Checkpoint | None) -> None: ...
class _Exporter(Protocol):
    def __call__(_, *, exporter: Any) -> None: ...
class _SelfExporter(Protocol):
    def __call__(_, *, self: Any, exporter: Any) -> None: ...
class _ExperimentExporter(Protocol):
    def __call__(_, *, experiment: Experiment, exporter: Any) -> None: ...
class _SelfExperimentExporter(Protocol):
    def __call__(_, *, self: Any, experiment: Experiment, exporter: Any) -> None: ...
class _ExporterCheckpoint(Protocol):
    def __call__(_, *, exporter: Any, checkpoint: Checkpoint | None) -> None: ...
class _SelfExporterCheckpoint(Protocol):
    def __call__(_, *, self: Any, exporter: Any, checkpoint: Checkpoint | None) -> None: ...
class _ExperimentExporterCheckpoint(Protocol):
    def __call__(_, *, experiment: Experiment, exporter: Any, checkpoint: Checkpoint | None) -> None: ...
class _SelfExperimentExporterCheckpoint(Protocol):
    def __call__(
        _, *, self: Any, experiment: Experiment, exporter: Any, checkpoint: Checkpoint | None
    ) -> None: ...
class _Checkpoint2(Protocol):
    def __call__(_, *, checkpoint: Checkpoint) -> None: ...
class _SelfCheckpoint2(Protocol):
    def __call__(_, *, self: Any, checkpoint: Checkpoint) -> None: ...
class _ExperimentCheckpoint2(Protocol):
    def __call__(_, *, experiment: Experiment, checkpoint: Checkpoint) -> None: ...
class _SelfExperimentCheckpoint2(Protocol):
    def __call__(_, *, self: Any, experiment: Experiment, checkpoint: Checkpoint) -> None: ...
class _Result(Protocol):
    def __call__(_, *, result: Any) -> None: ...
class _SelfResult(Protocol):
    def __call__(_, *, self: Any, result: Any) -> None: ...
class _ExperimentResult(Protocol):
    def __call__(_, *, experiment: Experiment, result: Any) -> None: ...
class _SelfExperimentResult(Protocol):
    def __call__(_, *, self: Any, experiment: Experiment, result: Any) -> None: ...
class _ScheduleResult(Protocol):
    def __call__(_, *, schedule: str, result: Any) -> None: ...
class _SelfScheduleResult(Protocol):
    def __call__(_, *, self: Any, schedule: str, result: Any) -> None: ...
class _ExperimentScheduleResult(Protocol):
    def __call__(_, *, experiment: Experiment, schedule: str, result: Any) -> None: ...
class _SelfExperimentScheduleResult(Protocol):
    def __call__(_, *, self: Any, experiment: Experiment, schedule: str, result: Any) -> None: ...
class _End(Protocol):
    def __call__(_, *, end: TrainingEnd) -> None: ...
class _SelfEnd(Protocol):
    def __call__(_, *, self: Any, end: TrainingEnd) -> None: ...
class _ExperimentEnd(Protocol):
    def __call__(_, *, experiment: Experiment, end: TrainingEnd) -> None: ...
class _SelfExperimentEnd(Protocol):
    def __call__(_, *, self: Any, experiment: Experiment, end: TrainingEnd) -> None: ...
class _Evaluation(Protocol):
    def __call__(_, *, evaluation: Evaluation) -> None: ...
class _SelfEvaluation(Protocol):
    def __call__(_, *, self: Any, evaluation: Evaluation) -> None: ...
class _ExperimentEvaluation(Protocol):
    def __call__(_, *, experiment: Experiment, evaluation: Evaluation) -> None: ...
class _SelfExperimentEvaluation(Protocol):
    def __call__(_, *, self: Any, experiment: Experiment, evaluation: Evaluation) -> None: ...
class _Export(Protocol):
    def __call__(_, *, export: Export) -> None: ...
class _SelfExport(Protocol):
    def __call__(_, *, self: Any, export: Export) -> None: ...
class _ExperimentExport(Protocol):
    def __call__(_, *, experiment: Experiment, export: Export) -> None: ...
class _SelfExperimentExport(Protocol):
    def __call__(_, *, self: Any, experiment: Experiment, export: Export) -> None: ...
class _Error(Protocol):
    def __call__(_, *, error: BaseException) -> None: ...
class _SelfError(Protocol):
    def __call__(_, *, self: Any, error: BaseException) -> None: ...
class _ExperimentError(Protocol):
    def __call__(_, *, experiment: Experiment, error: BaseException) -> None: ...
class _SelfExperimentError(Protocol):
    def __call__(_, *, self: Any, experiment: Experiment, error: BaseException) -> None: ...

# --- The decorators -----------------------------------------------------------------------------------

_ExpcoreEstimators = TypeVar("_ExpcoreEstimators", bound=(
    _Nothing | _Self
))
def expcore_estimators(function: _ExpcoreEstimators, /) -> _ExpcoreEstimators:
    """Marks an implementation of ``expcore_estimators()``."""
    return marked(function, "expcore_estimators")

_ExpcoreSchedules = TypeVar("_ExpcoreSchedules", bound=(
    _Nothing | _Self
))
def expcore_schedules(function: _ExpcoreSchedules, /) -> _ExpcoreSchedules:
    """Marks an implementation of ``expcore_schedules()``."""
    return marked(function, "expcore_schedules")

_ExpcoreExporters = TypeVar("_ExpcoreExporters", bound=(
    _Nothing | _Self
))
def expcore_exporters(function: _ExpcoreExporters, /) -> _ExpcoreExporters:
    """Marks an implementation of ``expcore_exporters()``."""
    return marked(function, "expcore_exporters")

_ExpcoreHooks = TypeVar("_ExpcoreHooks", bound=(
    _Nothing | _Self
))
def expcore_hooks(function: _ExpcoreHooks, /) -> _ExpcoreHooks:
    """Marks an implementation of ``expcore_hooks()``."""
    return marked(function, "expcore_hooks")

_ExpcorePredicates = TypeVar("_ExpcorePredicates", bound=(
    _Nothing | _Self
))
def expcore_predicates(function: _ExpcorePredicates, /) -> _ExpcorePredicates:
    """Marks an implementation of ``expcore_predicates()``."""
    return marked(function, "expcore_predicates")

_ExpcoreTrainHooks = TypeVar("_ExpcoreTrainHooks", bound=(
    _Nothing2 | _Self2 | _Experiment | _SelfExperiment
))
def expcore_train_hooks(function: _ExpcoreTrainHooks, /) -> _ExpcoreTrainHooks:
    """Marks an implementation of ``expcore_train_hooks(experiment)``."""
    return marked(function, "expcore_train_hooks")

_ExpcoreEvalHooks = TypeVar("_ExpcoreEvalHooks", bound=(
    _Nothing2 | _Self2 | _Experiment | _SelfExperiment
))
def expcore_eval_hooks(function: _ExpcoreEvalHooks, /) -> _ExpcoreEvalHooks:
    """Marks an implementation of ``expcore_eval_hooks(experiment)``."""
    return marked(function, "expcore_eval_hooks")

_ExpcoreAdaptHooks = TypeVar("_ExpcoreAdaptHooks", bound=(
    _Nothing2 | _Self2 | _Estimator | _SelfEstimator | _Hooks | _SelfHooks | _EstimatorHooks |
    _SelfEstimatorHooks
))
def expcore_adapt_hooks(function: _ExpcoreAdaptHooks, /) -> _ExpcoreAdaptHooks:
    """Marks an implementation of ``expcore_adapt_hooks(estimator, hooks)``."""
    return marked(function, "expcore_adapt_hooks")

_ExpcoreBeforeSchedule = TypeVar("_ExpcoreBeforeSchedule", bound=(
    _Nothing3 | _Self3 | _Experiment2 | _SelfExperiment2 | _Schedule | _SelfSchedule | _Options |
    _SelfOptions | _ExperimentSchedule | _SelfExperimentSchedule | _ExperimentOptions |
    _SelfExperimentOptions | _ScheduleOptions | _SelfScheduleOptions | _ExperimentScheduleOptions |
    _SelfExperimentScheduleOptions
))
def expcore_before_schedule(function: _ExpcoreBeforeSchedule, /) -> _ExpcoreBeforeSchedule:
    """Marks an implementation of ``expcore_before_schedule(experiment, schedule, options)``."""
    return marked(function, "expcore_before_schedule")

_ExpcoreBeforeTrain = TypeVar("_ExpcoreBeforeTrain", bound=(
    _Nothing3 | _Self3 | _Experiment2 | _SelfExperiment2
))
def expcore_before_train(function: _ExpcoreBeforeTrain, /) -> _ExpcoreBeforeTrain:
    """Marks an implementation of ``expcore_before_train(experiment)``."""
    return marked(function, "expcore_before_train")

_ExpcoreBeforeEvaluate = TypeVar("_ExpcoreBeforeEvaluate", bound=(
    _Nothing3 | _Self3 | _Experiment2 | _SelfExperiment2 | _Checkpoint | _SelfCheckpoint |
    _ExperimentCheckpoint | _SelfExperimentCheckpoint
))
def expcore_before_evaluate(function: _ExpcoreBeforeEvaluate, /) -> _ExpcoreBeforeEvaluate:
    """Marks an implementation of ``expcore_before_evaluate(experiment, checkpoint)``."""
    return marked(function, "expcore_before_evaluate")

_ExpcoreBeforeExport = TypeVar("_ExpcoreBeforeExport", bound=(
    _Nothing3 | _Self3 | _Experiment2 | _SelfExperiment2 | _Exporter | _SelfExporter | _Checkpoint |
    _SelfCheckpoint | _ExperimentExporter | _SelfExperimentExporter | _ExperimentCheckpoint |
    _SelfExperimentCheckpoint | _ExporterCheckpoint | _SelfExporterCheckpoint |
    _ExperimentExporterCheckpoint | _SelfExperimentExporterCheckpoint
))
def expcore_before_export(function: _ExpcoreBeforeExport, /) -> _ExpcoreBeforeExport:
    """Marks an implementation of ``expcore_before_export(experiment, exporter, checkpoint)``."""
    return marked(function, "expcore_before_export")

_ExpcoreCheckpointSaved = TypeVar("_ExpcoreCheckpointSaved", bound=(
    _Nothing3 | _Self3 | _Experiment2 | _SelfExperiment2 | _Checkpoint2 | _SelfCheckpoint2 |
    _ExperimentCheckpoint2 | _SelfExperimentCheckpoint2
))
def expcore_checkpoint_saved(function: _ExpcoreCheckpointSaved, /) -> _ExpcoreCheckpointSaved:
    """Marks an implementation of ``expcore_checkpoint_saved(experiment, checkpoint)``."""
    return marked(function, "expcore_checkpoint_saved")

_ExpcoreAfterSchedule = TypeVar("_ExpcoreAfterSchedule", bound=(
    _Nothing3 | _Self3 | _Experiment2 | _SelfExperiment2 | _Schedule | _SelfSchedule | _Result | _SelfResult |
    _ExperimentSchedule | _SelfExperimentSchedule | _ExperimentResult | _SelfExperimentResult |
    _ScheduleResult | _SelfScheduleResult | _ExperimentScheduleResult | _SelfExperimentScheduleResult
))
def expcore_after_schedule(function: _ExpcoreAfterSchedule, /) -> _ExpcoreAfterSchedule:
    """Marks an implementation of ``expcore_after_schedule(experiment, schedule, result)``."""
    return marked(function, "expcore_after_schedule")

_ExpcoreAfterTrain = TypeVar("_ExpcoreAfterTrain", bound=(
    _Nothing3 | _Self3 | _Experiment2 | _SelfExperiment2 | _End | _SelfEnd | _ExperimentEnd |
    _SelfExperimentEnd
))
def expcore_after_train(function: _ExpcoreAfterTrain, /) -> _ExpcoreAfterTrain:
    """Marks an implementation of ``expcore_after_train(experiment, end)``."""
    return marked(function, "expcore_after_train")

_ExpcoreAfterEvaluate = TypeVar("_ExpcoreAfterEvaluate", bound=(
    _Nothing3 | _Self3 | _Experiment2 | _SelfExperiment2 | _Evaluation | _SelfEvaluation |
    _ExperimentEvaluation | _SelfExperimentEvaluation
))
def expcore_after_evaluate(function: _ExpcoreAfterEvaluate, /) -> _ExpcoreAfterEvaluate:
    """Marks an implementation of ``expcore_after_evaluate(experiment, evaluation)``."""
    return marked(function, "expcore_after_evaluate")

_ExpcoreAfterExport = TypeVar("_ExpcoreAfterExport", bound=(
    _Nothing3 | _Self3 | _Experiment2 | _SelfExperiment2 | _Export | _SelfExport | _ExperimentExport |
    _SelfExperimentExport
))
def expcore_after_export(function: _ExpcoreAfterExport, /) -> _ExpcoreAfterExport:
    """Marks an implementation of ``expcore_after_export(experiment, export)``."""
    return marked(function, "expcore_after_export")

_ExpcoreFailed = TypeVar("_ExpcoreFailed", bound=(
    _Nothing3 | _Self3 | _Experiment2 | _SelfExperiment2 | _Error | _SelfError | _ExperimentError |
    _SelfExperimentError
))
def expcore_failed(function: _ExpcoreFailed, /) -> _ExpcoreFailed:
    """Marks an implementation of ``expcore_failed(experiment, error)``."""
    return marked(function, "expcore_failed")
