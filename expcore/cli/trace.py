"""``expcore plugins trace``: runs a command and tells which plugins were called, and for how long."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from expcore.cli.output import cut, escaped, table, terminal_width
from expcore.errors import CannotWrite, InvalidArgument

if TYPE_CHECKING:
    from subprocess import Popen

_WIDTH = 120
"""Columns where stderr is no terminal."""

_ADDRESS = re.compile(r"<(?:[\w.]*\.)?(\w+) object at 0x[0-9a-f]*(?:>|$)")
_COLUMNS = ("#", "WHAT", "PLUGIN", "MS", "RESULT")


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--all", "every", is_flag=True, help="Also show look-ups of components that are only declared.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option(
    "--output", type=click.Path(dir_okay=False), metavar="FILE", help="Write the calls there, not to stderr."
)
@click.argument("command", metavar="-- COMMAND [ARGS]...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def trace(ctx: click.Context, every: bool, form: str, output: str | None, command: Sequence[str]) -> None:
    """Runs a command, and tells which plugins were called and for how long.

    COMMAND is any program, such as "expcore run ...". Its output, its exit code and signals are passed
    through; the calls are told on stderr when it has ended, in the order in which they ended.
    """
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="expcore-trace-") as folder:
        file = os.path.join(folder, "calls.jsonl")
        code = _run(command, file)
        events = _read(file)
    if form == "json":
        lines = [json.dumps({"exit_code": code, "events": events}, indent=2)]
    else:
        width = None if output else terminal_width(err=True)
        lines = [escaped(line) for line in _text(events, every=every, width=width)]
    _tell("\n".join(lines), output)
    ctx.exit(code)


def _tell(text: str, output: str | None) -> None:
    if output is None:
        click.echo(text, err=True)
        return
    try:
        with open(output, "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
    except OSError as error:
        raise CannotWrite(f"--output {output!r}: {error.strerror or error}; name another file") from error


def _run(command: Sequence[str], file: str) -> int:
    """Runs a command to its end and returns its exit code, 128 and the number for a signal."""
    from subprocess import Popen

    from expcore.host.trace import TRACE

    words = [_program(command[0]), *command[1:]]
    with _passing_signals() as pass_to:
        try:
            process = Popen(words, env={**os.environ, TRACE: file})  # noqa: S603  (the user's own command)
        except OSError as error:
            raise InvalidArgument(
                f"command {command[0]!r}: it cannot be started ({error.strerror}); give a program after --"
            ) from error
        pass_to(process)
        code = process.wait()
    return code if code >= 0 else 128 - code


def _program(name: str) -> str:
    """Finds a program also beside this interpreter, whose folder need not be on the path."""
    from shutil import which

    beside = os.path.join(os.path.dirname(sys.executable), name)
    return beside if which(name) is None and os.access(beside, os.X_OK) else name


@contextmanager
def _passing_signals() -> Iterator[Callable[[Popen[bytes]], None]]:
    """Gives what hands SIGTERM, SIGHUP and SIGINT on to a command; one that comes before it waits for it.

    Ctrl-C in a terminal reaches the command as well, which must not get it twice: the second one means that
    its state need not be saved.
    """
    started: list[Popen[bytes]] = []
    waiting: list[int] = []

    def hand_on(signum: int, _: FrameType | None) -> None:
        if signum == signal.SIGINT and _in_foreground():
            return
        if not started:
            waiting.append(signum)
            return
        with suppress(ProcessLookupError):
            started[0].send_signal(signum)

    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}

    def pass_to(process: Popen[bytes]) -> None:
        started.append(process)
        for signum in before:
            signal.signal(signum, hand_on)
        for missed in waiting:
            hand_on(missed, None)

    try:
        for signum, handler in before.items():
            if handler != signal.SIG_IGN:  # which the command inherits, as under nohup
                signal.signal(signum, hand_on)
        yield pass_to
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _in_foreground() -> bool:
    """Whether a terminal sends its Ctrl-C to the group of this process."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _read(file: str) -> list[dict[str, Any]]:
    """The events that the command left; a last line that was cut is left out."""
    events = []
    with suppress(FileNotFoundError), open(file, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            with suppress(ValueError):
                event = json.loads(line)
                events += [event] if isinstance(event, dict) else []
    return events


def _text(events: Sequence[Mapping[str, Any]], *, every: bool, width: int | None = None) -> list[str]:
    if not events:
        return ["expcore: no plugin was called"]
    shown = [event for event in events if every or not _declared_only(event)]
    rows = [
        (str(n), _what(event), _plugin(event), f"{event.get('ms') or 0:.1f}", _result(event))
        for n, event in enumerate(shown, 1)
    ]
    calls = [event for event in events if event.get("event") == "call"]
    imports = [event for event in events if event.get("event") == "import"]
    failed = sum(event.get("error") is not None for event in events)
    hidden = len(events) - len(shown)
    total = ", ".join(
        [
            f"{len(calls)} calls in {_sum(calls)}",
            f"{len(imports)} imports in {_sum(imports)}",
            *([f"{failed} failed"] if failed else []),
            *([f"{hidden} look-ups not shown (--all)"] if hidden else []),
        ]
    )
    return [*_fitting(rows, width or _WIDTH), total]


def _fitting(rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """The table, with results in lines of their own where it would be too wide."""
    lines = table(_COLUMNS, rows)
    if max(map(len, lines)) <= width:
        return lines
    head, *without = table(_COLUMNS[:-1], [row[:-1] for row in rows])
    lines = [head]
    for line, row in zip(without, rows, strict=True):
        indent = " " * (len(str(len(rows))) + 2)
        lines += [line, *([cut(f"{indent}{row[-1]}", width)] if row[-1] else [])]
    return lines


def _declared_only(event: Mapping[str, Any]) -> bool:
    """Whether it is the host asking itself for what an entry point declares."""
    kind = str(event.get("plugin", "")).partition(":")[2].partition("/")[0]
    return event.get("hook") == f"expcore_{kind}" and event.get("error") is None


def _what(event: Mapping[str, Any]) -> str:
    return f"{event['hook']}()" if event.get("hook") else f"import {event.get('component', '')}"


def _plugin(event: Mapping[str, Any]) -> str:
    name = str(event.get("plugin", "")).partition("/")[2] or str(event.get("plugin", ""))
    provider = f"{event.get('dist', '')} {event.get('version') or ''}".strip()
    return provider if event.get("event") == "import" else f"{name} ({provider})"


def _result(event: Mapping[str, Any]) -> str:
    if event.get("error") is not None:
        return f"failed: {event['error']}"
    from expcore.host.trace import RESULT_LENGTH

    result = str(event.get("result"))
    if result == "None":
        return ""
    more = "…" if len(result) >= RESULT_LENGTH else ""
    return _ADDRESS.sub(r"\1", " ".join(result.split())) + more


def _sum(events: Sequence[Mapping[str, Any]]) -> str:
    return f"{sum(event.get('ms') or 0 for event in events):.1f} ms"
