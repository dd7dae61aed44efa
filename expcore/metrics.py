"""Comparing metrics: which direction is better, what counts as an improvement, and reading one by name."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Literal

from expcore.errors import InvalidArgument, InvalidType, UnknownMetric, nearest
from expcore.types import Metrics

Mode = Literal["min", "max"]

# The one table of directions. Lower is better for names that end so ("val_loss", "logloss").
_MIN = ("loss", "error", "mae", "mse", "rmse", "mape", "msle", "crossentropy", "perplexity")
# Higher is better for names whose last words are these ("mean_io_u" is what Keras calls its MeanIoU).
_MAX = ("accuracy", "acc", "auc", "precision", "recall", "f1", "f1_score", "iou", "io_u", "r2", "r2_score")
_TOP_K = re.compile(r"top_(k|\d+)(_|$)")
_REPEATED = re.compile(r"_\d+$")  # Keras numbers metrics of one name: auc, auc_1


def direction(metric: str, mode: str | None = None) -> Mode:
    """Returns whether a metric is better when it is lower or higher.

    Args:
        metric: the metric's name, any case; of ``<set>/<metric>`` the last part counts.
        mode: "min" or "max" says it outright; None works it out from the name: ``loss``, ``error``,
            ``mae``, ``mse``, ``rmse``, ``mape``, ``msle``, ``crossentropy``, ``perplexity`` and names
            ending so are "min"; ``accuracy``, ``acc``, ``auc``, ``precision``, ``recall``, ``f1``,
            ``f1_score``, ``iou``, ``r2``, ``r2_score``, names ending in one of these words and
            ``top_k...`` are "max". A number that Keras appended (``auc_1``) does not count.

    Raises:
        InvalidArgument: ``mode`` is something else, or it is None and the name does not tell; a name
            that begins with ``neg_`` or ``negative_`` never does.
    """
    if mode is not None:
        return check_mode(mode, f"metric {metric!r}")
    last = re.sub(r"[\s-]", "_", metric.rpartition("/")[2].lower())
    if not last.startswith(("neg_", "negative_")):
        for name in (last, _REPEATED.sub("", last)):
            if name.endswith(_MIN):
                return "min"
            if name in _MAX or name.endswith(tuple(f"_{word}" for word in _MAX)) or _TOP_K.match(name):
                return "max"
    raise InvalidArgument(
        f"metric {metric!r}: its name does not tell whether lower or higher is better; "
        "pass mode='min' or mode='max'"
    )


def check_mode(mode: str, subject: str) -> Mode:
    """Returns the mode; InvalidArgument, beginning with ``subject``, where it is not "min" or "max"."""
    if mode == "min":
        return "min"
    if mode == "max":
        return "max"
    raise InvalidArgument(
        f"{subject}: mode is {mode!r}; it must be 'min' (lower is better), 'max' (higher is better), "
        "or None to work it out from the metric's name"
    )


def improved(new: float, best: float | None, mode: str, min_delta: float = 0.0) -> bool:
    """Whether a value is better than the best so far by more than ``min_delta``.

    Args:
        new: the value; NaN and infinities never improve.
        best: the best so far; None, NaN and infinities are beaten by any finite value.
        mode: "min" or "max".
        min_delta: by how much it must be exceeded, >= 0; a tie is no improvement.

    Raises:
        InvalidArgument: ``mode`` is something else.
    """
    sign = -1.0 if check_mode(mode, "comparing metrics") == "min" else 1.0
    if not math.isfinite(new):
        return False
    if best is None or not math.isfinite(best):
        return True
    return sign * (new - best) > min_delta


def value_of(metrics: Metrics, metric: str, subject: str) -> float:
    """Returns a metric as a float; NaN and infinities are returned as they are.

    Args:
        metrics: the result of an evaluation, or training metrics; scalars of any library.
        metric: the name to read.
        subject: who asks, for the message: "exporter 'best' (expcore 0.1.0)".

    Raises:
        UnknownMetric: there is none of that name; the message says which there are.
        InvalidType: it is not a single number.
    """
    if metric not in metrics:
        there = sorted(str(name) for name in metrics if name != "global_step")
        raise UnknownMetric(
            f"{subject}: metric {metric!r} is not among {there}; "
            f"pass metric= or add it to the model{nearest(metric, there)}"
        )
    found = _number(metrics[metric])
    if found is None:
        told = " ".join(repr(metrics[metric]).split())
        raise InvalidType(f"{subject}: metric {metric!r} is {told}; it must be a single number")
    return found


def numbers(metrics: Metrics) -> dict[str, float]:
    """Returns the metrics that are single numbers, as floats; vectors, text and the like are left out."""
    found = {str(name): _number(value) for name, value in metrics.items()}
    return {name: value for name, value in found.items() if value is not None}


def last_improvement(values: Sequence[float], mode: str, min_delta: float = 0.0) -> int | None:
    """Returns the index of the last value that improved on the best one before it.

    Args:
        values: in order; NaN and infinities never improve, the first finite one always does.
        mode: "min" or "max".
        min_delta: by how much an improvement exceeds the best so far, which only improvements move.

    Returns:
        The index; None where no value is finite.

    Raises:
        InvalidArgument: ``mode`` is something else.
    """
    at: int | None = None
    for i, value in enumerate(values):
        if improved(value, None if at is None else values[at], mode, min_delta):
            at = i
    return at


def _number(value: Any) -> float | None:
    """A single number as a float, else None; arrays are none, even of one element."""
    try:
        if isinstance(value, str | bytes) or tuple(getattr(value, "shape", ())) != ():
            return None
        return float(value)
    except (TypeError, ValueError):
        return None


def in_words(metrics: Metrics) -> str:
    """Returns ``name = value`` of every number but the global step, for a line of a log."""
    numbers = {k: v for k, v in metrics.items() if isinstance(v, int | float) and k != "global_step"}
    return ", ".join(f"{name} = {value:.6g}" for name, value in numbers.items())
