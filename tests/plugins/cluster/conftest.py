"""Clusters of real processes on loopback, in a network of their own."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def harness():
    """What harness.py has: run, run_cases."""
    return SimpleNamespace(**runpy.run_path(str(HERE / "harness.py")))


@pytest.fixture(scope="session")
def run_on_devices(tmp_path_factory):
    """Runs a program of this folder, on two devices of one process, and returns what it found."""

    def run(name):
        folder = tmp_path_factory.mktemp(name)
        done = subprocess.run(
            [sys.executable, str(HERE / f"{name}.py"), str(folder)],
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads((folder / f"{name}.json").read_text())

    return run


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
