"""The pages of conformance: current, complete, and every clause stands on a promise of the documents."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from expcore.conformance import KINDS, load_kind
from expcore.conformance.mutants import load_proof
from expcore.host.discovery import BUILTIN
from expcore.testing import PluginSandbox

ROOT = Path(__file__).resolve().parents[2]
CLAUSES = [clause for kind in KINDS for clause in load_kind(kind).clauses]
BUILT_INS = {
    component.name
    for kind in ("estimators", "schedules", "exporters", "hooks", "predicates")
    for component in PluginSandbox(builtins=True).host.catalogue(kind)
    if component.dist == BUILTIN
}
WORDS = {"train", "evaluate", "test", "final", "latest", "best", "steps", "keras", "logging"}
"""Names of built-ins that are also words which a suite cannot do without."""


def anchors(path):
    prose = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_page_of_clauses_is_current():
    spec = importlib.util.spec_from_file_location("maker", ROOT / "tools/make_conformance_reference.py")
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    written = (ROOT / "docs/conformance-clauses.md").read_text()
    assert written == maker.page().rstrip() + "\n", "run: python tools/make_conformance_reference.py"


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.id)
def test_a_clause_says_where_the_documents_promise_it(clause):
    file, _, anchor = clause.page.partition("#")
    page = ROOT / "docs" / file
    assert page.exists()
    assert anchor, "name the section, not only the page"
    assert anchor in anchors(page)


@pytest.mark.parametrize("kind", KINDS)
def test_the_ids_of_a_kind_are_numbered_without_a_gap(kind):
    found = [clause.id for clause in load_kind(kind).clauses]
    prefix = found[0].partition("-")[0]
    assert found == [f"{prefix}-{n:03d}" for n in range(1, len(found) + 1)]


def test_the_prefixes_of_the_kinds_differ_and_no_promise_is_there_twice():
    prefixes = {load_kind(kind).clauses.prefix for kind in KINDS}
    assert len(prefixes) == len(KINDS)
    titles = [(clause.id[:3], clause.title) for clause in CLAUSES]
    assert len(set(titles)) == len(titles)
    assert [clause.id for clause in CLAUSES if clause.hint.endswith(".")] == []


def test_there_are_more_than_a_hundred_clauses_of_which_more_than_25_are_of_estimators():
    assert len(CLAUSES) >= 100
    assert len(load_kind("estimator").clauses) >= 25
    assert sum(len(load_proof(kind).mutants) for kind in KINDS) >= len(CLAUSES)


def test_the_suite_knows_no_built_in_by_name():
    names = {name for name in BUILT_INS if name not in WORDS}
    assert len(names) > 20
    for path in sorted((ROOT / "expcore/conformance").rglob("*.py")):
        text = path.read_text()
        assert "expcore_plugins" not in text, path
        assert [name for name in names if re.search(rf"['\"`:]{name}['\"`:]", text)] == [], path


@pytest.mark.parametrize("kind", KINDS)
def test_every_capability_is_used_and_those_of_clauses_are_declared(kind):
    found = load_kind(kind)
    used = {clause.capability for clause in found.clauses if clause.capability}
    assert used <= set(found.capabilities)
    folder = ROOT / "expcore/conformance" / KINDS[kind]
    code = "".join(path.read_text() for path in folder.glob("*.py") if path.name != "__init__.py")
    for capability in found.capabilities:
        assert capability in used or f'"{capability}"' in code
