"""Resolution: which plugin a name stands for, by which rule, and how to change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from expcore.errors import ComponentConflict, ExpcoreError, UnknownComponent, listing, nearest
from expcore.host.discovery import BUILTIN, SHOWN_IN_CODE, canonical
from expcore.host.selection import Choice
from expcore.types import Component

ACTIVE, SHADOWED, BLOCKED, BROKEN, CONFLICT = "active", "shadowed", "blocked", "broken", "conflict"
QUALIFIED, CHOICE, THIRD_PARTY, BUILT_IN, UNKNOWN = (
    "qualified name",
    "choice",
    "third party",
    "built-in",
    "unknown",
)


@dataclass(frozen=True)
class Candidate:
    """One plugin that provides a name.

    Attributes:
        component: what it provides.
        status: "active" (what the name stands for), "shadowed" (another one is), "blocked", "broken" or
            "conflict" (several third parties, and nothing says which).
        blocked: why it is switched off; None where it is not.
        at_run_time: whether an imported plugin worked it out; such a one never replaces a declared one, so
            that a name means the same before and after that plugin is imported.
    """

    component: Component
    status: str = SHADOWED
    blocked: str | None = None
    at_run_time: bool = False

    @property
    def dist(self) -> str:
        """The distribution, or "code"."""
        return self.component.dist or SHOWN_IN_CODE


@dataclass(frozen=True)
class Resolution:
    """What a name stands for, and why.

    Attributes:
        kind: the kind.
        name: the name, without a distribution.
        candidates: everything that provides it, sorted by distribution.
        winner: what it stands for; None where nothing does.
        rule: the rule that decided: "qualified name", "choice", "third party", "built-in"; "conflict",
            "blocked" or "unknown" where none could.
        change: how to have another one.
        error: what asking for it raises; None where there is a winner.
        choice: the choice that the user made for the name, and where; None: none, or the name is qualified.
    """

    kind: str
    name: str
    candidates: tuple[Candidate, ...]
    winner: Component | None
    rule: str
    change: str
    error: ExpcoreError | None = None
    choice: Choice | None = None

    @property
    def replaced(self) -> Component | None:
        """The built-in that a third party has replaced; None where that is not so."""
        if self.winner is None or self.winner.dist == BUILTIN:
            return None
        here = (c.component for c in self.candidates if c.dist == BUILTIN and c.blocked is None)
        return next(here, None)


def decide(
    kind: str, name: str, dist: str, candidates: Sequence[Candidate], choice: Choice | None
) -> Resolution:
    """Applies the rules: qualified name, then choice, then third party, then built-in.

    Args:
        kind: the kind.
        name: the name.
        dist: the distribution that a qualified name asks for; "": the name is not qualified.
        candidates: everything that provides the name, also what is blocked or broken.
        choice: what the user chose for the name; None: no choice.
    """
    choice = None if dist else choice
    ordered = sorted(candidates, key=lambda c: (c.dist, c.component.target))
    open_ = [c for c in ordered if c.blocked is None]
    wanted = canonical(dist) if dist else choice.dist if choice else None
    if wanted is not None:
        rule = QUALIFIED if dist else CHOICE
        pool = _declared([c for c in open_ if c.dist == wanted])
    else:
        pool = _declared(open_)
        third = [c for c in pool if c.dist != BUILTIN]
        rule, pool = (THIRD_PARTY, third) if third else (BUILT_IN, pool)
    change = _change(kind, name, ordered)
    if len(pool) == 1:
        marked = _marked(ordered, pool, ACTIVE)
        return Resolution(kind, name, marked, pool[0].component, rule, change, choice=choice)
    if pool:
        error: ExpcoreError = ComponentConflict(_conflict(kind, name, pool))
        marked = _marked(ordered, pool, CONFLICT)
        return Resolution(kind, name, marked, None, CONFLICT, change, error, choice)
    rule, text = _nobody(kind, name, ordered, wanted)
    if choice is not None:
        text += f"; the choice {kind}/{name}={choice.dist} ({choice.source}) asks for it, change or drop it"
    marked = _marked(ordered, (), ACTIVE)
    return Resolution(kind, name, marked, None, rule, change, UnknownComponent(text), choice)


def unknown(kind: str, name: str, names: Sequence[str]) -> UnknownComponent:
    """Returns the error for a name that nothing provides; ``names`` are those that exist."""
    return UnknownComponent(
        f"{kind[:-1]} {name!r}: no installed plugin provides it{nearest(name, names)}; "
        f"available: {listing(sorted(names))}"
    )


def _declared(candidates: list[Candidate]) -> list[Candidate]:
    return [c for c in candidates if not c.at_run_time] or candidates


def _marked(candidates: Sequence[Candidate], pool: Sequence[Candidate], status: str) -> tuple[Candidate, ...]:
    def mark(candidate: Candidate) -> Candidate:
        if candidate.blocked is not None:
            return replace(candidate, status=BLOCKED)
        if candidate.status == BROKEN:
            return candidate
        return replace(candidate, status=status if candidate in pool else SHADOWED)

    return tuple(mark(candidate) for candidate in candidates)


def _told(candidates: Sequence[Candidate]) -> str:
    return ", ".join(f"{c.component.provider} ({c.component.target})" for c in candidates)


def _conflict(kind: str, name: str, pool: Sequence[Candidate]) -> str:
    pool = sorted(pool, key=lambda c: c.status == BROKEN)  # what works is to be chosen, not switched off
    label, last = f"{kind}/{name}", pool[-1].dist
    told = f"{kind[:-1]} {name!r}: {len(pool)} plugins provide it: {_told(pool)}; "
    if len({c.dist for c in pool}) == 1:
        return (
            f"{told}a distribution may declare a name only once; upgrade it, "
            f"or switch it off with EXPCORE_DISABLE={last}:{label}"
        )
    return (
        f"{told}choose one with --use {label}={pool[0].dist} (or EXPCORE_USE), switch one off with "
        f"EXPCORE_DISABLE={last}:{label}, or pip uninstall {last}"
    )


def _nobody(kind: str, name: str, candidates: Sequence[Candidate], dist: str | None) -> tuple[str, str]:
    here = [c for c in candidates if dist in (None, c.dist)]
    if here:
        reasons = "; ".join(f"{c.component.provider} is {c.blocked}" for c in here)
        return BLOCKED, f"{kind[:-1]} {name!r}: {reasons}"
    dists = sorted({c.dist for c in candidates})
    return UNKNOWN, (
        f"{kind[:-1]} {name!r}: {dist!r} does not provide it{nearest(dist or '', dists)}; "
        f"it is provided by {listing(dists)}"
    )


def _change(kind: str, name: str, candidates: Sequence[Candidate]) -> str:
    others = sorted({c.dist for c in candidates})
    if len(others) < 2:
        return "only one distribution provides it; install another one, or give an object in code"
    choices = " or ".join(f"--use {kind}/{name}={dist}" for dist in others)
    return (
        f"{choices}; EXPCORE_USE and use in pyproject.toml do the same, "
        f"and so does the name {others[0]}:{name}"
    )
