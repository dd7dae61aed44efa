"""``expcore plugins show``: all that can be told of one distribution, without importing it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from expcore.cli.choices import showing_host
from expcore.cli.output import fields, paragraph, tell

if TYPE_CHECKING:
    from expcore.cli.installed import Installed
    from expcore.cli.source import Sources
    from expcore.host import PluginStatus
    from expcore.host.discovery import Entry


@click.command()
@click.argument("dist", metavar="DIST")
@click.option(
    "--load", is_flag=True, help="Import each plugin, in a process of its own, and tell how it went."
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def show(dist: str, load: bool, form: str) -> None:
    """Shows a distribution: version, place, bounds on expcore, and each plugin with its source.

    Source and documentation are read from the files. Nothing is imported without --load.
    """
    from expcore.cli.installed import find_installed

    found = find_installed(dist)
    with showing_host(quiet=True) as host:
        rows = [row for row in host.statuses() if row.provider == found.name]
    told = _told(found, rows, load=load)
    if form == "json":
        click.echo(json.dumps(told, indent=2))
        return
    tell(_text(told))


def _told(found: Installed, rows: Sequence[PluginStatus], *, load: bool) -> dict[str, Any]:
    from expcore.cli.source import Sources

    sources = Sources()
    status = {(row.kind, row.name, row.target): row.status for row in rows}
    return {
        "distribution": found.shown,
        "version": found.version,
        "summary": found.field("Summary"),
        "location": found.place,
        "editable": found.editable,
        "requires_python": found.field("Requires-Python"),
        "requires_expcore": [str(requirement) for requirement in found.requirements],
        "plugins": [
            {
                "component": entry.label,
                "status": status.get((entry.kind, entry.name, entry.target), "broken"),
                "target": entry.target,
                **_read(entry, sources),
                **({"load": _load(entry)} if load else {}),
            }
            for entry in found.entries()
        ],
    }


def _read(entry: Entry, sources: Sources) -> dict[str, str | None]:
    """What the source says of an entry: place, first line of the docstring, and why it cannot be found."""
    from expcore.cli.source import AttributeMissing, ModuleBroken, ModuleMissing
    from expcore.errors import one_line

    if entry.fault is not None:
        return {"source": None, "about": None, "problem": one_line(entry.fault)}
    try:
        place = sources.target(entry.target)
    except (ModuleMissing, ModuleBroken, AttributeMissing) as error:
        return {"source": None, "about": None, "problem": str(error)}
    return {"source": place.where or None, "about": place.about or None, "problem": None}


def _load(entry: Entry) -> dict[str, Any]:
    from expcore.cli.probe import Probed, probe

    probed = probe(entry.target) if entry.fault is None else Probed("the declaration cannot be used")
    return probed.as_json()


def _text(told: dict[str, Any]) -> Iterator[str]:
    yield f"{told['distribution']} {told['version']}".strip()
    yield from paragraph(told["summary"], "  ") if told["summary"] else []
    yield ""
    requires = ", ".join(told["requires_expcore"])
    yield from fields(
        [
            ("installed in", told["location"]),
            ("editable", f"yes, from {told['editable']}" if told["editable"] else "no"),
            ("requires", requires or ("" if told["distribution"] == "expcore" else "nothing of expcore")),
            ("Python", told["requires_python"]),
        ]
    )
    for plugin in told["plugins"]:
        yield ""
        yield f"{plugin['component']}  {plugin['status']}"
        yield from paragraph(plugin["about"], "  ") if plugin["about"] else []
        load = plugin.get("load")
        yield from fields(
            [
                ("target", plugin["target"]),
                ("source", plugin["source"] or ""),
                ("problem", plugin["problem"] or ""),
                *(_loaded(load) if load else []),
            ]
        )


def _loaded(load: dict[str, Any]) -> list[tuple[str, str]]:
    if load["error"]:
        return [("import", f"failed: {load['error']}")]
    heavy = f", brings {', '.join(load['heavy'])}" if load["heavy"] else ""
    return [("import", f"{load['seconds']:.2f} s{heavy}"), ("called as", load["signature"])]
