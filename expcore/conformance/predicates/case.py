"""What a clause of predicates is tried on: a training that really ran, looked at from each of its points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from expcore.calling import call_naming, parameters
from expcore.cluster import RunConfig
from expcore.conformance.case import Case, PatientClock
from expcore.conformance.predicates.scripted import SHORT, USUAL, script
from expcore.conformance.provided import own_estimator
from expcore.conformance.setting import endless_data, linear_data, small_experiment
from expcore.experiment import Experiment
from expcore.testing.numpy_estimator import NumpyEstimator
from expcore.types import History

STEPS = 10
"""Training steps of a round."""


@dataclass(frozen=True)
class Moment:
    """What a schedule knows when it asks: the last result, its checkpoint, and the log as of then."""

    eval_result: Mapping[str, Any] | None
    checkpoint_path: str | None
    history: History

    @property
    def told(self) -> str:
        """The moment in words."""
        if self.eval_result is None:
            return "before the first evaluation (None)"
        if not self.eval_result:
            return "after a round without a result ({})"
        return f"after the evaluation at step {self.eval_result['global_step']}"


class PredicateCase(Case):
    """Asks predicates as schedules do."""

    def ask(self, predicate: Any, moment: Moment) -> Any:
        """Returns what a predicate answers, as it gave it."""
        offered = {"checkpoint_path": moment.checkpoint_path, "history": moment.history}
        return call_naming(predicate, moment.eval_result, **offered)

    def verdict(self, predicate: Any, moment: Moment) -> bool:
        """Returns whether a predicate goes on; a Violation where it raises."""
        known = [evaluation.metrics for evaluation in moment.history.evaluations[-1:]]
        names = ", ".join(sorted({name for metrics in known for name in metrics}))
        expected = f"an answer from {names}; where it needs another metric give estimator= that has it"
        with self.no_error(f"asked {moment.told}, it", expected if names else ""):
            return bool(self.ask(predicate, moment))
        raise AssertionError  # no_error raises; this line is for the type checker

    def experiment(self, levels: Sequence[float]) -> Experiment:
        """Returns an experiment whose training is real, and whose evaluations come out as the levels say."""
        clock, model_dir = PatientClock(), str(self.folder / "model")
        estimator = own_estimator(self.sample, model_dir, clock)
        if estimator is None:
            config = RunConfig(model_dir=model_dir, keep_checkpoint_max=0)
            estimator = NumpyEstimator(model_dir, config, clock=clock)
            script(estimator, levels, USUAL)
        else:
            script(estimator, levels, {})
        return small_experiment(
            self.folder,
            estimator,
            train_input_fn=self.sample.train_input_fn or endless_data,
            eval_input_fn=self.sample.eval_input_fn or self.sample.train_input_fn or linear_data,
            clock=clock,
        )

    def moments(self, levels: Sequence[float] = SHORT) -> list[Moment]:
        """Returns the moments of a training, in order: None first, then each result.

        After the second there is one without a result.

        Args:
            levels: how good the model is after each round.
        """
        experiment = self.experiment(levels)
        found = [Moment(None, None, experiment.history)]
        for n in range(len(levels)):
            experiment.train_pass(steps=STEPS)
            result = experiment.evaluate_pass()
            latest = experiment.latest_checkpoint()
            found.append(Moment(result, latest.path if latest else None, experiment.history))
            if n == 1:
                found.append(Moment({}, latest.path if latest else None, experiment.history))
        return found

    def required(self, predicate: Any) -> list[str]:
        """Returns the parameters without default that a schedule does not give."""
        given = ("checkpoint_path", "history")
        found = [p for p in parameters(predicate).values() if p.default is p.empty]
        found = [p for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        positional = [p for p in found if p.kind is not p.KEYWORD_ONLY and p.name not in given]
        return [
            p.name
            for p in [*positional[1:], *(p for p in found if p.kind is p.KEYWORD_ONLY)]
            if p.name not in given
        ]
