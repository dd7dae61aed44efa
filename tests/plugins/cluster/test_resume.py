"""A cluster that is stopped and started again goes on bit for bit as if it had not been."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = [pytest.mark.tf, pytest.mark.timeout(600)]

NAMES = [
    "adam",
    "averages",
    "accumulation",
    "a last batch that is short",
    "batch normalisation",
    "dropout",
    "two outputs",
    "data of its own",
]


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
        np.testing.assert_array_equal(here[key], value, err_msg=key)
    assert resumed["chief-0"][name]["metrics"] == straight["chief-0"][name]["metrics"]
    assert resumed["worker-0"][name]["live"] == straight["worker-0"][name]["live"]
