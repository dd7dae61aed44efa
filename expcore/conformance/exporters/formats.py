"""Clauses of formats alone: what ``write`` is given and what is in its files."""

from __future__ import annotations

import os

from expcore.calling import call_naming
from expcore.conformance.exporters.case import FORMAT, ExporterCase, clauses
from expcore.conformance.exporters.seen import contents, differences

PAGE = "writing-a-plugin.md#a-format"


@clauses.must(18, after=(5,), forms=(FORMAT,), page=PAGE, hint="write no `return` with a value")
def returns_nothing(case: ExporterCase) -> None:
    """Its ``write`` returns nothing: where the files are published is known to the host alone."""
    trained, place = case.trained(), case.place()
    place.mkdir()
    made = trained.rounds[1]
    offered = {"checkpoint_path": made.path, "eval_result": dict(made.result)}
    found = call_naming(case.make().write, trained.estimator, str(place), **offered)
    case.require(found is None, f"write returned {found!r}", "None")


@clauses.must(19, after=(5,), forms=(FORMAT,), hint="treat None as {}: (eval_result or {}).get('loss')")
def writes_without_an_eval_result(case: ExporterCase) -> None:
    """It writes where there is no eval result, which is None then."""
    trained, place = case.trained(), case.place()
    place.mkdir()
    offered = {"checkpoint_path": trained.rounds[1].path, "eval_result": None}
    with case.no_error("write with eval_result=None"):
        call_naming(case.make().write, trained.estimator, str(place), **offered)
    case.require(contents(place), "it wrote nothing")


@clauses.must(20, after=(5,), forms=(FORMAT,), hint="use paths relative to the directory in what you write")
def writes_nothing_that_names_its_place(case: ExporterCase) -> None:
    """It writes no file that holds the path of the directory, which is another once it is published."""
    place = case.place("a-directory-that-is-renamed")
    case.put(case.make(), case.trained(), 1, place)
    names = {str(place).encode(), os.path.realpath(place).encode()}
    guilty = [
        str(path.relative_to(place))
        for path in sorted(place.rglob("*"))
        if path.is_file() and any(name in path.read_bytes() for name in names)
    ]
    case.require(not guilty, f"the path {str(place)!r} is in {', '.join(guilty)}")


@clauses.must(
    21,
    after=(5,),
    forms=(FORMAT,),
    capability="deterministic",
    hint="sort what you write, write no times; ZipInfo has a date_time, gzip an mtime",
)
def writes_the_same_bytes_for_the_same_checkpoint(case: ExporterCase) -> None:
    """It writes the same bytes whenever it writes the same checkpoint, also from another model directory."""
    found = []
    for name in ("first", "second"):
        place = case.place(name)
        case.put(case.make(), case.trained(name), 1, place)
        found.append(contents(place))
    different = differences(*found)
    case.require(not different, f"written twice, {different}")
