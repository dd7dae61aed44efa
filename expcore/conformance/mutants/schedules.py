"""Schedules that break one promise each."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

from expcore.conformance.case import Sample
from expcore.conformance.mutants.mutant import Mutant, Proof
from expcore.conformance.mutants.schedule_references import Follow, InParts, Serve
from expcore.conformance.mutants.schedules_rude import RUDE
from expcore.errors import StoppedBySignal
from expcore.types import Checkpoint, TrainingEnd

_LOG = logging.getLogger(__name__)


class _Hook:
    """Does nothing, but is there."""

    def end(self, run: Any) -> None:
        """Nothing to do."""


# --- being run ---------------------------------------------------------------------------------------------


def _by_position(experiment: Any, steps: int = 4, /) -> Any:
    return InParts()(experiment, steps)


def _needs_steps(experiment: Any, steps: int) -> Any:
    return InParts()(experiment, steps)


class _WantsACheckpoint(InParts):
    def begin(self, experiment: Any) -> None:
        super().begin(experiment)
        _LOG.info("going on from %s", experiment.latest_checkpoint().path)


class _NeverEnds(Follow):
    def over(self, experiment: Any) -> TrainingEnd | None:
        return None


class _DividesTrainSteps(InParts):
    def begin(self, experiment: Any) -> None:
        super().begin(experiment)
        _LOG.info("every %d steps", experiment.train_steps // 10)


class _ListsCheckpoints(InParts):
    def begin(self, experiment: Any) -> None:
        super().begin(experiment)
        _LOG.info("%d checkpoints", len(experiment.estimator.checkpoints()))


class _NamesItsEvaluations(InParts):
    def evaluate(self, experiment: Any, last: Checkpoint) -> Any:
        recorded = experiment.history.evaluated(last, "eval", "mine")
        return dict(recorded.metrics) if recorded else experiment.evaluate_pass(last.path, name="mine")


class _LeaksHooks(InParts):
    def begin(self, experiment: Any) -> None:
        super().begin(experiment)
        experiment.extend_train_hooks([_Hook()])


class _LeaksEvalHooks(InParts):
    def begin(self, experiment: Any) -> None:
        super().begin(experiment)
        experiment.extend_eval_hooks([_Hook()])


class _KeepsHooks(InParts):
    def __init__(self) -> None:
        self._hooks: list[Any] = []

    def train(self, experiment: Any, n: int) -> int:
        self._hooks.append(_Hook())
        return int(experiment.train_pass(steps=n, hooks=self._hooks).steps) if n > 0 else 0


class _TakesExportersAway(InParts):
    def end(self, experiment: Any) -> None:
        experiment.reset_export_strategies()


class _ChangesTheDirectory(InParts):
    def end(self, experiment: Any) -> None:
        os.chdir(experiment.model_dir)


class _SetsTheEnvironment(InParts):
    def end(self, experiment: Any) -> None:
        os.environ["LAST_STEP"] = str(self.step(experiment))


class _HandlesSignals(InParts):
    def begin(self, experiment: Any) -> None:
        super().begin(experiment)
        signal.signal(signal.SIGTERM, lambda number, _frame: experiment.interrupt(number))


class _WritesASummary(InParts):
    def end(self, experiment: Any) -> None:
        Path(experiment.model_dir, "summary.txt").write_text(str(self.step(experiment)))


class _WritesWhereItStands(InParts):
    def end(self, experiment: Any) -> None:
        Path("last.txt").write_text(str(self.step(experiment)))


# --- the log, once and not less ----------------------------------------------------------------------------


class _TrainsBeside(InParts):
    def train(self, experiment: Any, n: int) -> int:
        if n > 0:
            experiment.estimator.train(experiment.train_input_fn, steps=n)
        return n

    def step(self, experiment: Any) -> int:
        latest = experiment.latest_checkpoint()
        recorded = experiment.history.evaluated(latest) if latest is not None else None
        return recorded.step if recorded is not None else super().step(experiment)


class _EvaluatesBeside(InParts):
    def evaluate(self, experiment: Any, last: Checkpoint) -> Any:
        estimator, result = experiment.estimator, dict[str, Any]()
        for data in experiment.eval_sets.values():
            result |= estimator.evaluate(data, experiment.eval_steps, checkpoint_path=last.path)
        return result


class _ExportsBeside(InParts):
    def export(self, experiment: Any, result: Any, last: Checkpoint, final: bool) -> None:
        for exporter in experiment.export_strategies:
            base = os.path.join(experiment.model_dir, "export", exporter.name)
            exporter.export(experiment.estimator, base, last.path, result, final)


class _Overshoots(InParts):
    def left(self, experiment: Any, steps: int) -> int:
        return steps if super().left(experiment, steps) > 0 else 0


class _OneStepAtLeast(InParts):
    def train(self, experiment: Any, n: int) -> int:
        return super().train(experiment, max(n, 1))


class _EvaluatesAgainAtTheEnd(InParts):
    def export(self, experiment: Any, result: Any, last: Checkpoint, final: bool) -> None:
        if self.left(experiment, 1) == 0:
            result = experiment.evaluate_pass(last.path)
        super().export(experiment, result, last, final)


class _LeavesTheLastOneOut(InParts):
    def evaluate(self, experiment: Any, last: Checkpoint) -> Any:
        complete = self.left(experiment, 1) == 0
        return None if complete else super().evaluate(experiment, last)

    def export(self, experiment: Any, result: Any, last: Checkpoint, final: bool) -> None:
        if result is not None:
            super().export(experiment, result, last, final)


class _ForgetsWhatWasEvaluated(InParts):
    def evaluate(self, experiment: Any, last: Checkpoint) -> Any:
        return experiment.evaluate_pass(last.path)


class _ExportsWithAnOldResult(InParts):
    def begin(self, experiment: Any) -> None:
        super().begin(experiment)
        self._before: Any = None

    def export(self, experiment: Any, result: Any, last: Checkpoint, final: bool) -> None:
        super().export(experiment, self._before or result, last, final)
        self._before = result


class _ExportsFirst(InParts):
    def evaluate(self, experiment: Any, last: Checkpoint) -> Any:
        experiment.export_pass(None, last.path)
        return super().evaluate(experiment, last)


class _NeverFinal(InParts):
    def export(self, experiment: Any, result: Any, last: Checkpoint, final: bool) -> None:
        super().export(experiment, result, last, False)


class _AlwaysFinal(InParts):
    def export(self, experiment: Any, result: Any, last: Checkpoint, final: bool) -> None:
        super().export(experiment, result, last, True)


class _ForgetsWhatWasMissed(InParts):
    def begin(self, experiment: Any) -> None:
        self.wait(experiment)


# --- being stopped -----------------------------------------------------------------------------------------


class _SwallowsSignals(InParts):
    def __call__(self, experiment: Any, steps: int = 4, go_on_predicate_fn: Any = None) -> Any:
        try:
            return super().__call__(experiment, steps, go_on_predicate_fn)
        except StoppedBySignal:
            return None


class _SwallowsCtrlC(InParts):
    def __call__(self, experiment: Any, steps: int = 4, go_on_predicate_fn: Any = None) -> Any:
        try:
            return super().__call__(experiment, steps, go_on_predicate_fn)
        except KeyboardInterrupt:
            return None


class _SleepsThroughSignals(InParts):
    def wait(self, experiment: Any) -> None:
        experiment.clock.sleep(experiment.eval_delay_secs)


class _WholePartsOnly(InParts):
    def left(self, experiment: Any, steps: int) -> int:
        return 5 if super().left(experiment, 5) == 5 else 0


# --- asking, following, serving ----------------------------------------------------------------------------


class _AsksTooLate(InParts):
    def ask(self, predicate: Any, result: Any, last: Checkpoint | None, experiment: Any) -> bool:
        return result is None or super().ask(predicate, result, last, experiment)


class _DoesNotListen(InParts):
    def ask(self, predicate: Any, result: Any, last: Checkpoint | None, experiment: Any) -> bool:
        super().ask(predicate, result, last, experiment)
        return True


class _AsksOnce(InParts):
    def ask(self, predicate: Any, result: Any, last: Checkpoint | None, experiment: Any) -> bool:
        return result is not None or super().ask(predicate, result, last, experiment)


class _AsksWithNone(InParts):
    def ask(self, predicate: Any, result: Any, last: Checkpoint | None, experiment: Any) -> bool:
        return super().ask(predicate, None, last, experiment)


class _AsksWithTheResultAlone(InParts):
    def ask(self, predicate: Any, result: Any, last: Checkpoint | None, experiment: Any) -> bool:
        return predicate is None or bool(predicate(result))


class _TakesAnOldEnd(Follow):
    def over(self, experiment: Any) -> TrainingEnd | None:
        ends = experiment.history.training_ends
        return ends[-1] if ends and ends[-1].over else None


class _TakesACutForTheEnd(Follow):
    _known: int | None = None

    def over(self, experiment: Any) -> TrainingEnd | None:
        ends = experiment.history.training_ends
        if self._known is None:
            self._known = len(ends)
        return super().over(experiment) or (ends[-1] if len(ends) > self._known else None)


class _NamesNothing(Serve):
    def address(self, config: Any) -> str:
        return str(config.cluster_spec[config.task_type][config.task_id])


class _ListensElsewhere(Serve):
    def listen(self, address: str) -> AbstractContextManager[Any]:
        return super().listen("127.0.0.1:0")


class _HangsUp(Serve):
    def listen(self, address: str) -> AbstractContextManager[Any]:
        server = super().listen(address)
        with server:
            return closing(_Closed())


class _Closed:
    def close(self) -> None:
        """Is closed."""


def _of(make: Callable[..., Any]) -> Sample:
    return Sample(factory=make)


PROOF = Proof(
    references={"in_parts": _of(InParts), "follow": _of(Follow), "serve": _of(Serve)},
    mutants=(
        Mutant("SCH-001", "is a number", _of(lambda: 3)),
        Mutant("SCH-001", "takes nothing", Sample(component=lambda: None)),
        Mutant("SCH-001", "takes an option by position only", Sample(component=_by_position)),
        Mutant("SCH-002", "needs an option", Sample(component=_needs_steps, options={"steps": 4})),
        Mutant("SCH-003", "wants a checkpoint", _of(_WantsACheckpoint)),
        Mutant("SCH-003", "never ends", _of(_NeverEnds)),
        Mutant("SCH-004", "computes with train_steps", _of(_DividesTrainSteps)),
        Mutant("SCH-005", "asks the estimator for more", _of(_ListsCheckpoints)),
        Mutant("SCH-006", "gives evaluations a name", _of(_NamesItsEvaluations)),
        Mutant("SCH-007", "leaks hooks", _of(_LeaksHooks)),
        Mutant("SCH-007", "leaks hooks of evaluations", _of(_LeaksEvalHooks)),
        Mutant("SCH-007", "keeps hooks for the next call", _of(_KeepsHooks)),
        Mutant("SCH-007", "takes the exporters away", _of(_TakesExportersAway)),
        Mutant("SCH-008", "changes the working directory", _of(_ChangesTheDirectory)),
        Mutant("SCH-008", "sets a variable of the environment", _of(_SetsTheEnvironment)),
        Mutant("SCH-008", "handles signals itself", _of(_HandlesSignals)),
        Mutant("SCH-009", "writes into the model directory", _of(_WritesASummary)),
        Mutant("SCH-009", "writes into the working directory", _of(_WritesWhereItStands)),
        Mutant("SCH-011", "trains by the estimator", _of(_TrainsBeside)),
        Mutant("SCH-012", "evaluates by the estimator", _of(_EvaluatesBeside)),
        Mutant("SCH-013", "exports by the exporters", _of(_ExportsBeside)),
        Mutant("SCH-014", "overshoots", _of(_Overshoots)),
        Mutant("SCH-014", "makes a step where training is complete", _of(_OneStepAtLeast)),
        Mutant("SCH-015", "evaluates a checkpoint twice", _of(_EvaluatesAgainAtTheEnd)),
        Mutant("SCH-016", "leaves the last checkpoint out", _of(_LeavesTheLastOneOut)),
        Mutant("SCH-017", "evaluates again after a restart", _of(_ForgetsWhatWasEvaluated)),
        Mutant("SCH-018", "exports with an old result", _of(_ExportsWithAnOldResult)),
        Mutant("SCH-018", "exports before it evaluates", _of(_ExportsFirst)),
        Mutant("SCH-019", "calls no export final", _of(_NeverFinal)),
        Mutant("SCH-019", "calls every export final", _of(_AlwaysFinal)),
        Mutant("SCH-020", "forgets what was missed", _of(_ForgetsWhatWasMissed)),
        Mutant("SCH-023", "swallows signals", _of(_SwallowsSignals)),
        Mutant("SCH-023", "swallows Ctrl-C", _of(_SwallowsCtrlC)),
        Mutant("SCH-024", "sleeps through signals", _of(_SleepsThroughSignals)),
        Mutant("SCH-025", "trains whole parts only", _of(_WholePartsOnly)),
        Mutant("SCH-026", "asks too late", _of(_AsksTooLate)),
        Mutant("SCH-026", "does not listen to the answer", _of(_DoesNotListen)),
        Mutant("SCH-027", "asks once", _of(_AsksOnce)),
        Mutant("SCH-027", "asks with None every time", _of(_AsksWithNone)),
        Mutant("SCH-028", "asks with the result alone", _of(_AsksWithTheResultAlone)),
        Mutant("SCH-029", "takes an old end for the end", _of(_TakesAnOldEnd)),
        Mutant("SCH-029", "takes a cut for the end", _of(_TakesACutForTheEnd)),
        Mutant("SCH-030", "does not say what is missing", _of(_NamesNothing)),
        Mutant("SCH-031", "listens elsewhere", _of(_ListensElsewhere)),
        Mutant("SCH-031", "hangs up", _of(_HangsUp)),
        *RUDE,
    ),
)
