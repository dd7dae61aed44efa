"""Writes docs/hook-reference.md from expcore/hookspecs.py, as ``python tools/make_hook_reference.py``."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from expcore import hookspecs, types

PAGE = Path(__file__).resolve().parents[1] / "docs" / "hook-reference.md"
RECORDS = ("Checkpoint", "Evaluation", "Export", "TrainingEnd", "Component")

_SECTION = re.compile(r"# --- (.+?) -+\n((?:# .*\n)*)")
_ATTRIBUTE = re.compile(r"^(\w+): (.*)$")
_HEAD = """\
# Hook reference

<!-- Written by tools/make_hook_reference.py from expcore/hookspecs.py; edit that file instead. -->

[Writing a plugin](writing-a-plugin.md#an-observer) shows how to use these.
`experiment` is the `expcore.Experiment`.
"""


def page() -> str:
    """Returns the page's text."""
    source = inspect.getsource(hookspecs)
    parts = [_HEAD, _markdown(inspect.getdoc(hookspecs) or "")]
    starts = [(match.start(), match) for match in _SECTION.finditer(source)]
    body = ast.parse(source).body
    functions = [node for node in body if isinstance(node, ast.FunctionDef)]
    aliases = {ast.unparse(n.targets[0]): ast.unparse(n.value) for n in body if isinstance(n, ast.Assign)}
    for i, (start, match) in enumerate(starts):
        end = starts[i + 1][0] if i + 1 < len(starts) else len(source)
        first, last = (source.count("\n", 0, at) + 1 for at in (start, end))
        parts.append(f"## {match[1]}\n")
        if match[2]:
            parts.append(_markdown(re.sub(r"^# ", "", match[2], flags=re.MULTILINE)))
        parts += [_hook(f, aliases) for f in functions if first <= f.lineno < last]
    parts += ["## What hooks are given\n", *map(_record, RECORDS)]
    return "\n".join(parts)


def _hook(function: ast.FunctionDef, aliases: Mapping[str, str]) -> str:
    typed = {a.arg: ast.unparse(a.annotation) for a in function.args.args if a.annotation}
    returned = ast.unparse(function.returns) if function.returns else "None"
    lines = [f"### `{function.name}({', '.join(typed)})`\n", _markdown(ast.get_docstring(function) or "")]
    facts = [f"`{name}` is a `{kind}`" for name, kind in typed.items() if kind != "Any"]
    if returned != "None":
        facts.append(f"returns `{aliases.get(returned, returned)}`")
    if facts:
        lines.append(f"Types: {', '.join(facts)}.\n")
    return "\n".join(lines)


def _record(name: str) -> str:
    record = getattr(types, name)
    about, _, attributes = (inspect.getdoc(record) or "").partition("Attributes:")
    meanings = dict(_attributes(attributes))
    rows = [
        f"| `{field.name}` | `{_cell(str(field.type))}` | {_cell(meanings.get(field.name, ''))} |"
        for field in dataclasses.fields(record)
    ]
    return "\n".join(
        [f"### `{name}`\n", _markdown(about), "| attribute | type | meaning |", "|---|---|---|", *rows, ""]
    )


def _attributes(text: str) -> Iterator[tuple[str, str]]:
    """Yields names and meanings; what is indented deeper goes on with the line before."""
    joined = re.sub(r"\n {4,}", " ", textwrap.dedent(text.strip("\n")))
    for line in joined.splitlines():
        found = _ATTRIBUTE.match(line)
        if found:
            yield found[1], _markdown(found[2]).strip()


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _markdown(text: str) -> str:
    return re.sub(r"``(.+?)``", r"`\1`", text.strip()) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.stdout.write(f"{PAGE.name} is written\n")
