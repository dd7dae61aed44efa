"""Overview: every plugin with its status, and what every name stands for, for people and for the record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from expcore.errors import one_line
from expcore.host.catalogues import Catalogues
from expcore.host.discovery import OBSERVERS, Entry
from expcore.host.registry import Registry
from expcore.host.resolution import ACTIVE, BLOCKED, BROKEN, CONFLICT, Resolution
from expcore.types import Component


@dataclass(frozen=True)
class PluginStatus:
    """One plugin as ``expcore plugins list`` shows it; the fields are its columns."""

    kind: str
    name: str
    provider: str
    version: str
    status: str
    target: str


class Overview:
    """Tells what there is, from what the registry and the catalogues know; imports nothing."""

    def __init__(self, registry: Registry, catalogues: Catalogues) -> None:
        self._registry, self._catalogues = registry, catalogues

    def components(self, resolutions: Iterable[Resolution]) -> list[PluginStatus]:
        """Returns a row for each candidate of each name."""
        return [
            PluginStatus(found.kind, found.name, c.dist, c.component.version, c.status, c.component.target)
            for found in resolutions
            for c in found.candidates
        ]

    def observers(self) -> list[PluginStatus]:
        """Returns a row for each observer."""
        return [
            PluginStatus(
                OBSERVERS, e.name, e.dist.shown, e.dist.version, self._observer_status(key, e), e.target
            )
            for key, e in sorted(self._observers(), key=lambda item: (item[1].name, item[0]))
        ]

    def snapshot(self, resolutions: Iterable[Resolution], settings: dict[str, Any] | None) -> dict[str, Any]:
        """Returns everything as JSON data; ``PluginHost.snapshot`` says what is in it."""
        return {
            "components": {f"{r.kind}/{r.name}": told for r in resolutions if (told := _meaning(r))},
            "plugins": {
                key: {"dist": e.dist.shown, "version": e.dist.version, "target": e.target}
                for key, e in self._observers()
                if self._observer_status(key, e) == ACTIVE
            },
            "blocked": [key for key in self._registry.entries if self._registry.blocked(key)],
            "failures": [
                {
                    "dist": f.dist,
                    "version": f.version,
                    "entry": f.entry,
                    "phase": f.phase,
                    "error": one_line(f.error),
                }
                for f in self._registry.failures
            ],
            "settings": settings,
        }

    def _observers(self) -> Iterator[tuple[str, Entry]]:
        return ((key, e) for key, e in self._registry.entries.items() if e.kind == OBSERVERS)

    def _observer_status(self, key: str, entry: Entry) -> str:
        if self._registry.blocked(key):
            return BLOCKED
        if self._registry.twice(entry):
            return CONFLICT
        return BROKEN if self._catalogues.broken(entry, entry.label) else ACTIVE


def _meaning(found: Resolution) -> dict[str, Any] | None:
    if found.winner is not None:
        return {**_told(found.winner), "replaced": _told(found.replaced) if found.replaced else None}
    if found.rule == CONFLICT:
        return {"conflict": [_told(c.component) for c in found.candidates if c.status == CONFLICT]}
    return None


def _told(component: Component) -> dict[str, str]:
    return {"dist": component.dist, "version": component.version, "target": component.target}
