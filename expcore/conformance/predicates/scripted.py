"""Scripted metrics: what an estimator's evaluations say is replaced by numbers that fall, stay and rise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from expcore.errors import InvalidArgument
from expcore.metrics import direction

SHORT = (0.2, 0.6, 0.6, 0.4, 0.97)
"""How good the model is after each round, 0 to 1: better, the same, worse, better."""

LONG = (
    *(0.1, 0.2, 0.4, 0.6, 0.8),
    *(0.8,) * 11,
    *(0.78 - 0.02 * n for n in range(11)),
    *(0.9, 0.995),
)
"""Long enough on the same level, and long enough worse each time, for a patience of 10."""

_LOWER = ("loss", "mae", "mse", "rmse", "error")
_HIGHER = ("accuracy", "auc", "precision", "recall", "f1_score")

USUAL: Mapping[str, float] = {
    f"{prefix}{name}": start
    for prefix in ("", "val_", "val/")
    for names, start in ((_LOWER, 1.0), (_HIGHER, 0.0))
    for name in names
}
"""The metrics of an evaluation where the sample brings no estimator."""


def script(estimator: Any, levels: Sequence[float], more: Mapping[str, float]) -> None:
    """Lets each evaluation of an estimator come out as the script says, one level after the other.

    Training, checkpoints and everything else stay what they are; numbers that are not fractions as well.

    Args:
        estimator: whose ``evaluate`` is replaced on this object.
        levels: how good it is at each evaluation; the last one stays.
        more: metrics that its results have besides, with their values at level 0.
    """
    real, first, left = estimator.evaluate, dict[str, float](), list(levels)

    def evaluate(*args: Any, **named: Any) -> dict[str, Any]:
        result = dict(real(*args, **named))
        level = left.pop(0) if len(left) > 1 else left[0]
        for name, value in {**more, **result}.items():
            if isinstance(value, float) or type(value).__name__.startswith("float"):
                start = first.setdefault(name, more.get(name, float(value)))
                result[name] = _at(level, name, start)
        return result

    estimator.evaluate = evaluate


def _at(level: float, name: str, start: float) -> float:
    try:
        lower = direction(name) == "min"
    except InvalidArgument:  # its name does not tell; it moves all the same
        lower = False
    if lower:
        return start * (1 - level)
    return level if 0 <= start <= 1 else start + abs(start) * level
