"""Leftovers: metadata folders of one distribution side by side, as a broken upgrade leaves them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import importlib_metadata

from expcore.host.names import canonical

_ENDINGS = (".dist-info", ".egg-info")


def settled() -> dict[str, Any]:
    """Returns, for each distribution with several metadata folders in one place, the one that counts.

    ``importlib_metadata`` takes the one that the file system happens to list first. Here metadata that can be
    read count before those that cannot, then .dist-info before .egg-info, then the newest version.
    Distributions that are there once, or earlier on ``sys.path``, are left to ``importlib_metadata``.

    Returns:
        ``importlib_metadata`` distributions by canonical name; mostly none.
    """
    found = {}
    for folder in dict.fromkeys(sys.path):
        here: dict[str, list[str]] = {}
        for child in _listed(folder):
            if child.lower().endswith(_ENDINGS):
                here.setdefault(_name(child), []).append(child)
        for name, children in here.items():
            if len(children) > 1 and _first(name) == Path(folder):
                best = max(children, key=lambda child: _rank(Path(folder, child)))
                found[name] = importlib_metadata.Distribution.at(Path(folder, best))
    return found


def _first(name: str) -> Path:
    """Returns the place on the path, a zip file included, in which a distribution is found first."""
    return Path(str(importlib_metadata.distribution(name).locate_file("")))


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder or ".")
    except OSError:
        return []  # a zip file, or nothing at all


def _name(child: str) -> str:
    return canonical(child.rpartition(".")[0].partition("-")[0])


def _rank(path: Path) -> tuple[bool, bool, Any, str]:
    from packaging.version import InvalidVersion, Version

    readable = any((path / name).is_file() for name in ("METADATA", "PKG-INFO"))
    text = path.name.rpartition(".")[0].partition("-")[2]
    try:
        version = Version(text.partition("-")[0])
    except InvalidVersion:
        version = Version("0.dev0")
    return readable, path.suffix == ".dist-info", version, path.name
