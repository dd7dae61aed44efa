"""Kinds of components as the suite knows them: their clauses, what they may declare, how they are tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from expcore.conformance.case import Case
from expcore.conformance.clause import Clause, Clauses
from expcore.errors import InvalidArgument, InvalidType, listing, nearest

KINDS = {
    "estimator": "estimators",
    "schedule": "schedules",
    "exporter": "exporters",
    "hook": "hooks",
    "predicate": "predicates",
    "observer": "observers",
}
"""Each kind and the package of its clauses."""

GROUPS = {**{plural: kind for kind, plural in KINDS.items() if kind != "observer"}, "plugins": "observer"}
"""The kind by what stands behind ``expcore.`` in the name of its entry-point group."""


def _no_forms(_component: Any) -> frozenset[str]:
    return frozenset()


@dataclass(frozen=True)
class Kind:
    """One kind.

    Attributes:
        name: such as "exporter".
        case: what a clause of it is tried on.
        clauses: all of them.
        capabilities: what a component may declare, and what that means.
        forms: tells the forms of a component, such as "format"; a clause may be for some of them only. One
            that names ``case`` is given one, to try the component with.
    """

    name: str
    case: type[Case]
    clauses: Clauses
    capabilities: Mapping[str, str] = field(default_factory=dict)
    forms: Callable[..., frozenset[str]] = _no_forms

    def clause(self, wanted: str) -> Clause:
        """Returns a clause by its id.

        Raises:
            InvalidArgument: there is none.
        """
        found = {clause.id: clause for clause in self.clauses}
        if wanted not in found:
            raise InvalidArgument(
                f"clause {wanted!r}: kind {self.name!r} has none of that id{nearest(str(wanted), found)}; "
                f"see {next(iter(found.values())).link.partition('#')[0]}"
            )
        return found[wanted]


def load_kind(name: str) -> Kind:
    """Returns a kind by its name; the plural, and "plugin" for an observer, will do.

    Raises:
        InvalidArgument: there is no such kind.
        InvalidType: it is not a string.
    """
    if not isinstance(name, str):
        raise InvalidType(f"kind is {name!r}; it must be one of {listing(list(KINDS))}")
    short = GROUPS.get(name) or GROUPS.get(f"{name}s") or name
    short = next((kind for kind, plural in KINDS.items() if short in (kind, plural)), "")
    if not short:
        raise InvalidArgument(f"kind {name!r}: it is not among {listing(list(KINDS))}{nearest(name, KINDS)}")
    kind: Kind = import_module(f"expcore.conformance.{KINDS[short]}").KIND
    return kind
