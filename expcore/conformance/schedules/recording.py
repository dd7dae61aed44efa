"""The promises of a schedule about the log, and about what is done once and what is not left out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from expcore import events as ev
from expcore.conformance.schedules.case import FINISHED, TOTAL, ScheduleCase, Trial
from expcore.conformance.schedules.running import clauses

GOING_ON = "concepts.md#going-on-after-a-stop"


@clauses.must(11, after=(3,), forms=("trains",), hint="train by experiment.train_pass, not by the estimator")
def records_what_it_trains(case: ScheduleCase) -> None:
    """It records every step that it trains and every checkpoint."""
    for trial in case.ended():
        steps, recorded = trial.estimator.steps, trial.recorded_steps
        case.require(
            steps == recorded, f"{trial.where} {steps} steps were made, the log has {recorded}", "the same"
        )
        there = {Path(path) for path in trial.estimator.checkpoints()}
        missing = there - {Path(save.path) for save in trial.experiment.history.saves}
        case.require(not missing, f"checkpoints that the log does not have: {sorted(map(str, missing))}")


@clauses.must(
    12,
    after=(3,),
    forms=("evaluates",),
    hint="evaluate by experiment.evaluate_pass, not by the estimator",
)
def records_what_it_evaluates(case: ScheduleCase) -> None:
    """It records every evaluation that it makes."""
    for trial in case.ended():
        made = [look.step for look in trial.estimator.looks]
        recorded = [event.data["step"] for event in trial.events(ev.EVALUATED)]
        case.require(
            sorted(made) == sorted(recorded),
            f"{trial.where} steps {made} were evaluated, the log has {recorded}",
            "the same",
        )


@clauses.must(
    13, after=(3,), forms=("exports",), hint="export by experiment.export_pass, not by the exporters"
)
def records_what_it_exports(case: ScheduleCase) -> None:
    """It records every export that it makes."""
    for trial in case.ended():
        made, recorded = len(trial.offers), len(trial.events(ev.EXPORTED))
        case.require(
            made == recorded, f"{trial.where} an exporter wrote {made} times, the log has {recorded}"
        )


@clauses.must(
    14,
    after=(11,),
    forms=("trains",),
    hint="train_pass() ends by itself; for train_pass(steps=n) work out what is left",
)
def never_trains_beyond_train_steps(case: ScheduleCase) -> None:
    """It never trains beyond ``train_steps``, and makes no step where they are reached."""
    for trial in case.ended():
        step = trial.estimator.step
        case.require(
            step <= TOTAL, f"{trial.where} it trained to step {step}", f"train_steps={TOTAL} at most"
        )


@clauses.must(
    15,
    after=(12,),
    forms=("evaluates",),
    hint="ask experiment.history.evaluated(checkpoint), or give once=True to evaluate_pass",
)
def evaluates_no_checkpoint_twice(case: ScheduleCase) -> None:
    """It evaluates no checkpoint twice on the same data."""
    for trial in case.ended():
        made = Counter((look.step, look.name, id(look.data)) for look in trial.estimator.looks)
        twice = sorted({step for (step, *_), n in made.items() if n > 1})
        case.require(not twice, f"{trial.where} checkpoints of steps {twice} were evaluated again")


@clauses.must(
    16,
    after=(12,),
    forms=("evaluates",),
    hint="evaluate once more after training; on_save is not called with the last checkpoint of a pass",
)
def evaluates_the_newest_checkpoint(case: ScheduleCase) -> None:
    """It has evaluated the newest checkpoint when it ends, if it has trained or evaluated anything."""
    for trial in case.ended():
        if trial.estimator.steps or trial.estimator.looks:
            steps = [look.step for look in trial.estimator.looks]
            case.require(
                trial.estimator.step in steps,
                f"{trial.where} it evaluated steps {steps}; the newest checkpoint is of step "
                f"{trial.estimator.step}",
            )


@clauses.must(
    17,
    after=(14, 15),
    forms=("completes", "follows"),
    page=GOING_ON,
    hint="ask experiment.history.evaluated(checkpoint) before evaluating",
)
def does_nothing_again(case: ScheduleCase) -> None:
    """It makes no step and no evaluation again when it is run once more after its end."""
    first = next(iter(case.ended()))
    again = case.trial(first.place, first.folder).run()
    case.require(again.returned, f"run once more {again.told}", "it returns")
    case.require(not again.estimator.steps, f"run once more it made {again.estimator.steps} steps", "none")
    before = {(look.step, look.name) for look in first.estimator.looks}
    twice = [look.step for look in again.estimator.looks if (look.step, look.name) in before]
    case.require(not twice, f"run once more it evaluated steps {twice} again", "none")


@clauses.must(
    18,
    after=(13, 12),
    forms=("exports",),
    hint="result = evaluate_pass(checkpoint.path), then export_pass(result, checkpoint.path)",
)
def exports_with_the_checkpoints_own_result(case: ScheduleCase) -> None:
    """It offers to exporters only checkpoints that are evaluated, each with its own result."""
    for trial in case.ended():
        for offer in trial.offers:
            name = Path(offer.path).name
            case.require(
                offer.recorded is not None, f"{trial.where} {name} was offered before it was evaluated"
            )
            case.require(
                offer.result == offer.recorded,
                f"{trial.where} {name} was offered with {offer.result}",
                f"its own result, {offer.recorded}",
            )


@clauses.must(
    19, after=(13, 16), forms=("exports",), hint="give final=True to the last export_pass and to no other"
)
def tells_exporters_which_is_the_last(case: ScheduleCase) -> None:
    """It offers the newest checkpoint as the final one, once, and nothing after it."""
    for trial in case.ended():
        if not trial.offers:
            continue
        finals = [offer.final for offer in trial.offers]
        case.require(
            finals.count(True) == 1 and finals[-1],
            f"{trial.where} exporters were told final={finals}",
            "True in the last call and in no other",
        )
        step = Path(trial.offers[-1].path).stem.rpartition("-")[2]
        case.require(
            step == str(trial.estimator.step),
            f"{trial.where} the checkpoint of step {step} was exported as the final one",
            f"that of step {trial.estimator.step}",
        )


@clauses.must(20, after=(13,), forms=("exports",), hint="call experiment.export_missed() first")
def exports_what_was_missed(case: ScheduleCase) -> None:
    """It makes good what a crash kept from the exporters, before anything else."""
    trial = case.trial(FINISHED)
    missed = trial.estimator.checkpoints()[-2]
    other = Trial(case, trial.folder, FINISHED, export_strategies=None)
    other.experiment.evaluate_pass(missed)
    trial.run()
    case.require(trial.returned, f"{trial.told}", "it returns")
    offered = [Path(offer.path).name for offer in trial.offers]
    case.require(
        offered[:1] == [Path(missed).name],
        f"{Path(missed).name} was evaluated and never exported; offered were {offered}",
        f"{Path(missed).name} first",
    )
