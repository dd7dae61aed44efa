"""Metadata: the metadata folders on the path, which of one distribution's counts, and what each declares."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import Any

import importlib_metadata

from expcore.calling import describe
from expcore.errors import InvalidArgument
from expcore.host.names import canonical

_FOLDER = re.compile(r"(?P<name>[^-]+)(?:-(?P<version>[^-]+).*)?\.(?:dist|egg)-info", re.IGNORECASE)
_OURS = re.compile(rb"^\s*\[\s*expcore\.", re.IGNORECASE | re.MULTILINE)
_MARKS = re.compile(rb"\0|\xef\xbb\xbf|\xff\xfe|\xfe\xff")  # of UTF-16, and byte order marks
_OPEN = re.compile(r"^\s*(\[\s*expcore\.[^\]\n]*)$", re.IGNORECASE | re.MULTILINE)


class DamagedMetadata(InvalidArgument):
    """The METADATA of a distribution cannot be read.

    Attributes:
        folder: the metadata folder.
    """

    def __init__(self, folder: str, why: str) -> None:
        super().__init__(f"{folder}: {why}")
        self.folder = folder


@dataclass(frozen=True, eq=False)
class Found:
    """One metadata folder on the path.

    Its name is that of METADATA; of the folder where METADATA cannot be read, or where the distribution
    declares nothing for expcore, so that few files are opened.

    Attributes:
        metadata: the ``importlib_metadata.Distribution``.
    """

    metadata: Any

    @cached_property
    def folder(self) -> str:
        """The metadata folder; "" where a finder of its own has none."""
        return str(getattr(self.metadata, "_path", "")).rstrip("/")

    @cached_property
    def place(self) -> str:
        """The folder on ``sys.path``, or the zip file, that it is in."""
        return os.path.dirname(self.folder)

    @property
    def half_removed(self) -> bool:
        """Whether pip began to uninstall it and was stopped: it renames to ``~`` first, and ignores those."""
        return os.path.basename(self.folder).startswith("~")

    @cached_property
    def raw(self) -> bytes:
        """The bytes of entry_points.txt; empty where there are none, or they cannot be had."""
        try:
            if self.folder:
                return bytes(self.metadata._path.joinpath("entry_points.txt").read_bytes())
            return str(self.metadata.read_text("entry_points.txt") or "").encode()
        except Exception:  # not there, a directory, not allowed; or a finder's own fault
            return b""

    @cached_property
    def concerns_us(self) -> bool:
        """Whether it declares something in a group that begins with ``expcore.``."""
        return _OURS.search(_MARKS.sub(b"", self.raw)) is not None

    @cached_property
    def _read(self) -> tuple[str, str, str]:
        """Name, version, and why there is no name; METADATA is parsed once."""
        try:
            fields = self.metadata.metadata
            name, version = str(fields.get("Name") or ""), str(fields.get("Version") or "")
        except UnicodeDecodeError:
            return "", "", "its METADATA is not UTF-8"
        except Exception:  # how a missing file shows depends on the version of importlib_metadata
            return "", "", "its METADATA is missing or empty"
        return name, version, "" if name else "its METADATA gives no name"

    @cached_property
    def fault(self) -> DamagedMetadata | None:
        """Why its METADATA gives no name; None where it does."""
        why = self._read[2]
        return DamagedMetadata(self.folder or f"metadata of {describe(self.metadata)}", why) if why else None

    @cached_property
    def name(self) -> str:
        """The canonical name."""
        told = self._of_folder("name")
        return canonical(told if told and not self.concerns_us else self._read[0] or told)

    @property
    def version(self) -> str:
        """The version; "" where there is none."""
        return self._of_folder("version") if self.fault else self._read[1]

    def _of_folder(self, part: str) -> str:
        path = PurePath(self.folder)
        named = path.parent if path.name.upper() == "EGG-INFO" else path
        found = _FOLDER.fullmatch(re.sub(r"\.egg$", ".egg-info", named.name))
        return (found[part] or "") if found else ""

    @property
    def unreadable(self) -> str | None:
        """Why entry_points.txt cannot be read as text; None where it can."""
        if _MARKS.search(self.raw):
            return "it is UTF-16, or begins with a byte order mark; write it as plain UTF-8"
        try:
            text = self.raw.decode()
        except UnicodeDecodeError as error:
            return f"it is not UTF-8 (byte {error.start}); write it as plain UTF-8"
        opened = _OPEN.search(text)
        return f"{opened[1]!r} has no closing ']'" if opened else None


def installed(folders: Iterable[Any] | None = None) -> list[Found]:
    """Returns the metadata folders on the path; of one distribution, the first in the list counts.

    Of several with one name, readable ones come before damaged ones, then counts what is first on the path,
    and in one place .dist-info before .egg-info, then the newest version. What pip left half removed comes
    last of all, and never counts. The order in which a folder is listed decides nothing.

    Args:
        folders: ``importlib_metadata`` distributions to use instead of those on the path.
    """
    given = map(Found, importlib_metadata.distributions() if folders is None else folders)
    found = list(
        {each.folder or id(each): each for each in given}.values()
    )  # a place may be on the path twice
    places = {place: n for n, place in reversed(list(enumerate(f.place for f in found)))}
    groups: dict[tuple[bool, str], list[Found]] = {}
    for each in found:
        groups.setdefault((each.half_removed, each.name), []).append(each)
    for several in groups.values():
        if len(several) > 1:
            several.sort(key=_rank, reverse=True)
            several.sort(key=lambda each: (each.fault is not None, places[each.place]))
    return [each for _, several in sorted(groups.items()) for each in several]


def counting(found: Iterable[Found]) -> list[Found]:
    """Returns those of ``installed`` that count: the first of each name, and nothing half removed."""
    first: dict[str, Found] = {}
    for each in found:
        if not each.half_removed:
            first.setdefault(each.name, each)
    return list(first.values())


def _rank(found: Found) -> tuple[bool, Any, str]:
    from packaging.version import InvalidVersion, Version

    try:
        version = Version(found.version)
    except InvalidVersion:
        version = Version("0.dev0")
    return found.folder.endswith(".dist-info"), version, found.folder
