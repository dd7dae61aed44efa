"""Trials of an Optuna study: found by number, what is recorded of them, and whether they fit a metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from expcore.errors import InvalidArgument, listing, nearest, one_line
from expcore.metrics import direction

if TYPE_CHECKING:  # what only lists plugins should not wait for Optuna
    import optuna
    from optuna.pruners import BasePruner
    from optuna.trial import FrozenTrial, Trial


def make_pruner(name: str | None, options: Mapping[str, Any] | None, subject: str) -> BasePruner | None:
    """Returns a pruner of Optuna; None where none is named.

    Raises:
        InvalidArgument: there is none of this name, or it refuses the options.
    """
    if name is None:
        if options is not None:
            raise InvalidArgument(f"{subject}: pruner_options are given without pruner; give both")
        return None
    import optuna

    known = [n for n in optuna.pruners.__all__ if n != "BasePruner"]
    if name not in known:
        raise InvalidArgument(
            f"{subject}: pruner {name!r} is none of optuna.pruners{nearest(str(name), known)}; there are "
            f"{listing(known)}"
        )
    try:
        return getattr(optuna.pruners, name)(**(options or {}))  # type: ignore[no-any-return]
    except (TypeError, ValueError) as error:
        raise InvalidArgument(
            f"{subject}: pruner {name!r} refuses the pruner_options {options!r} ({one_line(error)})"
        ) from error


def find_trial(storage: str, study_name: str, number: int, pruner: BasePruner | None, subject: str) -> Trial:
    """Opens a trial that another process has asked for.

    Args:
        storage: the address of the study's storage.
        study_name: the study's name.
        number: the trial's number.
        pruner: what is asked; None: Optuna's default.
        subject: who asks, for messages.

    Raises:
        InvalidArgument: the storage cannot be opened, or has no such study or trial.
    """
    import optuna

    try:
        study = optuna.load_study(study_name=study_name, storage=storage, pruner=pruner)
    except KeyError as error:
        there = optuna.get_all_study_names(storage)
        raise InvalidArgument(
            f"{subject}: there is no study {study_name!r} in {storage}; there are {listing(there)}"
        ) from error
    except Exception as error:  # of SQLAlchemy, or of the driver that the address names
        raise InvalidArgument(
            f"{subject}: the storage {storage} cannot be opened ({one_line(error)}); "
            "give the address that the study was created with"
        ) from error
    for frozen in study.get_trials(deepcopy=False):
        if frozen.number == number:
            return trial_of(study, frozen)
    raise InvalidArgument(
        f"{subject}: study {study_name!r} has no trial {number}, only {len(study.get_trials())} trials; ask "
        "for it first, with study.ask() or the command `optuna ask`"
    )


def trial_of(study: optuna.Study, frozen: FrozenTrial) -> Trial:
    """Returns a trial that can be reported to, of a recorded one."""
    from optuna.trial import Trial

    return Trial(study, frozen._trial_id)  # Optuna gives no other way to a trial of another process


def recorded(trial: Trial) -> FrozenTrial:
    """Returns what the study's storage has of a trial now."""
    return next(t for t in trial.study.get_trials(deepcopy=False) if t.number == trial.number)


def check_study(study: optuna.Study, metric: str, mode: str | None, subject: str) -> str:
    """Returns whether the metric is better lower ("min") or higher ("max").

    Raises:
        InvalidArgument: the study has several objectives, its direction is the other one, or the metric's
            name does not tell.
    """
    from optuna.study import StudyDirection

    if len(study.directions) != 1:
        raise InvalidArgument(
            f"{subject}: study {study.study_name!r} has {len(study.directions)} objectives; pruning needs a "
            "study with one"
        )
    wanted = direction(metric, mode)
    theirs = "max" if study.direction == StudyDirection.MAXIMIZE else "min"
    if wanted != theirs:
        better, name = ("lower", "minimize") if wanted == "min" else ("higher", "maximize")
        raise InvalidArgument(
            f"{subject}: metric {metric!r} is better when it is {better}, but study {study.study_name!r} has "
            f"the direction {study.direction.name.lower()!r}; create it with direction={name!r}, or pass "
            "mode="
        )
    return wanted
