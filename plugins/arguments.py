"""Checks of the arguments of built-in components, all said in the same words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

from expcore.errors import InvalidArgument


def whole(subject: str, name: str, value: Any, least: int) -> int:
    """Returns a whole number; InvalidArgument where it is none, a bool, or less than ``least``."""
    if isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least:
        return int(value)
    raise InvalidArgument(f"{subject}: {name} is {value!r}; it must be a whole number of at least {least}")


def number(subject: str, name: str, value: Any, least: float = -math.inf) -> float:
    """Returns a finite number; InvalidArgument where it is none, a bool, or less than ``least``."""
    if isinstance(value, Real) and not isinstance(value, bool):
        found = float(value)
        if math.isfinite(found) and found >= least:
            return found
    rule = "" if math.isinf(least) else f" of at least {least:g}"
    raise InvalidArgument(f"{subject}: {name} is {value!r}; it must be a finite number{rule}")


def seconds(subject: str, name: str, value: Any) -> float:
    """Returns seconds, finite and greater than 0; InvalidArgument otherwise."""
    found = number(subject, name, value, least=0)
    if found > 0:
        return found
    raise InvalidArgument(f"{subject}: {name} is {value!r}; it must be greater than 0 seconds")


def text(subject: str, name: str, value: Any) -> str:
    """Returns a string that is not empty; InvalidArgument otherwise."""
    if isinstance(value, str) and value:
        return value
    raise InvalidArgument(f"{subject}: {name} is {value!r}; it must be a string that is not empty")


def texts(subject: str, name: str, value: Any) -> tuple[str, ...]:
    """Returns strings as a tuple; InvalidArgument for one string alone, which is easily given by mistake."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return tuple(text(subject, f"{name}[{i}]", item) for i, item in enumerate(value))
    raise InvalidArgument(f"{subject}: {name} is {value!r}; it must be a list of strings")
