"""TensorFlow's errors as a part of one line."""

from __future__ import annotations

import re
from typing import Any

from expcore.errors import one_line

_REMOTE = re.compile(
    r"\s*(Additional GRPC error information |:UNKNOWN:|This could happen if the remote target )"
)
_FIRST_OF_SEVERAL = re.compile(r"root error\(s\) found.\s+\(0\) [A-Z_]+: +(.+)")
_NODES = re.compile(r"\{\{.*?\}\}\s*")


def reason(error: Any) -> str:
    """Returns the line of an error of a compiled call that tells, at most 300 characters.

    It stands before the first place in the graph, and after what led there; what the network says of it
    afterwards is left out.
    """
    if first := _FIRST_OF_SEVERAL.search(error.message):
        return first[1][:300].rstrip(".")
    lines = [line for line in error.message.split("\n\t [[")[0].splitlines() if line.strip()]
    lines = [line for line in lines if not _REMOTE.match(line)]
    return (lines[-1].strip() if lines else type(error).__name__)[:300].rstrip(".")


def brief(error: BaseException) -> str:
    """Returns type and message of an error without names of graph nodes, at most 300 characters."""
    return _NODES.sub("", one_line(error))[:300]
