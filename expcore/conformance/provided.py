"""What a sample brings along: its estimator, which is looked at before a component is blamed for it."""

from __future__ import annotations

from typing import Any

from expcore.calling import call_naming
from expcore.conformance.case import PatientClock, Sample
from expcore.conformance.clause import InvalidSample

_HAS = ("train", "evaluate", "latest_checkpoint")


def own_estimator(sample: Sample, model_dir: str, clock: PatientClock) -> Any:
    """Returns a new estimator of a sample; None where the suite's own will do.

    Args:
        sample: whose ``estimator`` is called with ``model_dir``, and ``clock`` if it names it.
        model_dir: where it is to write.
        clock: the clock of the trial.

    Raises:
        InvalidSample: what came back is no estimator, or the call failed.
    """
    if sample.estimator is None:
        return None
    try:
        made = call_naming(sample.estimator, model_dir, clock=clock)
    except Exception as error:
        raise InvalidSample(
            f"estimator= raised {type(error).__name__}: {error}; it must return an estimator for the "
            "model directory that it is given"
        ) from error
    missing = [name for name in _HAS if not callable(getattr(made, name, None))]
    if missing:
        raise InvalidSample(
            f"estimator= returned {made!r}, which has no {', '.join(missing)}; it must be a function "
            "(model_dir) -> estimator"
        )
    return made
