"""Writes docs/conformance-clauses.md from the clauses, as ``python tools/make_conformance_reference.py``."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from expcore.conformance import KINDS, Clause, Kind, load_kind

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "conformance-clauses.md"

_HEAD = """\
# The clauses of conformance

<!-- Written by tools/make_conformance_reference.py from expcore/conformance/; edit the clauses instead. -->

[Conformance](conformance.md) says how to try a component on them. An id never changes its meaning. MUST: a
component that does not keep it is wrong. SHOULD: it is told, and counts where you ask for it.

"""


def page() -> str:
    """Returns the page's text."""
    kinds = [load_kind(name) for name in KINDS]
    rows = [_row(kind) for kind in kinds]
    table = ["| kind | clauses | MUST | SHOULD |", "|---|---|---|---|", *rows, _total(kinds)]
    return _HEAD + "\n".join([*table, "", *(line for kind in kinds for line in _kind(kind))])


def _levels(kind: Kind) -> tuple[int, int]:
    must = sum(clause.level == "MUST" for clause in kind.clauses)
    return must, len(kind.clauses) - must


def _row(kind: Kind) -> str:
    must, should = _levels(kind)
    title = KINDS[kind.name].capitalize()
    return f"| [{title}](#{KINDS[kind.name]}) | {must + should} | {must} | {should} |"


def _total(kinds: list[Kind]) -> str:
    must, should = (sum(n) for n in zip(*map(_levels, kinds), strict=True))
    return f"| all | {must + should} | {must} | {should} |"


def _kind(kind: Kind) -> Iterator[str]:
    yield f"## {KINDS[kind.name].capitalize()}\n"
    if kind.capabilities:
        yield "Capabilities that a component may declare:\n"
        yield "| capability | means |"
        yield "|---|---|"
        yield from (f"| `{name}` | {_markdown(text)} |" for name, text in kind.capabilities.items())
        yield ""
    for clause in kind.clauses:
        yield from _clause(clause)


def _clause(clause: Clause) -> Iterator[str]:
    yield f"### {clause.id}\n"
    yield f"**{clause.level}** {_markdown(clause.title)}.{_space(_markdown(clause.about))}\n"
    facts = [f"Since {clause.since}. Promised in [{clause.page}]({clause.page})."]
    if clause.capability:
        facts.append(f"Only where the capability `{clause.capability}` is declared.")
    if clause.forms:
        facts.append(f"Only for components of the form {_words(clause.forms)}.")
    if clause.needs:
        facts.append(f"Needs {_words(clause.needs)}.")
    if clause.after:
        links = ", ".join(f"[{own}](#{own.lower()})" for own in clause.after)
        facts.append(f"Blocked where {links} did not pass.")
    yield " ".join(facts) + "\n"
    yield f"To mend it: {_markdown(clause.hint)}.\n"


def _words(words: tuple[str, ...]) -> str:
    return " or ".join(f"`{word}`" for word in words)


def _space(text: str) -> str:
    return f" {text}" if text else ""


def _markdown(text: str) -> str:
    return re.sub(r"``(.+?)``", r"`\1`", text).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page().rstrip() + "\n")
    sys.stdout.write(f"{PAGE.name} is written\n")
