"""How results are laid out: tables, Markdown, texts that fit the terminal, and nothing that steers it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import click

_LEAST = 24
"""Columns that the last cell of a line must have at least; with fewer it is left out."""


_STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's categories of what is not shown but acted on: control and format characters, ends of lines."""


def escaped(text: str, keep: str = "") -> str:
    """Returns a text with its control characters as ``repr`` shows them, such as that of ESC.

    Metadata comes from others: a colour or a move of the cursor in it must not reach the terminal.

    Args:
        text: what somebody else may have written.
        keep: control characters that stay as they are.
    """
    if text.isprintable():
        return text
    from unicodedata import category

    return "".join(repr(c)[1:-1] if category(c) in _STEERING and c not in keep else c for c in text)


def tell(lines: Iterable[str]) -> None:
    """Writes lines to stdout, their control characters escaped."""
    for line in lines:
        click.echo(escaped(line))


def terminal_width(*, err: bool = False) -> int | None:
    """Returns the columns of the terminal that shows stdout (or stderr); None where it goes elsewhere."""
    stream = sys.stderr if err else sys.stdout
    if not stream.isatty():
        return None
    from shutil import get_terminal_size

    return get_terminal_size().columns


def table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None) -> list[str]:
    """Returns lines with columns one below the other.

    Args:
        head: names of the columns.
        rows: the cells.
        width: columns of the terminal: the last cell is cut to fit, or left out where it has no room; None:
            lines are as long as need be.
    """
    lines = [head, *([escaped(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    if width is not None:
        room = width - sum(widths[:-1]) - 2 * (len(widths) - 1)
        if room < _LEAST < widths[-1]:
            lines, widths = [line[:-1] for line in lines], widths[:-1]
        else:
            lines = [[*line[:-1], cut(line[-1], room)] for line in lines]
    return ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Returns the lines of a Markdown table."""
    lines = [head, ["---"] * len(head), *([escaped(cell) for cell in row] for row in rows)]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def fields(pairs: Iterable[tuple[str, str]], indent: str = "  ") -> list[str]:
    """Returns one line a pair, the values one below the other; pairs without value are left out.

    A line break in a value begins a new line below it.
    """
    told = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in told), default=0)
    below = "\n" + " " * (len(indent) + width + 2)
    lines = (f"{indent}{name.ljust(width)}  {value.replace(chr(10), below)}" for name, value in told)
    return [line for text in lines for line in text.split("\n")]


def paragraph(text: str, indent: str = "", first: str | None = None) -> list[str]:
    """Returns a text in lines that fit the terminal; words are never broken, so paths can be copied.

    Args:
        text: what to fold.
        indent: begins each line.
        first: begins the first line instead; None: ``indent``.
    """
    import textwrap

    width = min(terminal_width() or 100, 110)
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def cut(text: str, room: int) -> str:
    """Returns a text that is no longer than there is room, with an ellipsis where something is left out."""
    return text if len(text) <= room else f"{text[: room - 1]}…"
