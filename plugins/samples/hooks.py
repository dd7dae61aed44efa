"""Samples of the built-in hooks that need arguments, or something beside them."""

from __future__ import annotations

from pathlib import Path

from expcore import RunConfig
from expcore.conformance import Sample
from expcore.events import LOG_DIR, SAVED, EventLog
from expcore.testing.numpy_estimator import NumpyEstimator
from expcore.types import Clock
from expcore_plugins.hooks.early_stopping import EarlyStopping
from expcore_plugins.hooks.global_step_waiter import GlobalStepWaiter
from expcore_plugins.hooks.stop_at_step import StopAtStep


def early_stopping() -> Sample:
    """One that ends training, and looks by time as well."""
    return Sample(
        factory=lambda: EarlyStopping(patience=1, min_delta=0.01, min_steps=120, check_every_secs=30)
    )


def stop_at_step() -> Sample:
    """One that ends training at a step."""
    return Sample(factory=lambda: StopAtStep(last_step=150))


def global_step_waiter() -> Sample:
    """One that waits for a chief, which is far ahead."""
    return Sample(factory=lambda: GlobalStepWaiter(200), estimator=_beside_a_chief)


def _beside_a_chief(model_dir: str, clock: Clock) -> NumpyEstimator:
    config = RunConfig(model_dir=model_dir, keep_checkpoint_max=0)
    if not Path(model_dir, LOG_DIR).exists():
        chief = EventLog(model_dir, "chief-0", clock)
        chief.append(SAVED, run="chief", path="ckpt-5000", inside=True, step=5000, fingerprint=[])
    return NumpyEstimator(model_dir, config, clock=clock)
