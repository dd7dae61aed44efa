"""Discovery: the entry points of expcore's groups, found without importing anything they name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from typing import Any, Protocol

from expcore.errors import InvalidArgument, InvalidType, listing, nearest
from expcore.host.metadata import Found, counting, installed
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

_OTHERS = ("expcore.conformance",)  # groups of expcore that declare no plugin


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
        InvalidType: it is not a string.
    """
    kinds = (*KINDS, OBSERVERS) if observers else KINDS
    if not isinstance(word, str):
        raise InvalidType(f"kind {word!r}: a kind is named by a string; it is one of {listing(kinds)}")
    for kind in kinds:
        if word in (kind, kind[:-1]):
            return kind
    raise InvalidArgument(f"kind {word!r}: it is not among {listing(kinds)}{nearest(word, kinds)}")


def discover(
    points: Iterable[EntryPoint] | None = None, tell: Callable[[str], object] | None = None
) -> list[Entry]:
    """Returns what is declared in expcore's groups, in an order that is the same on every machine.

    The built-ins come first, then third parties by distribution, kind and name. Of several distributions of
    one name only the one that counts is seen (``metadata.installed``). What cannot be read is among them,
    with its fault, and so is a group of expcore that does not exist.

    Args:
        points: entry points to use instead of the installed ones.
        tell: gets a sentence for each distribution that pip left half removed; None: nobody is told.
    """
    found = _given(points) if points is not None else _found(tell)
    entries: dict[tuple[str, str, str, str], Entry] = {}
    for entry in found:
        entries.setdefault((entry.dist.name, entry.kind, entry.name, entry.target), entry)
    ordered = sorted(entries.items(), key=lambda item: (not item[1].builtin, item[0]))
    return [entry for _, entry in ordered]


def _given(points: Iterable[EntryPoint]) -> Iterator[Entry]:
    dists: dict[int, Distribution] = {}
    for point in points:
        if point.group not in _GROUPS:
            continue
        dist, fault = dists.get(id(point.dist)), None
        if dist is None:
            try:
                dist = dists[id(point.dist)] = Distribution(point.dist)
            except Exception as error:  # damaged metadata of one distribution is no one else's trouble
                dist, fault = Distribution(), error
        yield _entry(point, dist, fault)


def _found(tell: Callable[[str], object] | None) -> Iterator[Entry]:
    everything = installed()
    for each in everything:
        if each.half_removed and each.concerns_us and tell is not None:
            tell(
                f"{each.folder}: left behind where pip was stopped while it removed {each.name}; it is "
                "passed over, as pip does it; remove the folder"
            )
    for each in counting(everything):
        if each.concerns_us:
            yield from _declared(each)


def _declared(found: Found) -> Iterator[Entry]:
    """Yields what one distribution declares, and what is wrong with that."""
    dist = Distribution(found)
    try:
        if found.unreadable:
            raise InvalidArgument(found.unreadable)
        points = list(found.metadata.entry_points)
    except Exception as error:
        yield Entry(OBSERVERS, "entry_points.txt", dist, fault=error)
        return
    for group in sorted({point.group for point in points} - {*_GROUPS, *_OTHERS}):
        if group.strip().lower().startswith("expcore."):
            known = [*_GROUPS, *_OTHERS]
            near = nearest(group.strip().lower().replace(".observer", ".plugin"), known)
            wrong = f"there is no group {group!r}{near}; groups are {listing(known)}"
            yield Entry(OBSERVERS, group.strip(), dist, fault=InvalidArgument(f"entry_points.txt: {wrong}"))
    for point in points:
        if point.group in _GROUPS:
            yield _entry(point, dist, found.fault)


def _entry(point: EntryPoint, dist: Distribution, fault: Exception | None) -> Entry:
    return Entry(_GROUPS[point.group], point.name, dist, point, fault or _fault(point))


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
