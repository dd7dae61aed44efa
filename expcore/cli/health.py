"""What ``expcore doctor`` finds: versions, choices, and problems. Imports no plugin, and raises nothing."""

from __future__ import annotations

import logging
import os
import platform
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from expcore.cli.installed import Installed, core_version, half_removed, installed
from expcore.cli.lint_observers import check_observer
from expcore.cli.probe import probe
from expcore.cli.rivals import is_broken, rivals
from expcore.cli.source import AttributeMissing, ModuleBroken, ModuleMissing, Sources
from expcore.errors import ExpcoreError, one_line
from expcore.host import PluginHost, PluginStatus
from expcore.host.discovery import BUILTIN, OBSERVERS, discover
from expcore.host.resolution import BROKEN, CONFLICT

_LIBRARIES = (
    "tensorflow",
    "keras",
    "numpy",
    "pluggy",
    "importlib-metadata",
    "click",
    "pydantic",
    "packaging",
)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        subject: the distribution, plugin or setting.
        what: what is wrong with it.
        mend: what to do.
    """

    subject: str
    what: str
    mend: str

    def as_json(self) -> dict[str, str]:
        """The problem as JSON data."""
        return {"subject": self.subject, "what": self.what, "mend": self.mend}


def versions() -> dict[str, str | None]:
    """Returns the versions that matter, from metadata; None where something is not installed."""
    found: dict[str, str | None] = {
        "expcore": core_version(),
        "python": f"{platform.python_version()}, {sys.executable}",
    }
    known: dict[str, str] = {}
    for dist in installed():
        known.setdefault(dist.name, dist.version)
    return {**found, **{name: known.get(name) for name in _LIBRARIES}}


def choices_in_force() -> list[dict[str, Any]]:
    """Returns what is set about plugins, and where."""
    set_ = [f"{name}={os.environ[name]}" for name in sorted(os.environ) if name.startswith("EXPCORE_")]
    found: list[dict[str, Any]] = [{"place": "environment", "says": set_}] if set_ else []
    try:
        settings = PluginHost().settings
    except ExpcoreError:  # told among the problems
        return found
    if settings is not None:
        says = [f"{key} = {value!r}" for key, value in settings["content"].items()]
        found.append({"place": f"{settings['path']}, [tool.expcore]", "says": says})
    return found


def providers() -> list[dict[str, Any]]:
    """Returns each distribution with plugins: name, version, and how many have which status."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for row in _looked()[0]:
        counts.setdefault((row.provider, row.version), Counter())[row.status] += 1
    return [
        {"distribution": name, "version": version, "statuses": dict(sorted(count.items()))}
        for (name, version), count in sorted(
            counts.items(), key=lambda item: (item[0][0] != BUILTIN, item[0])
        )
    ]


def examine() -> list[Problem]:
    """Returns everything that is wrong, as far as can be told without importing."""
    rows, host, problems = _looked()
    told = {(failure.dist, failure.entry) for failure in host.failures}
    for failure in host.failures:
        problems.append(_broken(failure.dist, failure.version, failure.entry, one_line(failure.error)))
    sources = Sources()
    for row in rows:
        label = f"{row.kind}/{row.name}"
        if (row.provider, label) in told:
            continue
        missing = _missing(row.target, sources)
        if row.status == BROKEN or (missing and row.status != "blocked"):
            problems.append(_broken(row.provider, row.version, label, missing or "it cannot be imported"))
    problems += _conflicts(rows, host, sources)
    problems += _contract(rows, sources)
    dists = list(installed())
    concerned = {row.provider for row in rows}
    problems += _unfitting(dists, concerned)
    problems += _hidden(dists, concerned | {BUILTIN})
    problems += [
        Problem(folder, "an uninstallation left it behind; it does not count", "remove the folder")
        for folder in half_removed()
    ]
    return problems


