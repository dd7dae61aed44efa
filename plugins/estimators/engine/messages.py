"""TensorFlow's errors as a part of one line."""

from __future__ import annotations

import re
from typing import Any

from expcore.errors import one_line

_NODES = re.compile(r"\{\{.*?\}\}\s*")


def reason(error: Any) -> str:
    """Returns the line of an error of a compiled call that tells, at most 300 characters.

    It stands before the first place in the graph, and after what led there.
    """
    lines = [line for line in error.message.split("\n\t [[")[0].splitlines() if line.strip()]
    return (lines[-1].strip() if lines else type(error).__name__)[:300].rstrip(".")


def brief(error: BaseException) -> str:
    """Returns type and message of an error without names of graph nodes, at most 300 characters."""
    return _NODES.sub("", one_line(error))[:300]
