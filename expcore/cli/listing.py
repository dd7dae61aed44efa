"""``expcore plugins list``: every plugin with its provider and status. Imports no plugin."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from expcore.cli.choices import showing_host
from expcore.cli.output import markdown, table, tell, terminal_width
from expcore.errors import InvalidArgument, UnknownComponent, listing, nearest

if TYPE_CHECKING:
    from expcore.host import PluginStatus

_COLUMNS = ("KIND", "NAME", "PROVIDER", "VERSION", "STATUS", "TARGET")


@click.command("list")
@click.option("--kind", metavar="KIND", help="Only this kind, such as exporters.")
@click.option("--dist", metavar="DIST", help="Only what this distribution provides.")
@click.option("--status", metavar="STATUS", help="Only what has this status.")
@click.option(
    "--format", "form", type=click.Choice(["table", "json", "md"]), default="table", show_default=True
)
def list_(kind: str | None, dist: str | None, status: str | None, form: str) -> None:
    """Lists every plugin, built-ins included, with its provider and status.

    Status: active, shadowed (another one has the name), blocked (switched off), broken, or conflict (several
    third parties, and nothing says which). Nothing is imported.
    """
    _check_status(status)
    with showing_host() as host:
        rows = host.statuses(kind)
        rows = _of_dist(rows, host.statuses() if kind else rows, dist) if dist is not None else rows
    rows = [row for row in rows if status in (None, row.status)]
    if form == "json":
        click.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    cells = [[str(value) for value in asdict(row).values()] for row in rows]
    tell(markdown(_COLUMNS, cells) if form == "md" else table(_COLUMNS, cells, terminal_width()))


def _check_status(status: str | None) -> None:
    from expcore.host.resolution import ACTIVE, BLOCKED, BROKEN, CONFLICT, SHADOWED

    known = (ACTIVE, SHADOWED, BLOCKED, BROKEN, CONFLICT)
    if status is not None and status not in known:
        raise InvalidArgument(f"status {status!r}: it is not among {listing(known)}{nearest(status, known)}")


def _of_dist(rows: Sequence[PluginStatus], every: Sequence[PluginStatus], dist: str) -> list[PluginStatus]:
    from expcore.host.discovery import canonical

    wanted, known = canonical(dist), sorted({row.provider for row in every})
    if wanted not in known:
        raise UnknownComponent(
            f"distribution {dist!r}: no plugin comes from it{nearest(wanted, known)}; "
            f"plugins come from {listing(known)}"
        )
    return [row for row in rows if row.provider == wanted]
