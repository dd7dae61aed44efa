"""The options that choose among plugins, and the host that commands about plugins ask."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from expcore.cli.streams import logging_to_stderr

if TYPE_CHECKING:
    from expcore.host import PluginHost

_Command = TypeVar("_Command", bound=Callable[..., Any])


def choice_options(command: _Command) -> _Command:
    """Adds ``--use``, ``--no-plugins`` and ``-p``, as ``expcore run`` has them."""
    for option in (
        click.option(
            "-p",
            "off",
            metavar="no:NAME",
            multiple=True,
            help="Switch off DIST, KIND/NAME or DIST:KIND/NAME.",
        ),
        click.option("--no-plugins", is_flag=True, help="Built-ins only."),
        click.option(
            "--use", metavar="KIND/NAME=DIST", multiple=True, help="Choose who provides a component."
        ),
    ):
        command = option(command)
    return command


def choose(use: Sequence[str], off: Sequence[str], *, no_plugins: bool) -> None:
    """Puts choices where every plugin host of this process finds them: in the environment.

    Raises:
        click.UsageError: a word after ``-p`` is not of the form ``no:NAME``.
    """
    from expcore.host.selection import ALLOW, DISABLE, USE

    for option in off:
        if not option.startswith("no:") or not option[3:].strip():
            raise click.UsageError(
                f"-p {option}: it is not of the form no:NAME, such as -p no:exporters/best"
            )
    for variable, words in ((USE, use), (DISABLE, [option[3:] for option in off])):
        if words:
            os.environ[variable] = ",".join([*filter(None, [os.environ.get(variable)]), *words])
    if no_plugins:
        os.environ[ALLOW] = ""


@contextmanager
def showing_host(*, quiet: bool = False) -> Iterator[PluginHost]:
    """Gives a host for commands that only show: what is broken is told, never raised.

    Args:
        quiet: keeps the host's own lines about broken plugins and unknown words off stderr.
    """
    from expcore.host import PluginHost

    with logging_to_stderr(logging.CRITICAL if quiet else logging.WARNING):
        # Strictness is for runs: what is broken has to be shown here, not to be raised.
        yield PluginHost(strict=False)
