"""The output directory that a command is given."""

from __future__ import annotations

import os

from expcore.errors import CannotWrite, InvalidArgument


def check_output_dir(output_dir: str) -> None:
    """Finds what can be found without making the folder, before the file's imports take their time.

    Raises:
        InvalidArgument: no name was given.
        CannotWrite: it is no folder, or cannot be written.
    """
    if not output_dir:
        raise InvalidArgument("--output-dir is empty; name the folder in which everything is kept")
    place = os.path.abspath(output_dir)
    while not os.path.lexists(place):
        place = os.path.dirname(place)
    if not os.path.isdir(place):
        raise CannotWrite(f"output directory {output_dir!r}: {place!r} is not a folder; name another one")
    if not os.access(place, os.W_OK | os.X_OK):
        raise CannotWrite(f"output directory {output_dir!r}: {place!r} cannot be written; name another one")


def make_output_dir(output_dir: str) -> None:
    """Makes it, if it is not there yet.

    Raises:
        CannotWrite: it cannot be made.
    """
    try:
        os.makedirs(output_dir, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"output directory {output_dir!r}: {error.strerror}; name another one") from error
