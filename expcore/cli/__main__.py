"""``python -m expcore.cli``: the command where no script of its name is on the path."""

from expcore.cli.main import main

if __name__ == "__main__":
    main(prog_name="expcore")
