"""``expcore run``: runs the experiment that a Python file or a config describes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from expcore.cli.choices import choice_options, choose
from expcore.cli.output_dir import check_output_dir, make_output_dir
from expcore.cli.streams import log_level, log_options, logging_to_stderr
from expcore.errors import EXIT_NO_NEWS

if TYPE_CHECKING:
    from expcore.experiment import Experiment


@click.command()
@click.argument("file", metavar="FILE[:FUNCTION]")
@click.option("--output-dir", metavar="DIR", required=True, help="The model directory; made if need be.")
@click.option("--schedule", metavar="NAME", help="What to do; default: the config's, or by the task.")
@choice_options
@click.option("--allow-server", is_flag=True, help="Let TensorFlow's servers listen on every interface.")
@click.option("--allow-imports", is_flag=True, help="Let a config name code, which is then executed.")
@log_options
@click.pass_context
def run(
    ctx: click.Context,
    file: str,
    output_dir: str,
    schedule: str | None,
    use: Sequence[str],
    no_plugins: bool,
    off: Sequence[str],
    allow_server: bool,
    allow_imports: bool,
    debug: bool,
    verbose: bool,
    quiet: bool,
) -> None:
    """Runs an experiment.

    FILE is a Python file with a function experiment(output_dir) that returns an expcore.Experiment
    (FILE.py:NAME calls another function), or a YAML, JSON or TOML config.
    """
    level = log_level(ctx, debug=debug, verbose=verbose, quiet=quiet)
    choose(use, off, no_plugins=no_plugins)
    _prepare(allow_server=allow_server)
    with logging_to_stderr(level):
        timed_out = _run(file, output_dir, schedule, allow_imports)
    if timed_out:
        ctx.exit(EXIT_NO_NEWS)


def _prepare(*, allow_server: bool) -> None:
    """Puts the rest where this process, and any that it starts, will find it."""
    from expcore.host import set_default_host

    if allow_server:
        os.environ["EXPCORE_ALLOW_SERVER"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    set_default_host(None)


def _run(file: str, output_dir: str, schedule: str | None, allow_imports: bool) -> bool:
    """Runs the experiment and prints the summary; returns whether it ended for lack of news."""
    from expcore.cli.experiment_file import read
    from expcore.host import default_host
    from expcore.run import build_experiment, run_schedule, signals_interrupt
    from expcore.tf_config import parse_tf_config

    default_host().settings  # noqa: B018  (wrong choices are told before anything heavy is imported)
    check_output_dir(output_dir)
    # A wrong one is told before anything heavy is imported; of the rest the experiment's RunConfig tells.
    parse_tf_config(os.environ.get("TF_CONFIG"), warn=False)
    found = read(file, allow_imports=allow_imports)
    options = found.options if schedule in (None, found.schedule) else {}
    name = schedule or found.schedule
    make_output_dir(output_dir)
    experiment = build_experiment(found.build, output_dir)
    known = len(experiment.history.exports)
    with signals_interrupt(experiment):
        result = experiment.run(name, **options) if options and name else run_schedule(experiment, name)
    exports = newest_exports(experiment) if _exported(experiment, result, known) else []
    kept = experiment.latest_checkpoint() is not None
    click.echo(summary(result, experiment.model_dir, exports, kept=kept))
    return bool(getattr(experiment, "timed_out", False))


def _exported(experiment: Experiment, result: Any, known: int) -> bool:
    """Whether exports are a part of what was done: a schedule that returns them, or evaluates and exports."""
    new = len(experiment.history.exports) > known
    return isinstance(result, tuple) or (isinstance(result, Mapping) and new)


def newest_exports(experiment: Experiment) -> list[str]:
    """Returns each exporter's newest export that is still there, also of an earlier checkpoint."""
    exports = experiment.history.exports
    newest = {e.exporter: e.path for e in exports if e.path and os.path.exists(e.path)}
    return [path for exporter in experiment.export_strategies if (path := newest.get(exporter.name))]


def summary(result: Any, model_dir: str, exports: Sequence[str] = (), *, kept: bool = True) -> str:
    """Returns one line: what a schedule returned, what is exported, and where everything lies."""
    parts = []
    if isinstance(result, tuple) and len(result) == 2:
        result = result[0]
    if isinstance(result, Mapping):
        parts.append(_metrics(result))
    elif callable(getattr(result, "latest_checkpoint", None)):
        parts.append(f"checkpoint {result.latest_checkpoint() or 'none'}")
    if exports:
        parts.append("exported " + ", ".join(exports))
    where = f"everything is in {model_dir}" if kept else f"no checkpoint is in {model_dir}"
    return "; ".join(["done", *filter(None, parts), where])


def _metrics(result: Mapping[str, Any]) -> str:
    step = [f"step {result['global_step']}"] if "global_step" in result else []
    values = (f"{name}={_rounded(value)}" for name, value in result.items() if name != "global_step")
    return ": ".join([*step, *filter(None, [", ".join(values)])])


def _rounded(value: Any) -> str:
    try:
        return str(value) if isinstance(value, int) else f"{float(value):.4g}"
    except (TypeError, ValueError):
        return str(value)
