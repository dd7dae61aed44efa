"""What the command line writes to stderr: the log, in lines that leave a progress bar whole."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import click

from expcore.cli.output import escaped

DEBUG = "expcore.debug"
"""Key of click's ``Context.meta``: whether errors are shown with their traceback."""

LAYOUT = "\n\t"
"""Control characters that lay a log record or an error out, as in the traceback that follows it."""

_Command = TypeVar("_Command", bound=Callable[..., Any])

_LOGGERS = ("expcore", "expcore_plugins")


def log_options(command: _Command) -> _Command:
    """Adds ``--debug``, ``--verbose`` and ``--quiet``."""
    for option in (
        click.option("-q", "--quiet", is_flag=True, help="Log warnings and errors only."),
        click.option("-v", "--verbose", is_flag=True, help="Log more."),
        click.option("--debug", is_flag=True, help="Show the traceback of every error."),
    ):
        command = option(command)
    return command


def log_level(ctx: click.Context, *, debug: bool, verbose: bool, quiet: bool) -> int:
    """Takes what ``log_options`` give, and returns the level from which on things are logged.

    Raises:
        click.UsageError: both more and less is asked for.
    """
    ctx.meta[DEBUG] = debug
    if verbose and quiet:
        raise click.UsageError("--verbose and --quiet exclude each other")
    return logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO


class _Escaping(logging.Formatter):
    """Keeps what a record quotes, such as a name from somebody's metadata, from steering the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return escaped(super().format(record), LAYOUT)


class ProgressBarHandler(logging.Handler):
    """Writes to the stderr of the moment, through tqdm where it is in use, which redraws its bars."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record."""
        try:
            line = self.format(record)
            tqdm = getattr(sys.modules.get("tqdm"), "tqdm", None)
            if tqdm is not None:
                tqdm.write(line, file=sys.stderr)
            else:
                sys.stderr.write(f"{line}\n")
                sys.stderr.flush()
        except Exception:
            self.handleError(record)


@contextmanager
def logging_to_stderr(level: int) -> Iterator[None]:
    """Sends the log of expcore and its plugins from ``level`` on to stderr; afterwards all is as before."""
    handler = ProgressBarHandler()
    handler.setFormatter(_Escaping("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False  # TensorFlow's libraries put a handler of their own on the root logger
    try:
        yield
    finally:
        for logger, old_level, propagate in before:
            logger.removeHandler(handler)
            logger.setLevel(old_level)
            logger.propagate = propagate


def write_stderr(text: str) -> None:
    """Writes at once, if somebody takes it: an exit code says as much, and logs have the rest."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()


def leave_unread() -> None:
    """Has Python end with the code it was told to where nobody takes what stderr has: else it is 120."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
