"""Mutant: a component that breaks one promise, and which clause has to catch it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

from expcore.conformance.case import Sample
from expcore.conformance.kind import KINDS


@dataclass(frozen=True)
class Mutant:
    """A component that is wrong in one thing.

    Attributes:
        clause: id of the clause that has to catch it.
        breaks: what is wrong with it, in a few words; unlike that of every other mutant.
        sample: makes it.
        also: other clauses that fail too, because the one mistake really breaks their promises as well.
    """

    clause: str
    breaks: str
    sample: Sample
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proof:
    """What proves the clauses of a kind.

    Attributes:
        references: samples by name that pass every clause; together they try each one.
        mutants: at least one a clause.
    """

    references: Mapping[str, Sample]
    mutants: Sequence[Mutant]


def load_proof(kind: str) -> Proof:
    """Returns the proof of a kind's clauses; ``kind`` is its short name, such as "exporter"."""
    proof: Proof = import_module(f"expcore.conformance.mutants.{KINDS[kind]}").PROOF
    return proof
