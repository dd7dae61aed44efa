"""The promises of an observer: what it is, and that it goes through any run without an error."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType

from expcore.conformance.clause import Clauses
from expcore.conformance.observers.case import STEPS, Boom, Foreign, ObserverCase
from expcore.errors import PluginError, nearest, one_line
from expcore.hookspecs import PROJECT
from expcore.host.contract import SPECS

clauses = Clauses("OBS", page="writing-a-plugin.md#an-observer")

WHOLE = (3,)
"""Without a run nothing more can be tried."""


@clauses.must(1, hint="name a module, an object, or a class whose parameters have defaults")
def can_be_made(case: ObserverCase) -> None:
    """It is a module or an object, or a class that can be made without arguments."""
    made = case.make()
    plain = made is None or isinstance(made, str | int | float | list | tuple | dict | set)
    case.require(not plain, f"{made!r}", "a module, or an object with hooks")
    case.require(
        isinstance(made, ModuleType) or not inspect.isroutine(made), f"the function {made!r}", "what holds it"
    )


@clauses.must(
    2, after=(1,), hint="compare with the hook reference: names, arguments without defaults, @hookimpl"
)
def keeps_the_contract(case: ObserverCase) -> None:
    """Its hooks have names that exist, are marked with ``@hookimpl`` and take arguments of theirs by name.

    A default is an argument that is never given, and a wrapper would stand between others, so neither is
    allowed.
    """
    plugin = case.make()
    for name in dir(plugin):
        if name.startswith(f"{PROJECT}_") and name not in SPECS and inspect.isroutine(getattr(plugin, name)):
            case.require(False, f"{name}() is no hook{nearest(name, SPECS)}", "the name of a hook")
    error = case.raised(lambda: case.host(plugin), PluginError)
    case.require(error is None, one_line(error) if error else "", "one that can be registered")


@clauses.must(3, after=(2,), hint="look at the error; the hook reference says what each argument is")
def goes_through_a_run(case: ObserverCase) -> None:
    """It goes through a run that trains, evaluates and exports twice, and raises nothing."""
    case.lived(rounds=2)


@clauses.must(4, after=WHOLE, forms=("failed",), hint="str(error) may be empty, error.args too")
def takes_the_news_of_a_failure(case: ObserverCase) -> None:
    """Told that a run failed, before training or after it, it raises nothing itself."""
    for train, when in ((True, "after training"), (False, "before training")):
        watched = case.watch()
        experiment = case.experiment(case.host(watched), when)
        case.live(watched, experiment, f"told of a failure {when},", "failure", train=train)


@clauses.must(5, after=(3, 4), hint="clear in expcore_failed, or in before_schedule, what was set before")
def goes_on_after_a_failure(case: ObserverCase) -> None:
    """After a run that failed, whose error comes out, it goes through the next one."""
    watched = case.watch()
    experiment = case.experiment(case.host(watched))
    error = case.live(watched, experiment, "in a run that fails", "failure")
    case.require(isinstance(error, Boom), f"the run ended with {error!r}", "the error of the schedule")
    case.live(watched, experiment, "in the run after one that failed")


@clauses.must(6, after=WHOLE, hint="keep what belongs to an experiment by experiment.model_dir")
def serves_several_experiments(case: ObserverCase) -> None:
    """It serves several experiments of one process, and each of them more than once."""
    watched = case.watch()
    host = case.host(watched)
    one, other = case.experiment(host, "one"), case.experiment(host, "other")
    for experiment, which in ((one, "the first"), (other, "a second"), (one, "again the first")):
        case.live(watched, experiment, f"in the run of {which} experiment")


@clauses.must(7, after=WHOLE, hint="let no moment rely on what another has prepared")
def takes_moments_alone(case: ObserverCase) -> None:
    """It needs no other moment: an evaluator only evaluates, and passes are made without a schedule too.

    Each process tells only of what it does itself, and after a signal comes nothing more.
    """
    case.experiment(case.host()).run("life")
    for schedule, when in (("evaluation", "where a process only evaluates"), ("cut", "where a signal comes")):
        watched = case.watch()
        case.live(watched, case.experiment(case.host(watched)), when, schedule)
    for what in ("train", "evaluate", "export"):
        watched = case.watch()
        experiment = case.experiment(case.host(watched))
        try:
            if what == "train":
                experiment.train_pass(STEPS)
            elif what == "evaluate":
                experiment.evaluate_pass()
            else:
                experiment.export_pass({"loss": 1.0, "global_step": STEPS})
        except Exception as error:
            case.require_no_error(watched, f"in {what}_pass() without a schedule")
            case.require(False, f"{what}_pass() raised {one_line(error)}", "no error")
        case.require_no_error(watched, f"in {what}_pass() without a schedule")


@clauses.must(8, after=WHOLE, hint="checkpoint may be None, so may the step of one and of an end")
def takes_what_is_not_known(case: ObserverCase) -> None:
    """It takes an estimator that has only what every one has: no checkpoint and no step need be known."""
    watched = case.watch()
    experiment = case.experiment(case.host(watched), estimator=Foreign(str(case.folder / "foreign")))
    case.live(watched, experiment, "with an estimator that does not tell its checkpoints")


@clauses.must(9, after=WHOLE, hint="tell checkpoints apart by checkpoint.id, not by step")
def takes_a_step_that_comes_twice(case: ObserverCase) -> None:
    """It takes a step that is saved again after a rollback, and a checkpoint that is evaluated again."""
    watched = case.watch()
    host = case.host(watched)
    for _ in range(2):
        experiment = case.experiment(host)
        case.live(watched, experiment, "where a step is saved again")
        case.live(watched, experiment, "where a checkpoint is evaluated again", "evaluation")
        newest = experiment.estimator.latest_checkpoint()
        if case.sample.estimator is None:  # how to take a checkpoint away from a stranger is not known
            Path(newest).unlink()
