"""The predicate optuna_pruner: reports evaluations to an Optuna trial, until that should be pruned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from expcore.errors import InvalidArgument
from expcore.metrics import direction, value_of
from expcore.types import History, Metrics
from expcore_optuna.trials import check_study, find_trial, make_pruner, recorded

if TYPE_CHECKING:
    from optuna.trial import Trial

_SUBJECT = "predicate 'optuna_pruner'"
_VERDICT = "expcore_verdict"


class OptunaPruner:
    """Reports each evaluation to a trial, and goes on until the study's pruner says that it should end.

    With a history it reports every evaluation that the trial does not have yet, so that nothing is missing
    after a restart. All that it knows is in the study: what was reported, and what the pruner said of the
    last report, kept as the trial's user attribute "expcore_verdict", since some pruners answer only once.
    NaN is reported as it is; most pruners end a trial for it.

    It does not finish the trial: ``OptunaTuner`` does, or who asked for it, with ``study.tell``.

    Args:
        trial: a live ``optuna.Trial``, or the number of a trial that another process has asked for.
        metric: the evaluation metric to report; of another set than the main one ``<set>/<metric>``.
        mode: "min" (lower is better) or "max"; None: worked out from the name by
            ``expcore.metrics.direction``. It has to be the study's direction.
        storage: the address of the study's storage, as ``sqlite:///study.db``, where ``trial`` is a number.
        study_name: the study's name, where ``trial`` is a number.
        pruner: the name of a class in ``optuna.pruners``, where ``trial`` is a number, since storages do not
            keep pruners; None: Optuna's default, ``MedianPruner()``.
        pruner_options: its keyword arguments; None: none.

    Raises:
        InvalidArgument: there is no trial, or not all that is needed to find it; the metric's name does not
            tell the direction; the study has the other one or several objectives; the pruner cannot be made.
    """

    def __init__(
        self,
        trial: Trial | int | None = None,
        metric: str = "loss",
        mode: str | None = None,
        storage: str | None = None,
        study_name: str | None = None,
        pruner: str | None = None,
        pruner_options: Mapping[str, Any] | None = None,
    ) -> None:
        from optuna.trial import Trial

        self._trial: Trial | None = None
        self._number, self._storage, self._study_name, self._pruner = -1, "", "", None
        if isinstance(trial, Trial):
            _check_alone(storage, study_name, pruner, pruner_options)
            self._trial = trial
        else:
            self._number, self._storage, self._study_name = _check_address(trial, storage, study_name)
            self._pruner = make_pruner(pruner, pruner_options, _SUBJECT)
        self.metric, self.mode = metric, mode
        direction(metric, mode)
        if self._trial is not None:
            check_study(self._trial.study, metric, mode, _SUBJECT)

    @property
    def trial(self) -> Trial:
        """The trial; one that is given as a number is looked up when it is first needed.

        Raises:
            InvalidArgument: it is not there, or its study does not fit the metric.
        """
        if self._trial is None:
            trial = find_trial(self._storage, self._study_name, self._number, self._pruner, _SUBJECT)
            check_study(trial.study, self.metric, self.mode, _SUBJECT)
            self._trial = trial
        return self._trial

    def __call__(self, eval_result: Metrics | None, *, history: History | None = None) -> bool:
        """Reports what is new and returns whether to go on; True where nothing was reported yet.

        Raises:
            UnknownMetric: an evaluation lacks the metric.
            InvalidArgument: the trial is finished but not pruned, and there is something new to report.
        """
        trial = self.trial
        self.report(eval_result, history=history)
        now = recorded(trial)
        if now.state.name == "PRUNED":
            return False
        if now.last_step is None:
            return True
        verdict = now.user_attrs.get(_VERDICT)
        if verdict is None or verdict["step"] != now.last_step:
            if now.state.is_finished():
                return True
            verdict = {"step": now.last_step, "prune": bool(trial.should_prune())}
            trial.set_user_attr(_VERDICT, verdict)
        return not verdict["prune"]

    def report(self, eval_result: Metrics | None, *, history: History | None = None) -> None:
        """Reports what the trial does not have yet, without asking the pruner.

        Raises:
            UnknownMetric, InvalidArgument: as a call.
        """
        trial = self.trial
        now = recorded(trial)
        new = {
            step: value
            for step, value in self._evaluations(eval_result, history)
            if step not in now.intermediate_values
        }
        if not new or now.state.name == "PRUNED":
            return
        if now.state.is_finished():
            raise InvalidArgument(
                f"{_SUBJECT}: trial {now.number} is finished ({now.state.name}), and step {min(new)} cannot "
                "be reported to it; ask the study for another trial"
            )
        for step, value in sorted(new.items()):
            trial.report(value, step)

    def _evaluations(
        self, eval_result: Metrics | None, history: History | None
    ) -> Iterator[tuple[int, float]]:
        if history is not None:
            for evaluation in history.evaluations:
                yield evaluation.step, value_of(evaluation.metrics, self.metric, _SUBJECT)
        elif eval_result:
            step = value_of(eval_result, "global_step", _SUBJECT)
            yield int(step), value_of(eval_result, self.metric, _SUBJECT)


def _check_alone(*others: object) -> None:
    if any(other is not None for other in others):
        raise InvalidArgument(
            f"{_SUBJECT}: storage, study_name, pruner or pruner_options is given beside a live trial, whose "
            "study has its own; leave them out, or give the trial's number"
        )


def _check_address(trial: object, storage: str | None, study_name: str | None) -> tuple[int, str, str]:
    """Returns number, storage and study of a trial that is to be looked up."""
    given = {"trial": trial, "storage": storage, "study_name": study_name}
    missing = [name for name, value in given.items() if value is None or value == ""]
    if missing or not storage or not study_name:
        raise InvalidArgument(
            f"{_SUBJECT}: {' and '.join(missing)} is missing; in Python give a live trial, as "
            "OptunaPruner(study.ask()); in a configuration give trial (a number), storage and study_name of "
            "one that was asked for, as by `optuna ask`"
        )
    if isinstance(trial, bool) or not isinstance(trial, int) or trial < 0:
        raise InvalidArgument(
            f"{_SUBJECT}: trial is {trial!r}; it must be an optuna.Trial, or a number of at least 0"
        )
    return trial, storage, study_name
