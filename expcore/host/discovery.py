"""Discovery: the entry points of expcore's groups, found without importing anything they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from typing import Any, Protocol

import importlib_metadata

from expcore.errors import InvalidArgument, listing, nearest
from expcore.host.leftovers import settled
from expcore.host.names import bad_name as bad_name
from expcore.host.names import canonical as canonical

KINDS = ("estimators", "schedules", "exporters", "hooks", "predicates")
"""The kinds of components; one entry-point group each, ``expcore.<kind>``."""

OBSERVERS = "plugins"
"""The group ``expcore.plugins``: pluggy plugins, imported when a run starts."""

BUILTIN = "expcore"
"""The distribution whose components are the built-ins."""

IN_CODE = ""
"""What stands for the distribution of a plugin that was registered in code; none can be called so."""

SHOWN_IN_CODE = "code"
"""What people see in its place; a distribution may well be called so."""

_GROUPS = {f"expcore.{kind}": kind for kind in (*KINDS, OBSERVERS)}


class EntryPoint(Protocol):
    """What discovery needs of an ``importlib_metadata.EntryPoint``."""

    @property
    def group(self) -> str:
        """The group, such as ``expcore.exporters``."""

    @property
    def name(self) -> str:
        """The component's name."""

    @property
    def value(self) -> str:
        """``module:attribute``."""

    @property
    def module(self) -> str:
        """The module; raises where the value is not of that form."""

    @property
    def dist(self) -> Any:
        """The distribution, with ``name`` and ``version``; None where it has none."""

    def load(self) -> Any:
        """Imports the module and returns what the value names."""


class Distribution:
    """A distribution's canonical name, and its version, which is read when first asked for.

    Args:
        metadata: has ``name`` and ``version``; None for plugins that no distribution provides.

    Raises:
        Exception: the metadata cannot be read, or gives no name.
    """

    def __init__(self, metadata: Any = None) -> None:
        self._metadata = metadata
        self.name = IN_CODE
        if metadata is not None:
            name = _field(metadata, "name")
            if not name:
                raise InvalidArgument("the metadata of a distribution gives no name")
            self.name = canonical(name)

    @cached_property
    def version(self) -> str:
        """The version; "" where the metadata has none."""
        return _field(self._metadata, "version")

    @property
    def shown(self) -> str:
        """The name for people; "code" for plugins that no distribution provides."""
        return self.name or SHOWN_IN_CODE


@dataclass(frozen=True, eq=False)
class Entry:
    """One plugin as it is declared, or an object that was registered in code.

    Attributes:
        kind: one of ``KINDS``, or "plugins".
        name: the component's name.
        dist: who provides it.
        point: the entry point; None for an object registered in code.
        fault: why the declaration itself cannot be used; None where it can.
    """

    kind: str
    name: str
    dist: Distribution
    point: EntryPoint | None = field(default=None, repr=False)
    fault: Exception | None = None

    @property
    def key(self) -> str:
        """``dist:kind/name``, the name that pluggy knows it by."""
        return f"{self.dist.shown}:{self.label}"

    @property
    def label(self) -> str:
        """``kind/name``."""
        return f"{self.kind}/{self.name}"

    @property
    def target(self) -> str:
        """Where it is, as ``module:attribute``; "" for an object registered in code."""
        return self.point.value if self.point is not None else ""

    @property
    def provider(self) -> str:
        """Distribution and version, for people."""
        return f"{self.dist.shown} {self.dist.version}".strip()

    @property
    def builtin(self) -> bool:
        """Whether expcore's own distribution provides it."""
        return self.dist.name == BUILTIN

    def load(self) -> Any:
        """Imports the module and returns what the entry names.

        Raises:
            Exception: whatever the declaration or the import gives.
        """
        if self.fault is not None:
            raise self.fault
        assert self.point is not None  # noqa: S101  (objects registered in code are never loaded)
        return self.point.load()

    def missing(self) -> bool:
        """Whether it surely cannot be imported, as far as can be told without importing."""
        if self.fault is not None or self.point is None:
            return self.fault is not None
        try:
            return find_spec(self.point.module.partition(".")[0]) is None
        except (ImportError, ValueError):
            return False  # a module that was made by hand has no spec, and can be used all the same


