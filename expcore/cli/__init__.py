"""The command line. Its modules are light: a command imports what it needs when it runs."""

from expcore.cli.main import main as main
