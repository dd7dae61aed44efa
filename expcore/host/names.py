"""Names: the one spelling of a distribution's name, and what a component may be called."""

from __future__ import annotations

import re

from expcore.errors import InvalidArgument

_NAME = re.compile(r"[\w.-]+")  # so that tokens and qualified names can speak of it


def canonical(name: str) -> str:
    """Returns a distribution's name in the one spelling that all of its spellings share (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def bad_name(name: object) -> InvalidArgument | None:
    """Returns what is wrong with a component's name; None where nothing is."""
    if isinstance(name, str) and _NAME.fullmatch(name):
        return None
    return InvalidArgument(f"name {name!r}: only letters, digits, '_', '.' and '-' are allowed")
