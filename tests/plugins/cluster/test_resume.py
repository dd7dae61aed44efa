"""A cluster that is stopped and started again goes on bit for bit as if it had not been."""

from __future__ import annotations

import os

import numpy as np
import pytest

pytestmark = [pytest.mark.tf, pytest.mark.timeout(600)]

NAMES = ["a last batch that is short", "what layers keep and steps use", "dropout", "data of its own"]
if os.environ.get("EXPCORE_LONG"):
    NAMES += ["adam", "batch normalisation"]


def everything(checkpoint):
    import tensorflow as tf

    reader = tf.train.load_checkpoint(checkpoint)
    names = sorted(reader.get_variable_to_shape_map())
    return {n: reader.get_tensor(n) for n in names if not n.startswith(("position/", "about/"))}


@pytest.fixture(scope="module")
def straight(harness, tmp_path_factory):
    return harness.run_cases(tmp_path_factory.mktemp("straight"), 1, NAMES, steps=12)


@pytest.fixture(scope="module")
def resumed(harness, tmp_path_factory):
    folder = tmp_path_factory.mktemp("resumed")
    harness.run_cases(folder, 1, NAMES, steps=7)
    return harness.run_cases(folder, 1, NAMES, steps=12)


@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_cluster_ends_where_a_straight_one_does(straight, resumed, name):
    there = everything(straight["chief-0"][name]["checkpoint"])
    here = everything(resumed["chief-0"][name]["checkpoint"])
    assert list(there) == list(here)
    for key, value in there.items():
        # What all processes have added up to metrics is the chief's after a restart: another order of sums.
        noise = 1e-6 if key.startswith("metrics/") else 0
        np.testing.assert_allclose(here[key], value, rtol=noise, atol=0, err_msg=key)
    metrics = straight["chief-0"][name]["metrics"]
    assert resumed["chief-0"][name]["metrics"] == pytest.approx(metrics, rel=1e-6)
    assert resumed["worker-0"][name]["live"] == straight["worker-0"][name]["live"]
