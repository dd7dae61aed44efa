"""The predicate while_file_exists: goes on as long as a file is there."""

from __future__ import annotations

import os
from dataclasses import dataclass

from expcore.errors import InvalidArgument
from expcore.types import Metrics


@dataclass(frozen=True)
class WhileFileExists:
    """Goes on as long as a file or directory exists; deleting it ends the schedule at its next look.

    Needs neither result nor history.

    Args:
        path: a path that is not empty, as a string or ``os.PathLike``; relative ones start at the working
            directory.

    Raises:
        InvalidArgument: ``path`` is something else.
    """

    path: str | os.PathLike[str]

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | os.PathLike) or not os.fspath(self.path):
            raise InvalidArgument(
                f"predicate 'while_file_exists': path is {self.path!r}; it must be a path that is not empty"
            )

    def __call__(self, eval_result: Metrics | None) -> bool:
        """Returns whether the path exists now."""
        return os.path.exists(self.path)
