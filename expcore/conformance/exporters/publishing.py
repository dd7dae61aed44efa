"""Clauses of what publishes by itself, policies and other exporters: its versions, and when they appear."""

from __future__ import annotations

import os
from pathlib import Path

from expcore.conformance.exporters.case import PUBLISHES, ExporterCase, Written, clauses
from expcore.conformance.exporters.seen import VERSION, Appearing, contents, differences, entries, files

AHEAD = 5_000_000_000
"""A version of a clock that was ahead: the year 2128 in seconds."""


@clauses.must(22, after=(5,), forms=PUBLISHES, hint="return the directory of the version itself, else None")
def returns_the_path_of_what_it_wrote(case: ExporterCase) -> None:
    """It returns the path of the version that it wrote, a directory below its base, or None for nothing."""
    trained, component, base = case.trained(), case.make(), case.place()
    for n in range(len(trained.rounds)):
        before = entries(base)
        path = case.put(component, trained, n, base)
        new = {name for name in entries(base) - before if name[0] != "."}
        if path is None:
            case.require(not new, f"it returned None and wrote {sorted(new)}")
            continue
        inside = os.path.realpath(path.parent) == os.path.realpath(base)
        case.require(
            inside and path.name in entries(base) and files(path) and path.name not in before,
            f"it returned {str(path)!r}; new below its base {str(base)!r} is {sorted(new) or 'nothing'}",
            "a new directory with files, directly below the base",
        )


@clauses.must(
    23, after=(22,), forms=PUBLISHES, hint="use max(newest + 1, seconds); see expcore.publish.publish"
)
def its_versions_are_integers_that_grow(case: ExporterCase) -> None:
    """Its versions are integers that grow: within one second, and where the newest is of a clock ahead.

    A server loads the largest.
    """
    trained, base = case.trained(), case.place()
    _foreign(base, str(AHEAD))
    newest = AHEAD
    for _ in range(2):
        for written in case.put_all(case.make(), trained, base):
            name = written.place.name
            case.require(
                VERSION.fullmatch(name), f"a version is called {name!r}", "an integer, as 17 or 1795475079"
            )
            case.require(int(name) > newest, f"version {name} came after {newest}", f"more than {newest}")
            newest = int(name)


@clauses.must(24, after=(22,), forms=PUBLISHES, hint="write to base/.tmp-..., then os.rename to base/version")
def its_versions_appear_complete(case: ExporterCase) -> None:
    """Each version appears by one rename when it is complete, and does not change afterwards."""
    trained, base = case.trained(), case.place()
    base.mkdir()
    appearing = Appearing(base)
    trained.watch.meanwhile = [appearing.look] * 100
    with appearing.looking():
        found = case.put_all(case.make(), trained, base)
    for written in found:
        now = contents(written.place)
        first = appearing.first.get(written.place.name, now)
        different = differences(first, now)
        case.require(not different, f"after version {written.place.name} could be seen, {different}")


@clauses.must(
    25, after=(22,), forms=PUBLISHES, hint="delete only versions that you know you published yourself"
)
def leaves_what_it_did_not_write(case: ExporterCase) -> None:
    """It leaves what it did not write in its base as it is, however many versions there are."""
    trained, base = case.trained(), case.place()
    for name in ("1", "2", "3", "4", "5", "6", "7", "8", ".hidden", "notes"):
        _foreign(base, name)
    before = contents(base)
    for _ in range(2):
        case.put_all(case.make(), trained, base)
    now = contents(base)
    found = differences(before, {path: value for path, value in now.items() if path in before})
    case.require(not found, f"of what others had written, {found}")


def _foreign(base: Path, name: str) -> None:
    (base / name).mkdir(parents=True)
    (base / name / "of-another").write_text(name)


@clauses.must(
    26, after=(23,), forms=PUBLISHES, hint="choose the version at the rename; where it is taken, the next"
)
def gets_along_with_another_at_the_same_moment(case: ExporterCase) -> None:
    """It gets along with another process that exports to the same base at the same moment.

    A second evaluator, or one beside the trainer. Both exports are there in the end, each with its own files.
    """
    trained = case.trained()
    alone = case.put_all(case.make(), trained, case.place("alone"))[0]
    base, others = case.place(), []

    def other() -> None:
        others.append(case.put(case.make(), case.setting.beside(trained), alone.n, base))

    trained.watch.meanwhile = [other, other]
    with case.no_error("exporting while another does"):
        mine = case.put(case.make(), trained, alone.n, base)
    wanted = sorted(contents(alone.place))
    found = [Written(path, alone.n) for path in [*others, mine] if path is not None]
    case.require(
        len({os.path.realpath(w.place) for w in found}) == len(others) + 1,
        f"{len(others) + 1} exports returned {[str(w.place) for w in found]}",
        "different versions",
    )
    for written in found:
        there = sorted(contents(written.place))
        case.require(there == wanted, f"version {written.place.name} has {there}", f"{wanted}, as alone")
