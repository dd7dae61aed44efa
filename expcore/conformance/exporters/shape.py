"""Clauses of what a component is, and that it works at all."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Any

from expcore.calling import names
from expcore.conformance.clause import Violation
from expcore.conformance.exporters.case import FORMAT, POLICY, ExporterCase, clauses, forms
from expcore.conformance.exporters.seen import contents, entries, files
from expcore.errors import PluginError, one_line
from expcore.publish import as_exporter
from expcore.temporary import check_written
from expcore.types import Exporter


@clauses.must(1, hint="give an object with write, or one with name and export; a name is a directory's name")
def is_a_format_a_policy_or_an_exporter(case: ExporterCase) -> None:
    """It can be made, and is a format, a policy or another exporter with a legal name.

    A policy is made with a format. A name is 1 to 64 letters, digits, dots, hyphens and underscores, the
    first a letter or digit.
    """
    with case.no_error("making it"):
        component = case.make()

    def wrap(format_: Any) -> Exporter:
        return case.exporter(format=format_)  # type: ignore[no-any-return]

    with case.no_error("giving it to an experiment as an export strategy"):
        as_exporter(component, wrap)


@clauses.must(2, after=(1,), hint="give other parameters defaults, or take them in the constructor")
def needs_no_argument_that_the_host_does_not_give(case: ExporterCase) -> None:
    """It can be called as the host calls it, with what it names of the arguments there are.

    ``write(estimator, directory)`` may name ``checkpoint_path`` and ``eval_result``; ``export(estimator,
    export_path)`` also ``is_the_final_export``, ``history`` and ``clock``. A policy has
    ``wants(eval_result, history, final)``.
    """
    component = case.make()
    if forms(component) == {FORMAT}:
        _fits(component.write, 2, "checkpoint_path", "eval_result")
        return
    offered = ("checkpoint_path", "eval_result", "is_the_final_export", "history", "clock")
    _fits(component.export, 2, *offered)
    if forms(component) == {POLICY}:
        _fits(component.wants, 3)


def _fits(method: Callable[..., Any], positional: int, *offered: str) -> None:
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):  # of a function in C nothing is known; then the next clauses tell
        return
    try:
        signature.bind(*[None] * positional, **{name: None for name in offered if names(method, name)})
    except TypeError as error:
        given = f"{positional} positional arguments, by name {', '.join(offered) or 'nothing'}"
        raise Violation(
            f"{method.__name__}{signature}: {error}", f"it takes what is given: {given}"
        ) from None


@clauses.must(
    3,
    after=(2,),
    forms=(FORMAT,),
    page="writing-a-plugin.md#a-format",
    hint="open files at os.path.join(directory, filename); give estimator= where it needs another model",
)
def writes_into_the_directory_that_it_is_given(case: ExporterCase) -> None:
    """It writes at least one file into the empty directory that it is given."""
    trained = case.trained()
    with case.no_error("write"):
        place = case.put(case.make(), trained, 1, case.place())
    case.require(place and files(place), f"there is {sorted(contents(case.place())) or 'nothing'}")


@clauses.must(4, after=(3,), forms=(FORMAT,), hint="copy what you would link to")
def writes_what_can_be_copied_elsewhere(case: ExporterCase) -> None:
    """It writes files and directories, and links only to what lies in the same directory."""
    place = case.place()
    case.put(case.make(), case.trained(), 1, place)
    try:
        check_written(str(place), "what it wrote")
    except PluginError as error:
        raise Violation(one_line(error)) from None


@clauses.must(5, after=(2, 4), hint="run it in an experiment of your own; a sample can have other arguments")
def exports_in_an_experiment(case: ExporterCase) -> None:
    """It works in an experiment, and exports at least one checkpoint of a small training.

    Three rounds of ten steps, each evaluated and offered to it, the last one as the final one. Without an
    export nothing else could be tried.
    """
    setting, exporter = case.setting, case.exporter()
    experiment = setting.experiment(case.folder, export_strategies=[exporter])
    for n in range(3):
        made = setting.train(experiment)
        with case.temporaries(), case.no_error(f"exporting round {n + 1} of an experiment"):
            experiment.export_pass(made.result, made.path, final=n == 2)
    base = case.folder / "model" / "export" / exporter.name
    found = [name for name in entries(base) if name[0] != "." and files(base / name)]
    case.require(found, f"{os.path.join('export', exporter.name)} has {sorted(entries(base)) or 'nothing'}")
