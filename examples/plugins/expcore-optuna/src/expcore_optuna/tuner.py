"""OptunaTuner: runs the trials of an Optuna study with ``expcore.tune``."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from expcore.cluster import RunConfig
from expcore.errors import InvalidArgument, InvalidType, one_line
from expcore.experiment import Experiment
from expcore.metrics import value_of
from expcore.owner import Owner
from expcore.run import signals_interrupt
from expcore.types import History, Metrics
from expcore_optuna.pruner import OptunaPruner
from expcore_optuna.trials import check_study, recorded, trial_of

if TYPE_CHECKING:
    import optuna
    from optuna.trial import Trial

_LOG = logging.getLogger(__name__)
_SUBJECT = "OptunaTuner"
_OWNER = "expcore_owner"
_PLACE = "expcore_model_dir"


class OptunaTuner:
    """Runs a study's trials, each in a directory of its own, and prunes them.

    For ``expcore.tune(experiment_fn, tuner)``. Each trial is one run of a schedule that asks ``OptunaPruner``
    whether to go on. A trial whose run the pruner ended is told to the study as PRUNED; one that ended
    otherwise as COMPLETE with its value, or as FAIL where no evaluation is finite; one that raised as FAIL.

    With a storage that lasts, a process that was killed or interrupted leaves its trial as RUNNING. The next
    tuner on the same machine goes on with it from its last checkpoint. So the same program again does what is
    left of ``n_trials``, or nothing. Several processes may work on one study; in one process one tuner at a
    time.

    Args:
        study: an Optuna study with one objective.
        n_trials: how many trials the study is to have, whatever came of them, > 0; those that are only
            enqueued do not count.
        suggest: ``(trial) -> mapping`` gives a trial's parameters, by ``trial.suggest_float`` and so on; they
            are the ``hparams`` of ``experiment_fn(run_config, hparams)``.
        model_dir: where the trials' directories go, as ``trial-0``.
        metric: the evaluation metric that is optimised.
        mode: "min" (lower is better) or "max"; None: worked out from the name. It has to be the study's
            direction.
        value: "best": a trial's value is its best evaluation's; "last": its last one's.
        schedule: the schedule of a trial; it needs the option ``continuous_eval_predicate_fn``.
        run_config: the RunConfig of every trial but for its ``model_dir``; None: ``RunConfig()``.
        catch: errors that end a trial but not the tuning.

    Raises:
        InvalidType: ``study`` is none, or ``suggest`` no function.
        InvalidArgument: another argument is not as above.
    """

    def __init__(
        self,
        study: optuna.Study,
        n_trials: int,
        suggest: Callable[[Trial], Mapping[str, Any]],
        model_dir: str | os.PathLike[str],
        *,
        metric: str = "loss",
        mode: str | None = None,
        value: str = "best",
        schedule: str = "continuous_train_and_evaluate",
        run_config: RunConfig | None = None,
        catch: tuple[type[Exception], ...] = (),
    ) -> None:
        from optuna import Study

        if not isinstance(study, Study):
            raise InvalidType(f"{_SUBJECT}: study is {study!r}; give one, as optuna.create_study()")
        if isinstance(n_trials, bool) or not isinstance(n_trials, int) or n_trials < 1:
            raise InvalidArgument(f"{_SUBJECT}: n_trials is {n_trials!r}; it must be a whole number > 0")
        if not callable(suggest):
            raise InvalidType(f"{_SUBJECT}: suggest is {suggest!r}; give a function (trial) -> parameters")
        if value not in ("best", "last"):
            raise InvalidArgument(f"{_SUBJECT}: value is {value!r}; it must be 'best' or 'last'")
        self.study, self.n_trials, self._suggest = study, n_trials, suggest
        self._model_dir = os.path.abspath(os.fspath(model_dir))
        self._metric, self._mode = metric, check_study(study, metric, mode, _SUBJECT)
        self._value, self._schedule, self._catch = value, schedule, catch
        self._run_config = run_config or RunConfig()
        self._trial: Trial | None = None
        self._goes_on = False

    def next_trial(self) -> bool:
        """Asks the study for a trial, or takes up one of a process that ended; False where all are there."""
        from optuna.trial import TrialState

        if self._trial is not None:
            return True
        trials = self.study.get_trials(deepcopy=False)
        left = [t for t in trials if t.state == TrialState.RUNNING and self._was_left(t.user_attrs)]
        self._goes_on = bool(left)
        if left:
            self._trial = trial_of(self.study, left[0])
            _LOG.info("trial %d was left by another process; it goes on", self._trial.number)
        elif sum(t.state != TrialState.WAITING for t in trials) < self.n_trials:
            self._trial = self.study.ask()
            self._trial.set_user_attr(_PLACE, self._place(self._trial.number))
        else:
            return False
        self._trial.set_user_attr(_OWNER, Owner.current().to_dict())
        return True

    def _place(self, number: int) -> str:
        return os.path.join(self._model_dir, f"trial-{number}")

    def _was_left(self, attributes: Mapping[str, Any]) -> bool:
        owner = Owner.from_dict(attributes.get(_OWNER))
        if owner is None or os.path.dirname(attributes.get(_PLACE, "")) != self._model_dir:
            return False
        return owner == Owner.current() or owner.alive() is False

    def run_experiment(self, experiment_fn: Callable[[RunConfig, Any], Experiment]) -> None:
        """Runs the trial that ``next_trial`` chose, and tells the study what came of it.

        Args:
            experiment_fn: ``experiment_fn(run_config, hparams)``, as ``expcore.tune`` gives it.

        Raises:
            InvalidArgument: ``next_trial`` was not called before, or said False; or the directory of a new
                trial holds something already.
            Exception: what the experiment raises and ``catch`` does not have.
        """
        from optuna import TrialPruned
        from optuna.trial import TrialState

        trial, self._trial = self._trial, None
        if trial is None:
            raise InvalidArgument(f"{_SUBJECT}: there is no trial to run; call next_trial() first")
        try:
            experiment = experiment_fn(self._config(trial), dict(self._suggest(trial)))
            value = self._run(experiment, trial)
        except TrialPruned:
            self._tell(trial, TrialState.PRUNED)
        except Exception as error:  # an interruption is none: the trial stays, to be gone on with
            self._tell(trial, TrialState.FAIL)
            if not isinstance(error, self._catch):
                raise
            _LOG.warning("trial %d failed: %s", trial.number, one_line(error))
        else:
            self._tell(trial, TrialState.FAIL if value is None else TrialState.COMPLETE, value)

    def _config(self, trial: Trial) -> RunConfig:
        place = self._place(trial.number)
        if not self._goes_on and os.path.isdir(place) and os.listdir(place):
            raise InvalidArgument(
                f"{_SUBJECT}: {place} holds another run, whose results trial {trial.number} of study "
                f"{self.study.study_name!r} would take over; give another model_dir, or delete it"
            )
        return self._run_config.replace(model_dir=place)

    def _run(self, experiment: Experiment, trial: Trial) -> float | None:
        """Runs the schedule and returns the trial's value.

        Raises:
            optuna.TrialPruned: the pruner ended it.
        """
        from optuna import TrialPruned

        pruner = OptunaPruner(trial, self._metric, self._mode)
        verdicts: list[bool] = []

        def goes_on(eval_result: Metrics | None, *, history: History | None = None) -> bool:
            verdicts.append(pruner(eval_result, history=history))
            return verdicts[-1]

        with signals_interrupt(experiment):
            experiment.run(self._schedule, continuous_eval_predicate_fn=goes_on)
        history = experiment.history
        pruner.report(None, history=history)  # a schedule does not ask after the last evaluation
        if verdicts and not verdicts[-1]:
            raise TrialPruned
        if self._value == "best":
            best = history.best(self._metric, self._mode)
            return None if best is None else float(best.metrics[self._metric])
        if not history.evaluations:
            return None
        return value_of(history.evaluations[-1].metrics, self._metric, _SUBJECT)

    def _tell(self, trial: Trial, state: optuna.trial.TrialState, value: float | None = None) -> None:
        self.study.tell(trial, value, state)
        told = recorded(trial)
        _LOG.info("trial %d: %s, value %s, %s", trial.number, told.state.name, told.value, told.params)
