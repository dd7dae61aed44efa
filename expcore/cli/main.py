"""The command ``expcore``: its group, its version, and what an error becomes: one line and an exit code."""

from __future__ import annotations

import errno
import signal
import traceback
from typing import Any

import click

from expcore.cli.conformance import conformance
from expcore.cli.doctor import doctor
from expcore.cli.launch import launch
from expcore.cli.manifest import manifest
from expcore.cli.output import escaped
from expcore.cli.plugins import plugins
from expcore.cli.run import run
from expcore.cli.streams import DEBUG, LAYOUT, leave_unread, write_stderr
from expcore.errors import EXIT_SOFTWARE, EXIT_USAGE, ExpcoreError, StoppedBySignal

_REPORT = "this is a fault of expcore, of a plugin or of the experiment's own code, see the traceback above"


class _Main(click.Group):
    """Turns exceptions into exit codes, also where a test or another program calls the command."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        finally:
            leave_unread()

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        try:
            return super().make_context(*args, **kwargs)
        except click.ClickException as error:
            _show(error)
            raise click.exceptions.Exit(EXIT_USAGE) from error

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            _show(error)
            ctx.exit(EXIT_USAGE)
        except (click.exceptions.Exit, click.Abort):
            raise
        except StoppedBySignal as stop:
            name = signal.Signals(stop.signum).name
            _say(f"stopped by {name}; the same command goes on from the last saved state, if there is one")
            ctx.exit(int(stop.code or 0))
        except KeyboardInterrupt:
            _say("interrupted at once; the same command goes on from the last checkpoint, if there is one")
            ctx.exit(128 + signal.SIGINT)
        except ExpcoreError as error:
            if ctx.meta.get(DEBUG):
                write_stderr(traceback.format_exc())
            _say(f"error: {told(error)}")
            ctx.exit(error.exit_code)
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # whoever read our output has gone; click ends quietly
            write_stderr(traceback.format_exc())
            _say(f"error: {told(error, kind=True)}; {_REPORT}")
            ctx.exit(EXIT_SOFTWARE)


def told(error: BaseException, *, kind: bool = False) -> str:
    """Returns an error's message and notes on one line, with its type if asked for; faults by semicolons."""
    text = "; ".join(" ".join(line.split()) for line in str(error).splitlines() if line.strip())
    if kind:
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    notes = "; ".join(" ".join(note.split()) for note in getattr(error, "__notes__", ()))
    return f"{text} ({notes})" if notes else text


def _show(error: click.ClickException) -> None:
    """Says what is wrong with a command's words, in one line as every error; without any, its help."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return
    context = getattr(error, "ctx", None)
    advice = f"; see {context.command_path} --help" if context is not None else ""
    _say(f"error: {' '.join(error.format_message().split()).rstrip('.')}{advice}")


def _say(line: str) -> None:
    write_stderr(f"expcore: {escaped(line, LAYOUT)}\n")


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from importlib_metadata import version

        click.echo(f"expcore {version('expcore')}")
        ctx.exit()


@click.group("expcore", cls=_Main, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version."
)
def main() -> None:
    """Runs the life of a machine-learning experiment: train, evaluate, export, stop when good enough.

    Exit codes: 0 done, 1 a check found something, 64 bad usage or config, 65 corrupt checkpoint, 69 port or
    peer not available, 70 a fault of a plugin or of expcore, 73 cannot write, 75 locked by another trainer or
    launcher, 124 no news within the timeout, 138 a peer was lost, 130 and 143 stopped by a signal with the
    state saved.
    """


for _command in (run, launch, manifest, plugins, conformance, doctor):
    main.add_command(_command)
