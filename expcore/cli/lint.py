"""The lint of ``plugins check``: reads a distribution's metadata and source, and runs none of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from expcore.cli.findings import LEVELS, Finding
from expcore.cli.installed import Installed, core_version
from expcore.cli.lint_components import check_component
from expcore.cli.lint_imports import heavy_imports
from expcore.cli.lint_observers import check_observer
from expcore.cli.source import AttributeMissing, ModuleBroken, ModuleMissing, Place, Sources
from expcore.errors import listing, nearest, one_line
from expcore.host.discovery import BUILTIN, KINDS, OBSERVERS, Entry, discover

_FILE = "entry_points.txt"
_GROUPS = (*(f"{BUILTIN}.{kind}" for kind in (*KINDS, OBSERVERS)), f"{BUILTIN}.conformance")
_SNAKE = re.compile(r"[a-z][a-z0-9_]*")


def lint(dist: Installed) -> list[Finding]:
    """Returns what is wrong with a distribution, the gravest first."""
    entries, sources = dist.entries(), Sources()
    found = [*_requirement(dist), *_distribution_name(dist), *_names(entries), *_twice(entries)]
    found += [*_file(dist, entries), *_groups(dist)]
    sound = []
    for entry in entries:
        if entry.fault is not None and entry.point is None:
            continue  # the file, or a group of it
        if entry.fault is not None:
            found.append(Finding("LNT-001", entry.label, "entry_points.txt", f"{one_line(entry.fault)}"))
            continue
        place = _place(entry, sources, found)
        sound.append(entry)
        if place is not None:
            check = check_observer if entry.kind == OBSERVERS else check_component
            found += check(entry, place, sources)
    found += heavy_imports(sound, sources)
    return sorted(_once(found), key=lambda f: (LEVELS.index(f.level), f.id, f.entry, f.where))


def _place(entry: Entry, sources: Sources, found: list[Finding]) -> Place | None:
    """Finds what an entry names; what keeps it from being found is added to the findings."""
    where = f"entry_points.txt: {entry.target}"
    try:
        return sources.target(entry.target)
    except ModuleMissing as error:
        found.append(Finding("LNT-002", entry.label, where, str(error)))
    except ModuleBroken as error:
        found.append(Finding("LNT-003", entry.label, f"{error.path}:{error.line}", error.why))
    except AttributeMissing as error:
        known = error.module.at(None) or where
        found.append(Finding("LNT-004", entry.label, known, str(error)))
    return None


def _once(found: Iterable[Finding]) -> list[Finding]:
    return list(dict.fromkeys(found))


def _requirement(dist: Installed) -> Iterator[Finding]:
    if dist.name == BUILTIN:
        return
    where = "METADATA: Requires-Dist"
    if not dist.requirements:
        yield Finding("LNT-020", "", where, "nothing says which versions of expcore it works with")
        return
    version = core_version()
    specifiers = [s for requirement in dist.requirements for s in requirement.specifier]
    told = ", ".join(str(requirement) for requirement in dist.requirements)
    operators = {s.operator for s in specifiers}
    if not operators & {">=", ">", "==", "===", "~="}:
        yield Finding("LNT-021", "", where, f"it says {told!r}")
    if not operators & {"<", "<=", "==", "===", "~="}:
        yield Finding("LNT-022", "", where, f"it says {told!r}")
    if not all(r.specifier.contains(version, prereleases=True) for r in dist.requirements):
        yield Finding("LNT-023", "", where, f"it says {told!r}, and this is expcore {version}")


def _distribution_name(dist: Installed) -> Iterator[Finding]:
    if dist.name != BUILTIN and not dist.name.startswith(f"{BUILTIN}-"):
        yield Finding("LNT-060", "", "METADATA: Name", f"it is called {dist.shown!r}")


def _names(entries: Iterable[Entry]) -> Iterator[Finding]:
    builtins = {entry.label for entry in discover() if entry.builtin}
    for entry in entries:
        if entry.fault is not None:
            continue
        if not _SNAKE.fullmatch(entry.name):
            yield Finding("LNT-061", entry.label, "entry_points.txt", f"the entry is called {entry.name!r}")
        if entry.label in builtins and not entry.builtin and entry.kind != OBSERVERS:
            what = f"expcore has a built-in {entry.label}; expcore:{entry.name} still has it"
            yield Finding("LNT-062", entry.label, "entry_points.txt", what)


def _file(dist: Installed, entries: Iterable[Entry]) -> Iterator[Finding]:
    faults = [e.fault for e in entries if e.point is None and e.fault is not None and e.name == _FILE]
    why = one_line(faults[0]) if faults else dist.unreadable
    if why is not None:
        yield Finding("LNT-008", "", _FILE, why)


def _groups(dist: Installed) -> Iterator[Finding]:
    """Groups that begin as those of expcore and are none of them."""
    for group in sorted(dist.groups - {*_GROUPS}):
        if group.strip().lower().startswith(f"{BUILTIN}."):
            what = f"there is no group {group!r}{nearest(group, _GROUPS)}; groups are {listing(_GROUPS)}"
            yield Finding("LNT-007", "", _FILE, what)


def _twice(entries: Iterable[Entry]) -> Iterator[Finding]:
    counted = Counter(entry.label for entry in entries)
    for label, count in counted.items():
        if count > 1:
            targets = " and ".join(sorted(e.target for e in entries if e.label == label))
            yield Finding("LNT-005", label, "entry_points.txt", f"it is {targets}")