def load_all(timeout_secs: float) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Imports each plugin that is not blocked, in a process of its own; returns how that went."""
    told, problems = [], []
    usable = {
        (r.provider, r.kind, r.name, r.target) for r in _looked()[0] if r.status not in ("blocked", BROKEN)
    }
    for entry in discover():
        if (entry.dist.name, entry.kind, entry.name, entry.target) not in usable:
            continue
        probed = probe(entry.target, timeout_secs)
        told.append({"plugin": entry.key, **probed.as_json()})
        if probed.error:
            problems.append(_broken(entry.dist.shown, entry.dist.version, entry.label, probed.error))
    return told, problems


def _looked() -> tuple[list[PluginStatus], PluginHost, list[Problem]]:
    """Looks at everything installed; settings that cannot be used are a problem, and then left out."""
    problems = []
    tried: tuple[dict[str, Any] | None, ...] = (None, {})
    for settings in tried:
        try:
            with _heard() as lines:
                host = PluginHost(strict=False, settings=settings)
                rows = host.statuses()
        except ExpcoreError as error:
            problems.append(Problem("settings", str(error), "nothing of them counts until then"))
            continue
        break
    else:
        with _heard() as lines:
            host = PluginHost(strict=False, environ={})
            rows = host.statuses()
    words = [line for line in lines if not line.endswith("; it is skipped")]
    problems += [Problem("choice", line, "correct or drop it") for line in words]
    return rows, host, problems


@contextmanager
def _heard() -> Iterator[list[str]]:
    """Collects what the host warns of, instead of showing it."""
    lines: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger, ear = logging.getLogger("expcore"), Ear(logging.WARNING)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(ear)
    try:
        yield lines
    finally:
        logger.removeHandler(ear)
        logger.propagate = propagate


def _broken(dist: str, version: str, label: str, why: str) -> Problem:
    mend = f"repair or uninstall {dist}, or skip it with EXPCORE_DISABLE={dist}:{label}"
    return Problem(f"{label} ({dist} {version})".replace(" )", ")"), why, mend)


def _missing(target: str, sources: Sources) -> str | None:
    try:
        sources.target(target)
    except (ModuleMissing, ModuleBroken, AttributeMissing) as error:
        return str(error)
    return None


def _contract(rows: list[PluginStatus], sources: Sources) -> Iterator[Problem]:
    """Observers that break the contract: one with a misspelt hook ends every run."""
    names = {(row.provider, row.name) for row in rows if row.kind == OBSERVERS and row.status == "active"}
    for entry in discover():
        if entry.kind != OBSERVERS or entry.fault is not None or (entry.dist.name, entry.name) not in names:
            continue
        try:
            place = sources.target(entry.target)
        except (ModuleMissing, ModuleBroken, AttributeMissing):
            continue  # told already
        for finding in check_observer(entry, place, sources):
            yield _broken(
                entry.dist.shown, entry.dist.version, entry.label, f"{finding.what} ({finding.where})"
            )


def _conflicts(rows: list[PluginStatus], host: PluginHost, sources: Sources) -> Iterator[Problem]:
    for label in sorted({f"{row.kind}/{row.name}" for row in rows if row.status == CONFLICT}):
        told = " and ".join(_in_conflict(label, rows, host, sources))
        yield Problem(label, f"{told} provide it, and nothing says which", f"see expcore plugins why {label}")


def _in_conflict(label: str, rows: list[PluginStatus], host: PluginHost, sources: Sources) -> list[str]:
    """Who is in a conflict; of observers, which nothing resolves, those that are marked so."""
    kind, _, name = label.partition("/")
    if kind == OBSERVERS:
        return [
            f"{row.provider} {row.version}".strip()
            for row in rows
            if (row.kind, row.name, row.status) == (kind, name, CONFLICT)
        ]
    return [
        f"{c.dist} {c.component.version}".strip() + (" (broken)" if is_broken(c, sources) else "")
        for c in sorted(rivals(host.explain(kind, name), sources), key=lambda c: c.dist)
    ]


def _unfitting(dists: list[Installed], concerned: set[str]) -> Iterator[Problem]:
    """Bounds on expcore and on Python that what runs here does not keep."""
    seen: set[str] = set()
    for dist in dists:
        if dist.name not in concerned or dist.name in seen:
            continue
        seen.add(dist.name)
        subject = f"{dist.name} {dist.version}".strip()
        for requirement in dist.requirements if dist.name != BUILTIN else ():
            if not requirement.specifier.contains(core_version(), prereleases=True):
                what = f"it requires {requirement}, and this is expcore {core_version()}"
                yield Problem(subject, what, f"pip install -U expcore {dist.name}")
        wanted = dist.field("Requires-Python")
        if wanted and not _python_fits(wanted):
            what = f"it requires Python {wanted}, and this is {platform.python_version()}"
            yield Problem(subject, what, "use another Python, or another version of it")


def _python_fits(wanted: str) -> bool:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(wanted).contains(platform.python_version(), prereleases=True)
    except InvalidSpecifier:
        return True  # nothing can be told of it


def _hidden(dists: list[Installed], concerned: set[str]) -> Iterator[Problem]:
    """Distributions that are on the path twice: the first one counts, and differs from the other."""
    first: dict[str, Installed] = {}
    for dist in dists:
        if dist.name not in concerned and "[expcore." not in dist.entry_points:
            continue
        seen = first.setdefault(dist.name, dist)
        same = (seen.version, _lines(seen)) == (dist.version, _lines(dist))
        if seen is dist or same:
            continue
        told = [f"version {each.version or '?'} in {each.place}" for each in (seen, dist)]
        what = " hides ".join(told)
        yield Problem(dist.name, what, f"uninstall both and install one: pip uninstall {dist.name}")


def _lines(dist: Installed) -> list[str]:
    return sorted(line.replace(" ", "") for line in dist.entry_points.splitlines() if line.strip())
