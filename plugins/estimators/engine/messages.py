"""TensorFlow's errors as a part of one line."""

from __future__ import annotations

import re

from expcore.errors import one_line

_NODES = re.compile(r"\{\{.*?\}\}\s*")


def brief(error: BaseException) -> str:
    """Returns type and message of an error without names of graph nodes, at most 300 characters."""
    return _NODES.sub("", one_line(error))[:300]
