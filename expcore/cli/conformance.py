"""``expcore conformance``: tries the plugins of a distribution on the clauses of their kinds."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from expcore.cli.streams import logging_to_stderr
from expcore.errors import EXIT_FOUND, CannotWrite

if TYPE_CHECKING:
    from expcore.conformance.report import Report


@click.command()
@click.argument("dist", metavar="DIST")
@click.option("--kind", metavar="KIND", help="Only components of this kind, such as exporter.")
@click.option("-k", "only", metavar="CLAUSE", multiple=True, help="Only this clause, such as EXP-012.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json", "junit", "md"]), default="text", show_default=True
)
@click.option("--badge", type=click.Path(dir_okay=False), metavar="FILE", help="Write the JSON of a badge.")
@click.option(
    "--fail-on",
    type=click.Choice(["must", "should"]),
    default="must",
    show_default=True,
    help="Whether a SHOULD that fails counts.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show every clause.")
@click.pass_context
def conformance(
    ctx: click.Context,
    dist: str,
    kind: str | None,
    only: Sequence[str],
    form: str,
    badge: str | None,
    fail_on: str,
    verbose: bool,
) -> None:
    """Tries the plugins of an installed distribution on the promises of their kinds.

    Each kind has its clauses, with ids that never change. Exit code 1: a promise that MUST be kept is not,
    or too little was tried to prove anything.
    """
    from expcore.conformance import render
    from expcore.conformance.installed import suites

    if badge is not None and only:
        raise click.UsageError("--badge tells of all clauses; leave -k out")
    reports: list[Report] = []
    with logging_to_stderr(logging.CRITICAL):  # clauses provoke errors; what is logged of them tells nothing
        found = suites(dist, kind)
        wanted = _chosen([c.id for suite in found for c in suite.clauses], only)
        for suite in found:
            mine = [clause.id for clause in suite.clauses if clause.id in wanted]
            if not mine:
                continue
            reports.append(suite.report(mine if only else None))
            if form == "text":
                click.echo(render.text(reports[-1], verbose=verbose))
    if form == "junit":
        click.echo(render.junit(reports))
    elif form == "md":
        click.echo(render.markdown(reports))
    elif form == "json":
        click.echo(render.as_json(dist, _version(dist), reports))
    if badge is not None:
        _write(badge, render.badge(reports))
    tried = any(report.ran for report in reports)
    if not (tried and all(report.passes(fail_on) for report in reports)):
        ctx.exit(EXIT_FOUND)


def _chosen(known: Sequence[str], only: Sequence[str]) -> set[str]:
    from expcore.errors import nearest

    for own in only:
        if own not in known:
            raise click.UsageError(f"-k {own}: no such clause for these components{nearest(own, known)}")
    return set(only or known)


def _version(dist: str) -> str:
    from importlib_metadata import version

    return version(dist)


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text + "\n")
    except OSError as error:
        raise CannotWrite(f"--badge {path}: it cannot be written ({error.strerror}); name another") from error
