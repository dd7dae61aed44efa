"""Installed distributions: what their metadata says, however much of it is damaged. Imports no plugin."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from expcore.errors import UnknownComponent, listing, nearest, one_line
from expcore.host.discovery import BUILTIN, Entry, canonical, discover

if TYPE_CHECKING:
    from packaging.requirements import Requirement

UNREADABLE = "(unreadable)"
"""What is shown for a field that cannot be read."""


@dataclass(frozen=True, eq=False)
class Installed:
    """One distribution on the path; every field is there, whatever the metadata looks like.

    Attributes:
        name: its canonical name.
        metadata: the ``importlib_metadata.Distribution``.
        version: the version, that of the folder where METADATA cannot be read; "" where neither tells.
    """

    name: str
    metadata: Any
    version: str

    def field(self, name: str) -> str:
        """Returns a field of METADATA; "" where there is none, or it cannot be read."""
        try:
            return str(self.metadata.metadata.get(name) or "")
        except Exception:  # whatever a damaged file gives: the field is not to be had
            return ""

    @property
    def shown(self) -> str:
        """The name as its author writes it."""
        return self.field("Name") or self.name

    @cached_property
    def place(self) -> str:
        """The folder on ``sys.path`` that holds it."""
        try:
            return os.path.realpath(str(self.metadata.locate_file("")))
        except Exception:  # a finder of its own need not have files
            return UNREADABLE

    @property
    def editable(self) -> str | None:
        """The folder of the source of an editable installation; None for another one."""
        try:
            told = json.loads(self.metadata.read_text("direct_url.json") or "{}")
            if told.get("dir_info", {}).get("editable"):
                return unquote(urlparse(told["url"]).path)
        except Exception:  # a damaged file says nothing
            return None
        return None

    @property
    def entry_points(self) -> str:
        """The text of entry_points.txt; "" where there is none, or it cannot be read."""
        try:
            return self.metadata.read_text("entry_points.txt") or ""
        except Exception:  # not text
            return ""

    @cached_property
    def unreadable(self) -> str | None:
        """Why entry_points.txt cannot be read; None where it can, or is not there."""
        try:
            list(self.metadata.entry_points)
        except Exception as error:  # not UTF-8, or not of the form; how that shows depends on the version
            return one_line(error)
        return None

    @property
    def groups(self) -> set[str]:
        """The groups of entry points that it has; none where they cannot be read."""
        return set() if self.unreadable else {point.group for point in self.metadata.entry_points}

    @cached_property
    def requirements(self) -> list[Requirement]:
        """What it requires of expcore, where the environment of this process counts; [] for nothing."""
        from packaging.requirements import Requirement

        found = []
        try:
            lines = self.metadata.requires or []
        except Exception:  # damaged metadata requires nothing that could be told
            lines = []
        for line in lines:
            try:
                requirement = Requirement(line)
                if canonical(requirement.name) == BUILTIN and _counts(requirement):
                    found.append(requirement)
            except ValueError:  # no requirement, or its marker compares what cannot be compared
                continue
        return found

    def entries(self) -> list[Entry]:
        """Its plugins, by kind and name, those with a fault among them."""
        return [entry for entry in discover() if entry.dist.name == self.name]


def _counts(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def installed() -> Iterator[Installed]:
    """Yields each distribution on the path, of each name first the one that counts; nothing half removed."""
    from expcore.host import metadata

    for found in metadata.installed():
        if found.name and not found.half_removed:
            yield Installed(found.name, found.metadata, found.version)


def half_removed() -> list[str]:
    """Returns the folders that an uninstallation left behind."""
    from expcore.host import metadata

    return [found.folder for found in metadata.installed() if found.half_removed]


def find_installed(name: str) -> Installed:
    """Returns the distribution of a name, the first on the path.

    Raises:
        UnknownComponent: none is called so, or it has no plugins.
    """
    wanted = canonical(name)
    found = next((dist for dist in installed() if dist.name == wanted), None)
    providers = sorted({entry.dist.name for entry in discover()} - {""})
    if found is not None and (
        found.name in providers or "[expcore." in found.entry_points or found.unreadable
    ):
        return found
    what = "it is not installed" if found is None else "it provides no plugin of expcore"
    raise UnknownComponent(
        f"distribution {name!r}: {what}{nearest(wanted, providers)}; plugins come from {listing(providers)}"
    )


def core_version() -> str:
    """The version of the expcore that runs."""
    import importlib_metadata

    return str(importlib_metadata.version(BUILTIN))
