"""``expcore plugins``: what is installed, and which of it counts. Imports no plugin."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict

import click

from expcore.cli.streams import logging_to_stderr

_COLUMNS = ("KIND", "NAME", "PROVIDER", "VERSION", "STATUS", "TARGET")


@click.group()
def plugins() -> None:
    """Shows the installed plugins."""


@plugins.command("list")
@click.option("--kind", metavar="KIND", help="Only this kind, such as exporters.")
@click.option(
    "--format", "form", type=click.Choice(["table", "json", "md"]), default="table", show_default=True
)
def list_(kind: str | None, form: str) -> None:
    """Lists every plugin, built-ins included, with its provider and status.

    Status: active, shadowed (another one has the name), blocked (switched off), broken, or conflict (several
    third parties, and nothing says which). Nothing is imported.
    """
    from expcore.host import PluginHost

    with logging_to_stderr(logging.WARNING):
        # Strictness is for runs: what is broken has to be shown here, not to be raised.
        rows = [asdict(row) for row in PluginHost(strict=False).statuses(kind)]
    if form == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    cells = [[str(value) for value in row.values()] for row in rows]
    for line in _markdown(cells) if form == "md" else _table(cells):
        click.echo(line)


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [_COLUMNS, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
    return ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]


def _markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [_COLUMNS, ["---"] * len(_COLUMNS), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
