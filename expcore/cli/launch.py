"""``expcore launch``: a cluster of processes on this machine, for trying and testing."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from expcore.cli.choices import choice_options, choose
from expcore.cli.output_dir import check_output_dir, make_output_dir
from expcore.cli.streams import log_level, log_options, logging_to_stderr, write_stderr

if TYPE_CHECKING:
    from expcore.launch.shape import Task
    from expcore.launch.supervisor import Supervisor

_CHATTER = re.compile(
    r"WARNING: All log messages before absl|"
    r"[IWE]\d{4} [\d:.]+ +\d+ \S+:\d+\] |"
    r"\d{4}-\d\d-\d\d [\d:.]+: [IWE] |"
    r"To enable the following instructions: |Additional GRPC error information from remote target |"
    r":UNKNOWN:Error received from peer |This could happen if the remote target has been disconnected |"
    r"/job:\S+/task:\d+$|The tasks have crashed\. Check the task logs "
)
"""Lines of TensorFlow's C++ side that are no end of its process: each writes some, and says nothing of it."""

_ERROR = "expcore: error: "
_NUMBER = click.IntRange(0, 64)  # of a kind: each takes more than half a GB of this machine
_TRAIN = ("--schedule", "train")


@click.command()
@click.argument("file", metavar="FILE[:FUNCTION]")
@click.option("--output-dir", metavar="DIR", required=True, help="The model directory; made if need be.")
@click.option("--workers", type=_NUMBER, default=1, show_default=True, help="Besides the chief.")
@click.option("--ps", type=_NUMBER, default=0, show_default=True, help="Parameter servers.")
@click.option("--evaluator", is_flag=True, help="Evaluate beside the training.")
@click.option("--restarts", type=click.IntRange(0), default=0, show_default=True, help="After failures.")
@choice_options
@click.option("--allow-server", is_flag=True, help="Stay in this machine's network, open to all of it.")
@click.option("--allow-imports", is_flag=True, help="Let a config name code, which is then executed.")
@log_options
@click.pass_context
def launch(
    ctx: click.Context,
    file: str,
    output_dir: str,
    workers: int,
    ps: int,
    evaluator: bool,
    restarts: int,
    use: Sequence[str],
    no_plugins: bool,
    off: Sequence[str],
    allow_server: bool,
    allow_imports: bool,
    debug: bool,
    verbose: bool,
    quiet: bool,
) -> None:
    """Runs an experiment in a cluster of processes on this machine.

    A chief and --workers workers train it, each process running ``expcore run FILE`` with a TF_CONFIG of its
    own; its task decides what it does. What they print has their name before it, and is in
    DIR/expcore/launch; messages of TensorFlow's C++ side are there only, unless --verbose is given. In Linux
    they are in a network of their own, in which nobody else reaches their servers; there is no other network
    in it either.
    """
    from expcore.cli.experiment_file import check_file
    from expcore.clock import RealClock
    from expcore.launch import Shape, Supervisor, leave_network
    from expcore.passes.lock import launcher_lock

    level = log_level(ctx, debug=debug, verbose=verbose, quiet=quiet)
    choose(use, off, no_plugins=no_plugins)  # the processes find it in their environment
    shape = Shape(workers, ps, int(evaluator))
    check_file(file)
    check_output_dir(output_dir)
    logs = Path(output_dir, "expcore", "launch")
    make_output_dir(str(logs))
    if not allow_server:
        leave_network()
    # -P: a folder called expcore in the current one, such as a model directory has, is not this package.
    command = [sys.executable, "-P", "-m", "expcore.cli", "run", file, "--output-dir", output_dir]
    flags = {"--allow-server": allow_server, "--allow-imports": allow_imports}
    flags |= {"--debug": debug, "--verbose": verbose, "--quiet": quiet}
    command += [flag for flag, given in flags.items() if given]
    with logging_to_stderr(level), launcher_lock(output_dir), _view(everything=verbose) as (say, look):
        supervisor = Supervisor(
            shape,
            # Where there is an evaluator, the chief need not evaluate as well.
            lambda task: [*command, *(_TRAIN if evaluator and task.kind == "chief" else ())],
            logs,
            restarts=restarts,
            clock=RealClock(),
            say=say,
        )
        with _signals(supervisor):
            code = supervisor.run(look)
    if supervisor.first_failure is not None and code != 0:
        task, its_code = supervisor.first_failure
        write_stderr(f"expcore: {task.name} failed first, with exit code {its_code}\n")
    ctx.exit(code)


@contextmanager
def _signals(supervisor: Supervisor) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP, of a terminal that is closed, end it in order; a second one at once."""

    def stop(signum: int, _: FrameType | None) -> None:
        supervisor.stop(signum)

    taken = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as under nohup
        taken.append(signal.SIGHUP)
    old = {s: signal.signal(s, stop) for s in taken}
    try:
        yield
    finally:
        for signum, handler in old.items():
            signal.signal(signum, handler)


@contextmanager
def _view(
    *, everything: bool
) -> Iterator[tuple[Callable[[str, str], None], Callable[[list[Task]], None] | None]]:
    """Gives what prints a line of a task, and what shows in a terminal which tasks run."""
    from tqdm import tqdm

    from expcore.cli.output import cut, escaped, terminal_width

    told: set[str] = set()

    def shown(name: str, line: str, write: Callable[[str], None]) -> None:
        if not everything and (_CHATTER.match(line) or line in told):
            return
        if line.startswith(_ERROR):  # a wrong file is wrong for every task
            told.add(line)
        write(f"[{name}] {line}")

    if sys.stderr is None or not sys.stderr.isatty():
        # In one piece: several threads write here.
        yield lambda name, line: shown(name, line, lambda text: write_stderr(f"{text}\n")), None
        return
    bar = tqdm(total=0, bar_format="{desc}", leave=False, file=sys.stderr)
    width = terminal_width(err=True) or 80

    def say(name: str, line: str) -> None:
        shown(name, line, lambda text: tqdm.write(escaped(text), file=sys.stderr))

    def look(running: list[Task]) -> None:
        names = ", ".join(task.name for task in running)
        elapsed = tqdm.format_interval(bar.format_dict["elapsed"])
        bar.set_description_str(cut(f"{elapsed} running: {names or 'nothing'}", width - 1))

    try:
        yield say, look
    finally:
        bar.close()
