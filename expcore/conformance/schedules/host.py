"""The plugin host of a trial: the schedule under a name, and what expcore brings but its observers."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import importlib_metadata

from expcore.host import PluginHost
from expcore.testing import PluginSandbox


@dataclass(frozen=True)
class _Distribution:
    name: str
    version: str


@dataclass(frozen=True)
class _Point:
    """An entry point whose distribution was read already.

    Read later it might not be found any more, since a trial has a working directory of its own.
    """

    group: str
    name: str
    value: str
    module: str
    dist: _Distribution
    _point: Any = field(repr=False)

    def load(self) -> Any:
        return self._point.load()


def trial_host(name: str, schedule: Any) -> PluginHost:
    """Returns a host in which a schedule has a name.

    Other components are there because a schedule may be made of them; observers are not, since they would
    add hooks of their own.
    """
    host = PluginSandbox().add("schedules", name, schedule).host
    for point in _points():
        host.admit(point)
    return host


@lru_cache(maxsize=1)
def _points() -> tuple[_Point, ...]:
    found = importlib_metadata.distribution("expcore")
    dist = _Distribution(found.name, found.version)
    return tuple(
        _Point(p.group, p.name, p.value, p.module, dist, p)
        for p in found.entry_points
        if p.group.startswith("expcore.") and p.group not in ("expcore.plugins", "expcore.conformance")
    )
