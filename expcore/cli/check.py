"""``expcore plugins check``: looks for mistakes in a distribution's plugins without running them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from expcore.cli.output import paragraph, tell
from expcore.errors import EXIT_FOUND

if TYPE_CHECKING:
    from expcore.cli.findings import Finding


@click.command()
@click.argument("dist", metavar="DIST")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@click.pass_context
def check(ctx: click.Context, dist: str, form: str, strict: bool) -> None:
    """Looks for mistakes in the plugins of a distribution, without running them.

    Reads its metadata and source: entries that name nothing, heavy imports, bounds on expcore, signatures
    that do not fit, names. What the text does not tell is left out. Exit code 1 where there is an error.
    """
    from expcore.cli.findings import ERROR, LEVELS, WARNING
    from expcore.cli.installed import find_installed
    from expcore.cli.lint import lint

    found = find_installed(dist)
    findings = lint(found)
    if form == "json":
        told = {
            "distribution": found.name,
            "version": found.version,
            "findings": [finding.as_json() for finding in findings],
        }
        click.echo(json.dumps(told, indent=2))
    else:
        counts = {level: sum(f.level == level for f in findings) for level in LEVELS}
        tell(_text(f"{found.shown} {found.version}".strip(), findings, counts))
    if any(finding.level == ERROR or (strict and finding.level == WARNING) for finding in findings):
        ctx.exit(EXIT_FOUND)


def _text(provider: str, findings: Sequence[Finding], counts: dict[str, int]) -> list[str]:
    lines = []
    for finding in findings:
        of = finding.entry or "the distribution"
        lines.append(f"{finding.id} {finding.level}: {of}: {finding.title}")
        lines += [*paragraph(finding.what, "  "), f"  at: {finding.where}"]
        lines += [*paragraph(finding.mend, "        ", "  mend: "), ""]
    told = ", ".join(f"{n} {level}{'s'[: n != 1]}" for level, n in counts.items())
    return [*lines, f"{provider}: {told if findings else 'nothing found'}"]
