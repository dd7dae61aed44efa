"""``expcore plugins why``: who provides a name, who wins, by which rule, and how to change it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from expcore.cli.choices import choice_options, choose, showing_host
from expcore.cli.output import fields, paragraph, tell
from expcore.errors import InvalidArgument, UnknownComponent, nearest

if TYPE_CHECKING:
    from expcore.cli.source import Sources
    from expcore.host import PluginHost, Resolution
    from expcore.types import Component

_RULES = {
    "qualified name": (2, "the name says which distribution"),
    "choice": (3, "it is chosen"),
    "third party": (4, "the only third party that has the name"),
    "built-in": (5, "the built-in; no third party has the name"),
    "conflict": (None, "several third parties have the name, and nothing says which"),
    "blocked": (None, "all that provides it is switched off"),
    "unknown": (None, "the distribution that is chosen does not provide it; chosen"),
}
"""Number, as in docs/plugins.md, and text by ``Resolution.rule``."""


@click.command()
@click.argument("component", metavar="KIND/NAME")
@choice_options
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def why(component: str, use: Sequence[str], off: Sequence[str], no_plugins: bool, form: str) -> None:
    """Tells what a name stands for, and which rule decides it.

    KIND/NAME is such as exporters/best; KIND/DIST:NAME asks for that distribution's. The options choose as
    those of "expcore run" do, so that a choice can be tried here first. Nothing is imported.
    """
    kind, name = _asked(component)
    choose(use, off, no_plugins=no_plugins)
    with showing_host() as host:
        told = _observers(host, name) if kind == "plugins" else _component(host, kind, name, use)
    if form == "json":
        click.echo(json.dumps(told, indent=2))
        return
    tell(_text(told))


def _asked(text: str) -> tuple[str, str]:
    from expcore.host.discovery import kind_of

    kind, slash, name = (part.strip() for part in text.partition("/"))
    if not (slash and name):
        raise InvalidArgument(f"component {text!r}: it is not of the form KIND/NAME, such as exporters/best")
    return kind_of(kind, observers=True), name


def _component(host: PluginHost, kind: str, name: str, use: Sequence[str]) -> dict[str, Any]:
    from expcore.cli.source import Sources
    from expcore.host.resolution import ACTIVE, UNKNOWN

    found, sources = host.explain(kind, name), Sources()
    if found.rule == UNKNOWN and found.choice is None and found.error is not None:
        raise found.error
    number, reason = _RULES[found.rule]
    label = f"{found.kind}/{found.name}"
    return {
        "component": label,
        "rule": found.rule,
        "number": number,
        "reason": f"{reason}; it replaces the built-in" if found.replaced and number == 4 else reason,
        "chosen_by": _origin(found, use),
        "winner": None if found.winner is None else _told(found.winner, sources),
        "candidates": [
            {**_told(c.component, sources), "status": c.status, "blocked": c.blocked}
            for c in sorted(found.candidates, key=lambda c: c.status != ACTIVE)
        ],
        "change": _ways(found, label, _dist_of(name), sources),
    }


def _observers(host: PluginHost, name: str) -> dict[str, Any]:
    """Observers are all called, so that there is nothing to decide between those of one name."""
    from expcore.cli.source import Sources

    dist, _, plain = name.rpartition(":")
    rows, sources = host.statuses("plugins"), Sources()
    same = [row for row in rows if row.name == plain and dist in ("", row.provider)]
    if not same:
        raise UnknownComponent(
            f"plugin {name!r}: no installed distribution provides it{nearest(plain, {r.name for r in rows})}"
        )
    return {
        "component": f"plugins/{plain}",
        "rule": "observers",
        "number": None,
        "reason": "every observer that is not blocked or broken is called; none takes another one's place",
        "chosen_by": None,
        "winner": None,
        "candidates": [
            {
                "dist": row.provider,
                "version": row.version,
                "target": row.target,
                "source": _source(row.target, sources),
                "status": row.status,
                "blocked": None,
            }
            for row in same
        ],
        "change": [["switch one off", f"-p no:{row.provider}:plugins/{plain}"] for row in same],
    }


def _told(component: Component, sources: Sources) -> dict[str, Any]:
    return {
        "dist": component.dist or "code",
        "version": component.version,
        "target": component.target,
        "source": _source(component.target, sources),
    }


def _source(target: str, sources: Sources) -> str | None:
    """``file:line`` of a target; None where that cannot be told without importing."""
    from expcore.cli.source import AttributeMissing, ModuleBroken, ModuleMissing

    try:
        return sources.target(target).where or None
    except (ModuleMissing, ModuleBroken, AttributeMissing):
        return None


def _origin(found: Resolution, use: Sequence[str]) -> str | None:
    from expcore.host.selection import USE, choices

    if found.choice is None:
        return None
    if not found.choice.source.startswith("--use"):
        return found.choice.source
    return "--use" if f"{found.kind}/{found.name}" in choices(use) else USE


def _dist_of(name: str) -> str:
    from expcore.host.discovery import canonical

    return canonical(name.rpartition(":")[0])


def _ways(found: Resolution, label: str, asked: str, sources: Sources) -> list[list[str]]:
    """How to have it otherwise, as pairs of what and how."""
    from expcore.cli.rivals import rivals
    from expcore.host.selection import DISABLE, USE

    dists = sorted({c.dist for c in found.candidates})
    in_conflict = [c.dist for c in rivals(found, sources, asked)] if found.rule == "conflict" else dists
    first, last = in_conflict[0], in_conflict[-1]  # what works is advised, what is broken goes
    off = ["switch one off", f"-p no:{last}:{label}\nor {DISABLE}={last}:{label}"]
    if found.rule == "conflict":
        how = f"--use {label}={first}\nor {USE}={label}={first}\nor {_setting(label, first)}"
        one = [["choose one", how]] if first != last else []
        return [*one, off, ["remove one", f"pip uninstall {last}"]]
    if found.rule == "blocked":
        return [["let it in", str(c.blocked)] for c in found.candidates if c.blocked]
    others = [dist for dist in dists if found.winner is None or dist != found.winner.dist]
    if not others:
        return [["switch it off", off[1]], ["replace it", "install a distribution that has the name"]]
    other = others[0]
    return [
        ["one command", f"--use {label}={other}"],
        ["this shell", f"export {USE}={label}={other}"],
        ["this project", _setting(label, other)],
        ["one place", f"the name {other}:{found.name}, in a config or in code"],
    ]


def _setting(label: str, dist: str) -> str:
    return f'pyproject.toml: [tool.expcore.use] "{label}" = "{dist}"'


def _text(told: dict[str, Any]) -> list[str]:
    winner, number = told["winner"], told["number"]
    name = "nothing" if winner is None else f"{winner['dist']} {winner['version']}".strip()
    if told["rule"] == "conflict":
        name = "in conflict"
    head = f"{told['component']} is {name}" if told["rule"] != "observers" else told["component"]
    reason = (
        f"Rule {number}, {told['rule']}: {told['reason']}" if number else f"{told['reason'].capitalize()}"
    )
    by = f" by {told['chosen_by']}" if told["chosen_by"] else ""
    lines = [head, *paragraph(f"{reason}{by}.", "  "), "", "Who provides it"]
    width = max(len(each["status"]) for each in told["candidates"])
    for each in told["candidates"]:
        provider = f"{each['dist']} {each['version']}".strip()
        lines.append(f"  {each['status'].ljust(width)}  {provider}  {each['target']}".rstrip())
        inner = " " * (width + 4)
        lines += [f"{inner}{each['source']}"] if each["source"] else []
        lines += paragraph(each["blocked"], inner) if each["blocked"] else []
    title = "Three ways out" if len(told["change"]) == 3 and told["rule"] == "conflict" else "To change it"
    return [*lines, "", title, *fields((what, how) for what, how in told["change"])]
