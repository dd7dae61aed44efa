"""The components of an installed distribution, each with its suite of clauses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import importlib_metadata

from expcore.conformance.case import Sample
from expcore.conformance.kind import GROUPS, Kind, load_kind
from expcore.conformance.suite import Suite
from expcore.errors import ConfigError, InvalidArgument, PluginError, PluginLoadError, nearest, one_line
from expcore.host.discovery import Entry, canonical, discover
from expcore.host.settings import find_table

SAMPLES = "expcore.conformance"
"""The entry-point group of samples; an entry is called ``<kinds>.<name>``, such as ``exporters.best``."""

EXPECTED = "expected_failures"


def suites(dist: str, kind: str | None = None, start: Path | None = None) -> list[Suite]:
    """Returns a suite for each component of a distribution, sorted by kind and name.

    Args:
        dist: name of the distribution.
        kind: only this kind; None: all.
        start: the folder from which upwards a pyproject.toml with expected failures is looked for; None: the
            working directory.

    Raises:
        InvalidArgument: it is not installed, has no such components, or there is no such kind.
        PluginError: a sample is none.
        ConfigError: pyproject.toml cannot be read, or expects failures in something that is not there.
    """
    only = None if kind is None else load_kind(kind).name
    entries = discover()
    own = [entry for entry in entries if entry.dist.name == canonical(dist)]
    if not own:
        known = sorted({entry.dist.name for entry in entries})
        raise InvalidArgument(
            f"distribution {dist!r}: it is not installed, or provides no plugin of expcore"
            f"{nearest(canonical(dist), known)}; expcore plugins list shows what there is"
        )
    wanted = [entry for entry in own if only in (None, GROUPS[entry.kind])]
    if not wanted:
        raise InvalidArgument(f"distribution {dist!r}: it provides no {only}")
    samples, expected = _samples(own[0].dist.name), _expected(start or Path.cwd())
    _check_labels(dist, own, {*samples, *expected} if only is None else expected)
    return [_suite(entry, samples, expected.get(entry.label, {})) for entry in wanted]


def _suite(entry: Entry, samples: Mapping[str, Any], expected: Mapping[str, str]) -> Suite:
    kind = load_kind(entry.kind)
    given = samples.get(entry.label)
    sample = _filled(entry, kind, Sample() if given is None else _sample(given))
    failures = {**sample.expected_failures, **expected}
    sample = replace(sample, expected_failures=failures)
    return Suite(kind, sample, f"{entry.label} ({entry.provider})")


def _filled(entry: Entry, kind: Kind, sample: Sample) -> Sample:
    """Takes the component from the entry itself where the sample does not bring one."""
    if sample.component is not None or sample.factory is not None:
        return sample
    try:
        loaded = entry.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a module that calls sys.exit() is a broken one
        return replace(sample, factory=_raising(entry, error))
    if kind.name in ("schedule", "observer"):  # what such an entry names is the component
        return replace(sample, component=loaded)
    return replace(sample, factory=loaded)


def _raising(entry: Entry, cause: BaseException) -> Any:
    def factory() -> Any:
        raise PluginLoadError(f"{entry.label} ({entry.provider}): {one_line(cause)}") from cause

    return factory


def _sample(point: Any) -> Sample:
    """Imports a sample: a Sample, or a function of no arguments that returns one."""
    subject = f"{SAMPLES} entry {point.name!r}"
    try:
        found = point.load()
        found = found() if callable(found) else found
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PluginError(f"{subject}: it cannot be had: {one_line(error)}; mend {point.value}") from error
    if not isinstance(found, Sample):
        raise PluginError(f"{subject}: {point.value} gives {found!r}; it must give a Sample")
    return found


def _samples(dist: str) -> dict[str, Any]:
    """Returns the entry points of samples by ``kinds/name``."""
    found = {}
    for point in importlib_metadata.entry_points(group=SAMPLES):
        if point.dist is not None and canonical(point.dist.name) == dist:
            kind, _, name = point.name.partition(".")
            found[f"{kind}/{name}"] = point
    return found


def _expected(start: Path) -> dict[str, Mapping[str, str]]:
    """Reads ``[tool.expcore.conformance.expected_failures]``: reason by clause id, by ``kinds/name``."""
    path, settings = find_table(start)
    suite = settings.get("conformance", {})
    for key in suite if isinstance(suite, Mapping) else (suite,):
        if key != EXPECTED:
            raise ConfigError(
                f"{path}: [tool.expcore.conformance]: {key!r} is not {EXPECTED!r}, which is all there is"
            )
    table = suite.get(EXPECTED, {})
    if not isinstance(table, Mapping):
        raise ConfigError(
            f"{path}: [tool.expcore.conformance]: {EXPECTED} is {table!r}; it must be a table by kind/name"
        )
    for label, reasons in table.items():
        if not isinstance(reasons, Mapping):
            raise ConfigError(
                f"{path}: [tool.expcore.conformance.{EXPECTED}]: {label!r} is {reasons!r}; it must be a "
                'table of clause ids and reasons, such as "EXP-012" = "the file system has no rename"'
            )
    return dict(table)


def _check_labels(dist: str, entries: list[Entry], labels: Any) -> None:
    known = {entry.label for entry in entries}
    for label in labels:
        if label not in known:
            raise ConfigError(
                f"conformance of {dist!r}: {label!r} has a sample or an expected failure, but is no "
                f"component of it{nearest(label, known)}"
            )
