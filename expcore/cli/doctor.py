"""``expcore doctor``: one page on what is installed, what is in force, and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from expcore.cli.output import fields, paragraph, tell
from expcore.errors import EXIT_FOUND

if TYPE_CHECKING:
    from expcore.cli.health import Problem


def _positive(_: click.Context, __: click.Parameter, value: float) -> float:
    if not value > 0:  # NaN neither
        raise click.BadParameter(f"{value:g} is not a time; give seconds > 0")
    return value


@click.command()
@click.option(
    "--load", is_flag=True, help="Import each plugin, in a process of its own, and tell how it went."
)
@click.option(
    "--timeout",
    "timeout_secs",
    type=float,
    default=60.0,
    show_default=True,
    metavar="SECS",
    callback=_positive,
    help="How long an import may take, and other tasks are waited for.",
)
@click.option("--cluster", is_flag=True, help="Look at the cluster of TF_CONFIG, together with its tasks.")
@click.option("--output-dir", metavar="DIR", help="The cluster's model directory, to see that all share it.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_context
def doctor(
    ctx: click.Context, load: bool, timeout_secs: float, cluster: bool, output_dir: str | None, form: str
) -> None:
    """Looks for what is wrong with the installation and its plugins, or with a cluster.

    Tells versions, the choices in force, and problems: broken plugins, conflicts, words that match nothing,
    versions that do not fit, distributions that hide others. Nothing is imported without --load.

    With --cluster: run it in every task at once, with the TF_CONFIG of each. They connect to each other, and
    tell what is wrong with TF_CONFIG, names, ports, the shared directory, clocks and versions.

    Exit code 1 where there is a problem.
    """
    if output_dir is not None and not cluster:
        raise click.UsageError("--output-dir says what the tasks of a cluster share: give --cluster with it")
    from expcore.cli.health import choices_in_force, examine, load_all, providers, versions

    told: dict[str, Any] = {"versions": versions(), "choices": choices_in_force(), "plugins": providers()}
    problems = examine()
    if cluster:
        from expcore.cli.cluster_health import examine_cluster
        from expcore.clock import RealClock

        told["cluster"], found = examine_cluster(
            output_dir, timeout_secs, RealClock(), partial(click.echo, err=True)
        )
        problems += found
    if load:
        told["loaded"], failed = load_all(timeout_secs)
        known = {problem.subject for problem in problems}
        problems += [problem for problem in failed if problem.subject not in known]
    told["problems"] = [problem.as_json() for problem in problems]
    if form == "json":
        click.echo(json.dumps(told, indent=2))
    else:
        tell(_text(told, problems))
    if problems:
        ctx.exit(EXIT_FOUND)


def _text(told: dict[str, Any], problems: Sequence[Problem]) -> list[str]:
    lines = [
        "Versions",
        *fields((name, version or "not installed") for name, version in told["versions"].items()),
    ]
    lines += ["", "Choices in force"]
    for choice in told["choices"]:
        lines += [f"  {choice['place']}", *(f"    {word}" for word in choice["says"])]
    lines += [] if told["choices"] else ["  none"]
    lines += ["", "Plugins"]
    lines += fields(
        (f"{p['distribution']} {p['version']}".strip(), _counted(p["statuses"])) for p in told["plugins"]
    )
    if "loaded" in told:
        lines += ["", "Imports"]
        lines += fields((each["plugin"], _import(each)) for each in told["loaded"])
    if "cluster" in told:
        lines += ["", "Cluster", *(f"  {line}" for line in told["cluster"].get("role", ()))]
        lines += fields(told["cluster"].get("tasks", {}).items())
    lines += ["", "Problems"]
    for problem in problems:
        lines += [
            *paragraph(f"{problem.subject}: {problem.what}", "    ", "  - "),
            *paragraph(problem.mend, "    "),
        ]
    return lines if problems else [*lines, "  none"]


def _counted(statuses: dict[str, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in statuses.items())


def _import(each: dict[str, Any]) -> str:
    if each["error"]:
        return "failed"
    heavy = f", brings {', '.join(each['heavy'])}" if each["heavy"] else ""
    return f"{each['seconds']:.2f} s{heavy}"
