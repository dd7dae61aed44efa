"""Clauses of where is written: nowhere else, under any path, and nothing of it is left behind."""

from __future__ import annotations

import os
from pathlib import Path

from expcore.conformance.exporters.case import FORMAT, PUBLISHES, ExporterCase, Written, clauses, forms
from expcore.conformance.exporters.seen import VERSION, FullDisk, contents, differences, entries, files
from expcore.conformance.exporters.trained import Trained

AWKWARD = "a b'c $(d) größe 模型 #1 %20"


@clauses.must(9, after=(5, 22), hint="write only below the directory that is given")
def writes_nothing_elsewhere(case: ExporterCase) -> None:
    """It writes, changes and removes nothing elsewhere.

    Not in the working, the model or the parent directory, nor in the user's home or anywhere else; caches of
    libraries (``.cache``, ``__pycache__``) aside. The folder for temporary files is the next clause's.
    """
    trained, place = case.trained(), case.place()
    besides = (place, case.folder / "tmp", case.folder / "home" / ".cache")
    with case.temporaries(), case.working_in("work"):
        before = contents(case.folder, *besides)
        with case.elsewhere.watching():
            component = case.make()
        case.put_all(component, trained, place)
        found = differences(before, contents(case.folder, *besides)) or case.elsewhere.found
    case.require(not found, f"beside the place that it was given, {found}")


@clauses.must(10, after=(5, 22), hint="use `with tempfile.TemporaryDirectory()`")
def leaves_nothing_temporary(case: ExporterCase) -> None:
    """It leaves nothing temporary behind: no temporary files, in its base only its versions."""
    trained, component, place = case.trained(), case.make(), case.place()
    found = case.put_all(component, trained, place)
    left = contents(case.folder / "tmp")
    case.require(not left, f"in the folder for temporary files it left {sorted(left)}")
    if forms(component) & set(PUBLISHES):
        beside = entries(place) - {written.place.name for written in found}
        case.require(not beside, f"in {place.name} there is also {sorted(beside)}")


@clauses.must(11, after=(8, 9, 10), hint="write beside the place, rename at the end, clean up in `finally`")
def leaves_nothing_where_it_fails(case: ExporterCase) -> None:
    """It leaves nothing where it fails in the middle: no version, no temporary file, no change elsewhere.

    It fails when the model is given back, and when the disk is full before the last file. A version that is
    complete by then may stay.
    """
    counted = FullDisk(case.place("counted"))
    trained = case.trained()
    with counted.filling():
        first = case.put_all(case.make(), trained, case.place("counted"))
    opened, whole = counted.opened // len(first), first[0]
    with case.working_in("work"):
        trained.watch.failing = True
        _fails(case, trained, whole, case.place("failing"), 0)
        trained.watch.failing = False
        if opened:
            _fails(case, trained, whole, case.place("full"), opened)


def _fails(case: ExporterCase, trained: Trained, whole: Written, place: Path, refused: int) -> None:
    component = case.make()
    besides = [place]
    if forms(component) != {FORMAT}:
        place.mkdir()  # the base itself may stay
        besides = []
    besides.append(case.folder / "home" / ".cache")
    before = contents(case.folder, *besides)
    try:
        with FullDisk(place, refused).filling():
            case.put(component, trained, whole.n, place)
    except Exception:
        versions = [place / name for name in entries(place) if VERSION.fullmatch(name)]
        besides += [version for version in versions if files(version) == files(whole.place)]
        found = differences(before, contents(case.folder, *besides)) or case.elsewhere.found
        why = f"the disk was full at file {refused}" if refused else "the estimator failed when it was done"
        case.require(not found, f"after {why}, {found}", "nothing is left")


@clauses.must(12, after=(5, 22), hint="pass lists to subprocess, never a shell's line; encode paths as UTF-8")
def takes_paths_with_spaces_and_any_letters(case: ExporterCase) -> None:
    """It writes to paths with spaces, quotes and letters of any script."""
    trained, place = case.trained(), case.place(AWKWARD)
    with case.no_error(f"writing to {place.name!r}"):
        found = case.put_all(case.make(), trained, place)
    inside = os.path.realpath(found[0].place).startswith(os.path.realpath(place))
    case.require(
        inside and files(found[0].place),
        f"below {place.name!r} there is {sorted(contents(place)) or 'nothing'}",
        "what it writes elsewhere",
    )


@clauses.must(13, after=(5, 22), hint="keep no working directory; pass the path on as it is given")
def takes_paths_relative_to_the_working_directory_of_now(case: ExporterCase) -> None:
    """It takes a path relative to the working directory of the moment, wherever it was made.

    A model directory can be given as such a path, and then the places to write to are.
    """
    trained = case.trained()
    with case.working_in("one") as one:
        component = case.make()
    with case.working_in("two") as two:
        place = os.path.join("exports", "here")
        if forms(component) & set(PUBLISHES):
            os.makedirs("exports")
        with case.no_error(f"writing to {place!r}"):
            found = case.put_all(component, trained, place)
        there = contents(found[0].place)
        inside = os.path.realpath(found[0].place).startswith(os.path.realpath(place))
    case.require(
        inside and there, f"given {place!r}, it wrote to {found[0].place}: {sorted(there) or 'nothing'}"
    )
    besides = contents(two, two / "exports" / "here").keys() - {"exports"} | contents(one).keys()
    case.require(not besides, f"given {place!r}, it also wrote {sorted(besides)}")


@clauses.should(34, after=(5, 22), hint="mkdtemp and mkstemp give 0700 and 0600: use os.mkdir and open")
def writes_what_others_may_read(case: ExporterCase) -> None:
    """It writes what others may read, as far as the umask allows: a server is often another user."""
    before = os.umask(0o022)
    try:
        place = case.put_all(case.make(), case.trained(), case.place())[0].place
    finally:
        os.umask(before)
    for path in [place, *place.rglob("*")]:
        mode, wanted = path.stat().st_mode & 0o777, 0o755 if path.is_dir() else 0o644
        inside = path.relative_to(place)
        case.require(mode & wanted == wanted, f"{str(inside)!r} has {mode:o} with umask 022", f"{wanted:o}")
