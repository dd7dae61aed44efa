"""Settings: the small real experiments in which components are tried; no installed plugin is seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from expcore.cluster import RunConfig
from expcore.conformance.case import PatientClock
from expcore.experiment import Experiment
from expcore.host import PluginHost
from expcore.testing.numpy_estimator import NumpyEstimator

EXAMPLES, FEATURES = 64, 3


def linear_data() -> tuple[Any, Any]:
    """Returns features of shape [64, 3] and labels of shape [64], float32, always the same."""
    import numpy as np

    x = np.random.default_rng(7).normal(size=(EXAMPLES, FEATURES)).astype("float32")
    return x, (x @ np.asarray([1.0, -2.0, 0.5], "float32") + 0.25).astype("float32")


def endless_data() -> Any:
    """Yields the same batches of 16 examples for ever."""
    x, y = linear_data()
    while True:
        for start in range(0, EXAMPLES, 16):
            yield x[start : start + 16], y[start : start + 16]


def quiet_host(**given: Any) -> PluginHost:
    """Returns a plugin host that sees nothing installed and no choice of the user."""
    return PluginHost(environ={}, entry_points=(), **given)


def small_experiment(folder: Path, estimator: Any = None, **given: Any) -> Experiment:
    """Returns an experiment of a NumPy estimator in ``folder / "model"``, by a clock that jumps.

    Args:
        folder: where everything is written.
        estimator: another estimator.
        given: arguments of ``Experiment``; ``config`` is the estimator's.
    """
    clock = given.pop("clock", None) or PatientClock()
    config = given.pop("config", None)
    if estimator is None:
        model_dir = str(folder / "model")
        config = config or RunConfig(model_dir=model_dir, keep_checkpoint_max=0)
        estimator = NumpyEstimator(model_dir, config, clock=clock)
    wanted = {
        "train_input_fn": endless_data,
        "eval_input_fn": linear_data,
        "eval_steps": None,
        "plugins": quiet_host(),
        "clock": clock,
        **given,
    }
    return Experiment(estimator, **wanted)
