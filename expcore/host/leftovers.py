"""Leftovers: metadata folders of one distribution on the path, as a broken upgrade leaves them."""

from __future__ import annotations

from typing import Any

from expcore.host.metadata import counting, installed


def settled() -> dict[str, Any]:
    """Returns, for each distribution with several metadata folders on the path, the one that counts.

    Returns:
        ``importlib_metadata`` distributions by canonical name; mostly none.
    """
    found = installed()
    names = [each.name for each in found]
    return {each.name: each.metadata for each in counting(found) if names.count(each.name) > 1}
