"""``expcore plugins``: the group of commands about what is installed; each is in a module of its own."""

from __future__ import annotations

import click

from expcore.cli.check import check
from expcore.cli.listing import list_
from expcore.cli.new import new
from expcore.cli.show import show
from expcore.cli.trace import trace
from expcore.cli.why import why


@click.group()
def plugins() -> None:
    """Shows, explains and checks the installed plugins."""


for _command in (list_, why, show, check, trace, new):
    plugins.add_command(_command)
