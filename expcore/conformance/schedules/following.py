"""The promises of a schedule that asks a predicate, waits for a training, or is a server."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from expcore import events as ev
from expcore.cluster import ClusterTask
from expcore.conformance.schedules.case import EVERY, FINISHED, TOTAL, ScheduleCase, Trial
from expcore.conformance.schedules.running import clauses
from expcore.errors import ServerUnavailable, one_line

PREDICATES = "writing-a-plugin.md#a-predicate"

LATER = 2 * TOTAL
"""``train_steps`` of an experiment whose directory has a training up to ``TOTAL``: there is more to do."""

CUT_AT_SECS, END_AT_SECS = 100.0, 300.0


class Asked:
    """A predicate that keeps what it was asked.

    Args:
        yes: so many times it goes on.
    """

    def __init__(self, yes: int) -> None:
        self._yes = yes
        self.calls: list[Any] = []
        self.checkpoints: list[Any] = []
        self.histories: list[Any] = []

    def __call__(self, eval_result: Any, checkpoint_path: Any = None, history: Any = None) -> bool:
        """Goes on so many times."""
        self.calls.append(eval_result if eval_result is None else dict(eval_result))
        self.checkpoints.append(checkpoint_path)
        self.histories.append(history)
        return len(self.calls) <= self._yes


@clauses.must(26, after=(3,), forms=("asks",), page=PREDICATES, hint="ask before each round, first with None")
def asks_its_predicate_first(case: ScheduleCase) -> None:
    """It asks its predicate with None before it does anything, and does nothing where that says no."""
    for option in case.predicates():
        trial, predicate = _asked(case, option, yes=0)
        case.require(trial.returned, f"the predicate said no at once; {trial.told}", "it returns")
        case.require(predicate.calls[:1] == [None], f"{option} was asked {predicate.calls}", "None first")
        did = len(trial.estimator.looks), trial.estimator.steps
        case.require(
            did == (0, 0),
            f"the predicate said no at once; {did[0]} evaluations and {did[1]} steps were made",
            "none",
        )


@clauses.must(
    27,
    after=(12, 26),
    forms=("asks",),
    page=PREDICATES,
    hint="ask before each round, with the last result or {}",
)
def asks_its_predicate_after_each_round(case: ScheduleCase) -> None:
    """It asks its predicate after each round, with the result or ``{}``, and ends where it says no."""
    for option in case.predicates():
        trial, predicate = _asked(case, option, yes=1)
        case.require(trial.returned, f"the predicate said no after one round; {trial.told}", "it returns")
        case.require(len(predicate.calls) == 2, f"{option} was asked {len(predicate.calls)} times", "twice")
        recorded = [dict(event.data["metrics"]) for event in trial.events(ev.EVALUATED)]
        case.require(
            isinstance(predicate.calls[1], Mapping) and predicate.calls[1] in (recorded or [{}]),
            f"after a round {option} was asked with {predicate.calls[1]}",
            f"the recorded result, {recorded[0] if recorded else {}}",
        )
        case.require(len(recorded) <= 1, f"it made {len(recorded)} rounds though the predicate said no")


@clauses.must(
    28,
    after=(27,),
    forms=("asks",),
    page=PREDICATES,
    hint="expcore.calling.ask_predicate(predicate, result, checkpoint_path, experiment.history)",
)
def gives_its_predicate_what_it_names(case: ScheduleCase) -> None:
    """It gives its predicate ``checkpoint_path`` and ``history``, as it names them."""
    for option in case.predicates():
        trial, predicate = _asked(case, option, yes=1)
        looks = trial.estimator.looks
        case.require(None not in predicate.histories, f"{option} was asked without history")
        if looks:
            case.require(
                predicate.checkpoints[1] == looks[0].path,
                f"{option} was asked with checkpoint_path={predicate.checkpoints[1]!r}",
                f"the evaluated one, {looks[0].path!r}",
            )


def _asked(case: ScheduleCase, option: str, yes: int) -> tuple[Trial, Asked]:
    predicate = Asked(yes)
    trial = case.trial(FINISHED, train_steps=LATER, options={option: predicate})
    return trial.run(), predicate


@clauses.must(
    29,
    after=(3,),
    forms=("follows",),
    page="concepts.md#end-of-training-for-those-who-wait",
    hint="expcore.passes.heartbeat.TrainingWatch has this rule",
)
def knows_when_training_is_over(case: ScheduleCase) -> None:
    """It waits until a training that it saw is over, whatever ended before or was cut.

    Neither the end of an older training nor one that was cut by an error sends it home, unless the step has
    reached ``train_steps``.
    """
    folder = case.folder / "training"
    folder.mkdir()
    case.train(folder, EVERY)
    trial = case.trial(FINISHED, folder, train_steps=None)
    trial.clock.deeds[CUT_AT_SECS] = lambda: case.train(folder, TOTAL, cut=True)
    trial.clock.deeds[END_AT_SECS] = lambda: case.train(folder, LATER)
    trial.run()
    if trial.experiment.timed_out:
        return
    case.require(trial.returned, f"a training that it saw ended; {trial.told}", "it returns")
    ended = trial.clock.monotonic()
    case.require(
        ended >= END_AT_SECS,
        f"it ended after {ended:g} seconds, when a training had ended before it began, and another was cut "
        f"after {CUT_AT_SECS:g}",
        f"it waits for the one that ends after {END_AT_SECS:g}",
    )


@clauses.must(
    30,
    after=(1,),
    capability="serves",
    forms=("serves",),
    hint="look at experiment.config before anything else, and say what it lacks",
)
def refuses_without_a_cluster(case: ScheduleCase) -> None:
    """It ends with a ValueError that names ``cluster_spec`` where the config has no cluster."""
    trial = case.trial(config={"task": ClusterTask()}).run()
    error = trial.error
    case.require(
        isinstance(error, ValueError) and "cluster_spec" in str(error),
        f"without a cluster {trial.told}",
        "a ValueError such as InvalidArgument, which names cluster_spec",
    )


@clauses.must(
    31,
    after=(3, 30),
    capability="serves",
    forms=("serves",),
    hint="the address is experiment.config.cluster_spec[task_type][task_id]",
)
def listens_while_training_goes_on(case: ScheduleCase) -> None:
    """It listens at the address of its task while training goes on."""
    folder = case.folder / "training"
    folder.mkdir()
    trial = case.trial(folder=folder)
    config = trial.experiment.config
    address = config.cluster_spec[config.task_type][config.task_id]
    found: list[bool] = []
    trial.clock.deeds[CUT_AT_SECS] = lambda: found.append(_listens(address))
    trial.clock.deeds[END_AT_SECS] = lambda: case.train(folder, TOTAL)
    trial.run()
    if isinstance(trial.error, ServerUnavailable):
        case.skip(one_line(trial.error))
    case.require(found, f"it ended before the training did; {trial.told}")
    case.require(found == [True], f"nobody listened at {address}")


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as asking:
        return asking.connect_ex((host, int(port))) == 0
