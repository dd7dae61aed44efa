"""The promises of a schedule about being run: its signature, its end, and what it leaves as it was."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from expcore.calling import parameters
from expcore.conformance.clause import Clauses, Runaway
from expcore.conformance.schedules.case import EMPTY, EVERY, PLACES, ScheduleCase, Trial
from expcore.conformance.schedules.watched import AtStep, Data
from expcore.conformance.setting import linear_data

A_SCHEDULE = "writing-a-plugin.md#a-schedule"

clauses = Clauses("SCH", page=A_SCHEDULE)


@clauses.must(1, hint="def my_schedule(experiment, option=default): ...; the entry point names the function")
def takes_the_experiment_first(case: ScheduleCase) -> None:
    """It takes the experiment as its first argument, and everything else by keyword."""
    component = case.make()
    case.require(callable(component), f"{component!r}, which cannot be called", "a function")
    found = list(parameters(component).values())
    first = found[0] if found else None
    takes = first is not None and first.kind not in (first.KEYWORD_ONLY, first.VAR_KEYWORD)
    case.require(takes, f"its parameters are {[p.name for p in found]}", "the first one is the experiment")
    alone = [p.name for p in found[1:] if p.kind is p.POSITIONAL_ONLY]
    case.require(not alone, f"{', '.join(alone)} cannot be given by keyword")


@clauses.should(2, after=(1,), hint="give every option a default")
def needs_no_option(case: ScheduleCase) -> None:
    """It has a default for every option, so that it can be run by its name alone."""
    found = list(parameters(case.make()).values())[1:]
    needed = [
        p.name for p in found if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    case.require(not needed, f"it cannot be run without {', '.join(needed)}")


@clauses.must(3, after=(1,), forms=("runs",), hint="see the error; write a plain `def` without yield")
def runs_by_name(case: ScheduleCase) -> None:
    """It runs under its name and comes to an end, in an empty directory and beside a finished training.

    In an empty directory it may also wait for a training, or end with ``NotTrained``. What is called does the
    work: an ``async def`` or a function with ``yield`` only returns something that nobody runs.
    """
    for place in PLACES:
        trial = case.trial(place).run()
        _require_harmless(case, trial)
        case.require(
            not trial.unfinished,
            f"{trial.where} it returned a {trial.unfinished}, which nobody runs",
            "a plain function that does its work when it is called",
        )


def _require_harmless(case: ScheduleCase, trial: Trial, setting: str = "") -> None:
    case.require(trial.harmless, f"{setting}{trial.told}", "it returns")


@clauses.must(4, after=(3,), forms=("runs",), hint="use experiment.train_steps only where it is not None")
def needs_no_train_steps(case: ScheduleCase) -> None:
    """It works without ``train_steps`` too."""

    class Enough(BaseException):
        pass

    def enough() -> None:
        raise Enough

    for place in PLACES:
        # A training without an end is a good answer as well; somebody has to end it.
        trial = case.trial(place, train_steps=None, train_hooks=[AtStep(5 * EVERY, enough)]).run()
        fine = trial.harmless or isinstance(trial.error, Enough | Runaway)
        case.require(fine, f"without train_steps {trial.told}", "no error")


@clauses.must(
    5, after=(3,), forms=("runs",), hint="use experiment.latest_checkpoint(), checkpoints() and the passes"
)
def works_with_any_estimator(case: ScheduleCase) -> None:
    """It works with an estimator that has only what every estimator has.

    That is ``train`` without saving listeners, ``evaluate``, ``latest_checkpoint``, ``model_dir``.
    """
    for place in PLACES:
        _require_harmless(case, case.trial(place, bare=True).run(), "with such an estimator ")


@clauses.must(
    6,
    after=(3,),
    forms=("evaluates",),
    page="concepts.md#evaluation-sets",
    hint="call experiment.evaluate_pass without name, or use a name only for a single set",
)
def takes_several_evaluation_sets(case: ScheduleCase) -> None:
    """It works with several evaluation sets, and evaluates all of them."""
    for place in PLACES:
        main, other = Data(linear_data), Data(linear_data)
        trial = case.trial(place, eval_input_fn={"main": main, "other": other}).run()
        _require_harmless(case, trial, "with two evaluation sets ")
        case.require(
            bool(main.asked) == bool(other.asked),
            f"{trial.where} the first set was evaluated {main.asked} times, the second {other.asked} times",
        )


@clauses.must(
    7, after=(3,), forms=("runs",), hint="give hooks to one pass: experiment.train_pass(hooks=[...])"
)
def leaves_the_experiment_as_it_was(case: ScheduleCase) -> None:
    """It leaves no hooks behind, neither in the experiment nor for its next call, and no other exporters."""
    counts = []
    component = case.make()
    for place in (*PLACES, EMPTY):
        trial = case.trial(place, component=component)
        before = _parts(trial)
        trial.run()
        for name, part in _parts(trial).items():
            case.require(part == before[name], f"{name} were {before[name]} and are {part}")
        if place == EMPTY:
            counts.append(trial.estimator.hook_counts)
    case.require(
        counts[0] == counts[1],
        f"numbers of hooks that the estimator was given: {counts[0]} in the first call, {counts[1]} in the "
        "same call on another experiment",
    )


def _parts(trial: Trial) -> dict[str, Any]:
    names = ("train_hooks", "eval_hooks", "export_strategies", "saving_listeners")
    return {name: getattr(trial.experiment, name) for name in names}


@clauses.must(
    8,
    after=(3,),
    forms=("runs",),
    page="concepts.md#signals",
    hint="give paths instead of changing the directory; experiment.wait and the passes mind signals",
)
def leaves_the_process_alone(case: ScheduleCase) -> None:
    """It leaves the working directory, the environment and the handlers of signals as they were."""
    for place in PLACES:
        environ = dict(os.environ)
        trial = case.trial(place).run()
        case.require(
            trial.ended_in == trial.started_in,
            f"the working directory was {trial.started_in} and is {trial.ended_in}",
        )
        changed = sorted(dict(set(os.environ.items()) ^ set(environ.items())))
        case.require(not changed, f"variables of the environment that changed: {', '.join(changed)}")
        case.require(not trial.handled, f"it changed the handlers of {', '.join(trial.handled)}")


@clauses.should(
    9,
    after=(3,),
    forms=("runs",),
    page="concepts.md#the-model-directory",
    hint="what is to be kept is the passes' to write; return the rest",
)
def writes_by_passes_alone(case: ScheduleCase) -> None:
    """It writes no file of its own, neither into the model directory nor where it was started."""
    for place in PLACES:
        trial = case.trial(place).run()
        root = Path(trial.experiment.model_dir)
        known = {Path(path) for path in trial.estimator.checkpoints()}
        kept = [p for p in root.rglob("*") if p.is_file() and p not in known]
        own = [p for p in kept if p.relative_to(root).parts[0] not in ("expcore", "export")]
        strangers = [str(p) for p in (*own, *Path(trial.started_in).rglob("*"))]
        case.require(not strangers, f"{trial.where} it wrote {', '.join(strangers)}")


@clauses.must(10, after=(3,), forms=("runs",), hint="use experiment.wait(secs); it minds signals as well")
def waits_by_the_experiments_clock(case: ScheduleCase) -> None:
    """It waits by the experiment's clock, never by ``time.sleep``.

    Nor by what runs into a timeout: an event or a condition, ``select``, a socket, ``asyncio.sleep``.
    """
    for place in PLACES:
        waits = case.trial(place).run().waits.calls
        case.require(not waits, f"{PLACES[place]} it waited by {waits[0] if waits else ''}")