def kind_of(word: str, *, observers: bool = False) -> str:
    """Returns the kind for its plural or singular name.

    Raises:
        InvalidArgument: there is no such kind.
    """
    kinds = (*KINDS, OBSERVERS) if observers else KINDS
    for kind in kinds:
        if word in (kind, kind[:-1]):
            return kind
    raise InvalidArgument(f"kind {word!r}: it is not among {listing(kinds)}{nearest(word, kinds)}")


def discover(points: Iterable[EntryPoint] | None = None) -> list[Entry]:
    """Returns what is declared in expcore's groups, in an order that is the same on every machine.

    The built-ins come first, then third parties by distribution, kind and name. Of two distributions of one
    name on the path only the first is seen. What cannot be read is among them, with its fault.

    Args:
        points: entry points to use instead of the installed ones.
    """
    found, faulty = (list(points), []) if points is not None else _installed()
    dists: dict[int, Distribution] = {}
    entries = {(entry.dist.name, entry.kind, entry.name, ""): entry for entry in faulty}
    for point in found:
        kind = _GROUPS.get(point.group)
        if kind is None:
            continue
        dist, fault = dists.get(id(point.dist)), _fault(point)
        if dist is None:
            try:
                dist = dists[id(point.dist)] = Distribution(point.dist)
            except Exception as error:  # damaged metadata of one distribution is no one else's trouble
                dist, fault = Distribution(), error
        entry = Entry(kind, point.name, dist, point, fault)
        entries.setdefault((dist.name, kind, point.name, point.value), entry)
    ordered = sorted(entries.items(), key=lambda item: (not item[1].builtin, item[0]))
    return [entry for _, entry in ordered]


def _fault(point: EntryPoint) -> Exception | None:
    wrong = bad_name(point.name)
    if wrong is not None:
        return wrong
    try:
        good = bool(point.module)
    except Exception:  # how a bad value shows depends on the version of importlib_metadata
        good = False
    return None if good else InvalidArgument(f"value {point.value!r}: it is not of the form module:attribute")


def _field(metadata: Any, name: str) -> str:
    try:
        return str(getattr(metadata, name, None) or "")
    except KeyError:  # how a missing field shows depends on the version of importlib_metadata
        return ""


def _installed() -> tuple[list[EntryPoint], list[Entry]]:
    doubled = settled()
    try:
        found = list(importlib_metadata.entry_points())
        if doubled:
            found = [p for p in found if p.group in _GROUPS and _name_of(p.dist) not in doubled]
            found += [point for metadata in doubled.values() for point in metadata.entry_points]
        return found, []
    except Exception:
        # One unreadable entry_points.txt makes that call fail for everybody.
        return _one_by_one(doubled)


def _name_of(metadata: Any) -> str:
    try:
        return Distribution(metadata).name
    except Exception:
        return ""  # told where its entry is made


def _one_by_one(doubled: Mapping[str, Any]) -> tuple[list[EntryPoint], list[Entry]]:
    found: list[EntryPoint] = []
    faulty: list[Entry] = []
    seen: set[str] = set()
    for metadata in (*doubled.values(), *importlib_metadata.distributions()):
        try:
            dist = Distribution(metadata)
        except Exception:  # noqa: S112  (left behind by an uninstallation; importlib_metadata shows it last)
            continue
        if dist.name in seen:
            continue
        seen.add(dist.name)
        try:
            found.extend(metadata.entry_points)
        except Exception as error:
            if _concerns_us(metadata):
                faulty.append(Entry(OBSERVERS, "entry_points.txt", dist, fault=error))
    return found, faulty


def _concerns_us(metadata: Any) -> bool:
    try:
        return "[expcore." in (metadata.read_text("entry_points.txt") or "")
    except Exception:  # not even text: no telling whose it is, and nothing of it can be used
        return False
