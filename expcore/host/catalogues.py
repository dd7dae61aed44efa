"""Catalogues: all that plugins provide, by kind, with who provides it and whether it is switched off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from expcore.calling import check_ran, describe, no_exit
from expcore.errors import InvalidArgument, PluginError
from expcore.host.discovery import OBSERVERS, Entry, bad_name
from expcore.host.registry import Registry, catalogue_hook
from expcore.host.resolution import BROKEN, Candidate
from expcore.host.selection import Selection
from expcore.types import Component


class Catalogues:
    """Collects what plugins answer, and keeps it until another plugin is registered."""

    def __init__(self, registry: Registry, selection: Selection) -> None:
        self._registry, self._selection = registry, selection
        self._kept: dict[str, tuple[int, list[tuple[Entry, Candidate]]]] = {}

    def candidates(self, kind: str, name: str) -> list[Candidate]:
        """Returns everything that provides a name, marked where it is known to be broken."""
        found = [(entry, c) for entry, c in self._offered(kind) if c.component.name == name]
        return [
            replace(c, status=BROKEN) if self.broken(entry, f"{kind}/{name}") else c for entry, c in found
        ]

    def names(self, kind: str, *, blocked: bool = True) -> list[str]:
        """Returns the names of a kind, sorted; with or without those that are switched off."""
        return sorted({c.component.name for _, c in self._offered(kind) if blocked or c.blocked is None})

    def components(self, kind: str) -> list[Component]:
        """Returns what is not switched off, by name, then distribution."""
        found = [c.component for _, c in self._offered(kind) if c.blocked is None]
        return sorted(found, key=lambda component: (component.name, component.dist))

    def broken(self, entry: Entry, label: str) -> bool:
        """Whether something is known to be unusable, without importing it."""
        return self._registry.failed(entry.dist.name, label) or entry.missing()

    def _offered(self, kind: str) -> list[tuple[Entry, Candidate]]:
        registry, hook = self._registry, catalogue_hook(kind)
        registry.discover()
        changes, offered = self._kept.get(kind, (-1, []))
        if changes == registry.changes:
            return offered
        changes, offered = registry.changes, []
        for _, entry, call in registry.callers(hook):
            try:
                with no_exit(f"{hook}()"):
                    answers = [self._read(entry, kind, answer) for answer in call()]
            except Exception as error:
                registry.fail(entry, "catalogue", error)
                continue
            offered += [
                (entry, self._candidate(entry, component))
                for component in self._named(entry, kind, [c for answer in answers for c in answer])
            ]
        for key, entry in registry.entries.items():
            if entry.kind == kind and registry.blocked(key):
                component = Component(kind, entry.name, entry.load, target=entry.target)
                offered.append((entry, self._candidate(entry, component)))
        self._kept[kind] = changes, offered
        return offered

    def _read(self, entry: Entry, kind: str, answer: Any) -> list[Component]:
        """Reads what one plugin answered: components, or a mapping from name to factory."""
        if isinstance(answer, Mapping):
            answer = [
                Component(kind, name, partial(_same, factory), target=describe(factory))
                for name, factory in answer.items()
            ]
        check_ran(answer, f"{catalogue_hook(kind)}()", generators=True)
        components = list(answer)
        for component in components:
            if not isinstance(component, Component) or component.kind != kind:
                raise PluginError(
                    f"{catalogue_hook(kind)}() gave {component!r}; "
                    f"give Components of kind {kind!r}, or a mapping from name to factory"
                )
        return components

    def _named(self, entry: Entry, kind: str, components: list[Component]) -> list[Component]:
        """Leaves out what a plugin worked out under a name that nobody could ask for."""
        if entry.kind != OBSERVERS:
            return components  # what is declared under such a name is told at discovery, and shown as broken
        wrong = [component.name for component in components if bad_name(component.name)]
        if wrong:
            error = InvalidArgument(
                f"{catalogue_hook(kind)}() gave names that are left out: {', '.join(map(repr, wrong))}; "
                "only letters, digits, '_', '.' and '-' are allowed"
            )
            self._registry.fail(entry, "catalogue", error)
        return [component for component in components if not bad_name(component.name)]

    def _candidate(self, entry: Entry, component: Component) -> Candidate:
        """Adds who really provides a component, whatever it says itself."""
        owned = replace(
            component,
            load=partial(self._registry.load, entry, component),
            dist=entry.dist.name,
            version=entry.dist.version,
        )
        blocked = self._selection.blocked(Entry(component.kind, component.name, entry.dist))
        # What is registered in code is there from the start, so it counts like a declared one.
        return Candidate(owned, blocked=blocked, at_run_time=entry.kind == OBSERVERS and entry.target != "")


def _same(factory: Any) -> Any:
    return factory
