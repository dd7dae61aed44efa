"""``expcore plugins new``: writes the distribution of a new plugin."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("new")
@click.argument("dist", metavar="DIST")
@click.option(
    "--kind",
    required=True,
    metavar="KIND",
    help="exporter, schedule, hook, predicate, estimator or observer.",
)
@click.option("--name", default="", metavar="NAME", help="The component's; default: DIST's without expcore-.")
@click.option(
    "--directory", default=".", show_default=True, metavar="DIR", help="Where the folder DIST is made."
)
def new(dist: str, kind: str, name: str, directory: str) -> None:
    """Writes a new distribution with one plugin, such as expcore-myexporter.

    It has an entry point, typed code that works, its tests with the conformance suite, a file for CI and a
    README, and passes its tests as it stands: pytest DIST.
    """
    from expcore.host import PluginHost
    from expcore.scaffold import KINDS, Project, write

    project = Project(dist, kind, name)
    # What is installed, whatever the user chose or switched off; a pyproject.toml above is no concern here.
    rows = PluginHost(strict=False, environ={}).statuses(KINDS[kind])
    folder = write(project, Path(directory))
    click.echo(f"{folder} is written: the {kind} {project.name!r}; next: pytest {folder}")
    if not dist.startswith("expcore-"):
        click.echo("note: distributions of plugins are usually called expcore-...", err=True)
    own = project.package.replace("_", "-")
    taken = sorted({row.provider for row in rows if row.name == project.name} - {own})
    if taken:
        click.echo(
            f"note: {kind} {project.name!r} exists already, in {', '.join(taken)}; installed, yours "
            "replaces a built-in of that name, and is in conflict with another third party's",
            err=True,
        )
