"""Who is in a conflict, those that are broken too: nothing says of these either that they do not count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from expcore.cli.source import AttributeMissing, ModuleBroken, ModuleMissing, Sources
from expcore.host.discovery import BUILTIN
from expcore.host.resolution import BROKEN

if TYPE_CHECKING:
    from expcore.host import Resolution
    from expcore.host.resolution import Candidate


def rivals(found: Resolution, sources: Sources, asked: str = "") -> list[Candidate]:
    """Returns the candidates between which nothing decided, those that work first.

    Args:
        found: what the host says of the name; its rule is "conflict".
        sources: where plugins are looked for.
        asked: the distribution that a qualified name asks for; "": the name is not qualified.
    """
    wanted = asked or (found.choice.dist if found.choice is not None else "")
    pool = [c for c in found.candidates if c.blocked is None and wanted in ("", c.dist)]
    pool = [c for c in pool if not c.at_run_time] or pool
    third = pool if wanted else [c for c in pool if c.dist != BUILTIN]
    return sorted(third or pool, key=lambda c: is_broken(c, sources))


def is_broken(candidate: Candidate, sources: Sources) -> bool:
    """Whether a candidate surely cannot be imported, as far as can be told without importing."""
    if candidate.status == BROKEN:
        return True
    try:
        sources.target(candidate.component.target)
    except (ModuleMissing, ModuleBroken, AttributeMissing):
        return bool(candidate.component.target)
    return False
