"""Clusters of real processes on loopback, in a network of their own."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def harness():
    """What harness.py has: run, run_cases."""
    return SimpleNamespace(**runpy.run_path(str(HERE / "harness.py")))


def _variables(checkpoint):
    import tensorflow as tf

    reader = tf.train.load_checkpoint(checkpoint)
    names = sorted(reader.get_variable_to_shape_map())
    return {n: reader.get_tensor(n) for n in names if n.startswith(("model/", "optimizer/", "metrics/"))}


@pytest.fixture(scope="session")
def check_like():
    """Demands that what several processes trained is what one did, to floating-point noise."""

    def check_like(one, several):
        there, here = _variables(one["checkpoint"]), _variables(several["checkpoint"])
        assert list(there) == list(here)
        for name, value in there.items():
            # Sums of floats in another order; Adam's steps are as large where gradients are as good as 0.
            np.testing.assert_allclose(here[name], value, rtol=2e-5, atol=2e-6, err_msg=name)
        assert several["metrics"] == pytest.approx(one["metrics"], rel=1e-5, abs=1e-6)

    return check_like
