"""Clauses of policies alone: when they want an export, and what they do with their parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from expcore.calling import names, parameters
from expcore.conformance.exporters.case import POLICY, Digest, ExporterCase, clauses
from expcore.conformance.exporters.seen import contents
from expcore.conformance.exporters.trained import Round
from expcore.experiment import Experiment
from expcore.publish import versions

ROUNDS = 4


def rounds(case: ExporterCase, policy: Any) -> Iterator[tuple[Experiment, Round, bool]]:
    """Yields after each evaluation of a training of four rounds, before anything is exported.

    The third result is worse than the second.
    """
    setting = case.setting
    experiment = setting.experiment(case.folder, export_strategies=[policy])
    for n in range(ROUNDS):
        yield experiment, setting.train(experiment), n == ROUNDS - 1


@clauses.must(
    27,
    after=(5,),
    forms=(POLICY,),
    page="writing-a-plugin.md#a-policy",
    hint="keep nothing on the object; the log has the evaluations and exports",
)
def decides_from_the_result_and_the_log_alone(case: ExporterCase) -> None:
    """It decides from the result and the log alone, by True or False: a fresh one decides as it does."""
    veteran = case.make()
    for experiment, made, final in rounds(case, veteran):
        history = experiment.history
        history = history.at(history.identify(made.path))
        step = made.result.get("global_step")
        asked = [
            policy.wants(dict(made.result), history, final) for policy in (veteran, veteran, case.make())
        ]
        for answer in asked:
            good = isinstance(answer, bool) or type(answer).__name__ in ("bool_", "bool")
            case.require(good, f"asked at step {step}, wants returned {answer!r}", "True or False")
        case.require(
            len(set(map(bool, asked))) == 1,
            f"at step {step}, asked twice it answers {asked[:2]}, and a fresh one {asked[2]}",
            "the same answer",
        )
        experiment.export_pass(made.result, made.path, final=final)


@clauses.must(
    28, after=(5,), forms=(POLICY,), page="exporters.md#policies", hint="ask self.already_exported(history)"
)
def exports_a_checkpoint_once(case: ExporterCase) -> None:
    """It exports a checkpoint once under its name, also where it is offered again and after a restart."""
    for experiment, made, final in rounds(case, case.make()):
        for _ in range(2):
            experiment.export_pass(made.result, made.path, final=final)
        experiment.reset_export_strategies([case.make()])
        experiment.export_pass(made.result, made.path, final=final)
        counts = Counter(export.checkpoint for export in experiment.history.exports)
        most, step = max(counts.values(), default=0), made.result.get("global_step")
        case.require(most <= 1, f"at step {step} one checkpoint is exported {most} times", "once")


@clauses.must(
    29,
    after=(5,),
    forms=(POLICY,),
    page="writing-a-plugin.md#a-policy",
    hint="take history=None as an empty log",
)
def works_without_a_log(case: ExporterCase) -> None:
    """It works without a log: called outside an experiment its history is None."""
    trained = case.trained()
    for made in trained.rounds:
        for final in (False, True):
            with case.no_error(f"export without history at step {made.result.get('global_step')}"):
                case.make().export(
                    trained.estimator,
                    str(case.place()),
                    checkpoint_path=made.path,
                    eval_result=dict(made.result),
                    is_the_final_export=final,
                )


@clauses.must(
    30, after=(5,), forms=(POLICY,), page="exporters.md#policies", hint="do not override export; define wants"
)
def publishes_what_its_format_writes(case: ExporterCase) -> None:
    """It publishes what the format that it was given writes, whichever that is, and nothing else."""
    own = Digest("of-the-suite.json")
    trained, base = case.trained(), case.place()
    found = case.put_all(case.make(format=own), trained, base)
    for written in found:
        there = sorted(contents(written.place))
        case.require(
            there == [own.filename], f"version {written.place.name} has {there}", f"[{own.filename!r}]"
        )
    case.require(
        len(own.places) == len(found), f"{len(found)} exports, and its format wrote {len(own.places)} times"
    )


@clauses.must(
    31, after=(5,), forms=(POLICY,), page="exporters.md#policies", hint="do not override export; define wants"
)
def keeps_as_many_versions_as_it_says(case: ExporterCase) -> None:
    """It keeps the newest of its versions, at most ``keep`` of them."""
    policy = case.make()
    policy.keep = 1
    newest: int | None = None
    for experiment, made, final in rounds(case, policy):
        written = experiment.export_pass(made.result, made.path, final=final)[0]
        there = versions(str(case.folder / "model" / "export" / policy.name))
        newest = max(there) if written else newest
        case.require(there == ([newest] if newest is not None else []), f"keep=1, and there are {there}")


@clauses.should(
    32,
    after=(5,),
    forms=(POLICY,),
    page="exporters.md#policies",
    hint="take name=None and give it to super().__init__",
)
def takes_a_name(case: ExporterCase) -> None:
    """It takes ``name``, so that two of it can be in one experiment."""
    factory = case.sample.factory or case.sample.component
    if names(factory, "name"):
        found = case.make(name="of-the-suite").name
        case.require(found == "of-the-suite", f"given name='of-the-suite', its name is {found!r}")
    else:
        kind = type(case.make())
        case.require(names(kind, "name"), f"{kind.__qualname__} has no parameter called name")


@clauses.must(
    33,
    after=(5,),
    forms=(POLICY,),
    page="writing-a-plugin.md#a-policy",
    hint="put the parameter called format first",
)
def takes_its_format_first(case: ExporterCase) -> None:
    """It takes its format as the first parameter, which is what ``of`` gives in a config."""
    factory = case.sample.factory or case.sample.component
    made = factory if names(factory, "format") else type(case.make())
    found = list(parameters(made))
    if "format" in found:  # one that has a format of its own may take none
        case.require(found[0] == "format", f"its parameters are {', '.join(found)}")
