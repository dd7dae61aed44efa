"""The suite proves itself: each clause catches the mutants that break it, and the references pass all."""

from __future__ import annotations

import pytest

from expcore.conformance import KINDS, load_kind
from expcore.conformance.mutants import load_proof
from expcore.conformance.suite import Suite, available

pytestmark = pytest.mark.proof

PROOFS = {kind: load_proof(kind) for kind in KINDS}
REFERENCES = [(kind, name) for kind, proof in PROOFS.items() for name in proof.references]
MUTANTS = [
    pytest.param(kind, mutant, id=f"{mutant.clause} {mutant.breaks}")
    for kind, proof in PROOFS.items()
    for mutant in proof.mutants
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """What a mutant writes into the working directory is gone afterwards."""
    monkeypatch.chdir(tmp_path)


def suite(kind, sample, label="it"):
    return Suite(load_kind(kind), sample, label)


@pytest.mark.parametrize("kind", PROOFS)
def test_every_clause_has_a_mutant_and_every_mutant_a_clause(kind):
    clauses = {clause.id for clause in load_kind(kind).clauses}
    caught = {mutant.clause for mutant in PROOFS[kind].mutants}
    assert caught == clauses
    names = [(mutant.clause, mutant.breaks) for mutant in PROOFS[kind].mutants]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("kind", "name"), REFERENCES)
def test_a_reference_passes_every_clause(kind, name):
    report = suite(kind, PROOFS[kind].references[name]).report()
    report.raise_for_failures("should")
    untried = [r for r in report.results if r.status != "passed"]
    assert [r.message for r in untried if "is not here" not in r.message] == []


@pytest.mark.parametrize("kind", PROOFS)
def test_the_references_together_try_every_clause(kind):
    tried = {c.id for sample in PROOFS[kind].references.values() for c in suite(kind, sample).clauses}
    assert tried == {clause.id for clause in load_kind(kind).clauses}


@pytest.mark.parametrize(("kind", "mutant"), MUTANTS)
def test_a_mutant_is_caught_by_its_clause_and_by_no_other(kind, mutant):
    clause = load_kind(kind).clause(mutant.clause)
    assert all(map(available, clause.needs)), f"{clause.needs}: this test has to run where they are"
    report = suite(kind, mutant.sample).report()
    failed = {result.id for result in report.failures}
    assert mutant.clause in failed, f"{mutant.breaks}: not caught; {report.summary}"
    others = failed - {mutant.clause, *mutant.also}
    assert not others, "\n".join(r.message for r in report.failures if r.id in others)
    assert set(mutant.also) <= failed, "the list of other clauses is too long"
