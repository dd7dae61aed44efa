"""Several processes train as one does on the same batches, and all of them have the same weights.

Stopped and started again, they go on bit for bit as if they had not been.
"""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.tf, pytest.mark.timeout(600)]

MODULE = runpy.run_path(str(Path(__file__).with_name("cases.py")))
CASES = MODULE["CASES"]
UNLIKE = {
    "data by files",
    "data by files, dealt by hand",
    "data of its own, of different lengths",
    "dropout",
    "numbers drawn by the layers",
}
LIKE = [name for name in CASES if name not in UNLIKE]
BETWEEN_PROCESSES, ON_DEVICES = MODULE["BETWEEN_PROCESSES"], MODULE["ON_DEVICES"]
BETWEEN_THREE, RESUMED = MODULE["BETWEEN_THREE"], MODULE["RESUMED"]


@pytest.fixture(scope="module")
def alone(harness, tmp_path_factory):
    return harness.run_cases(tmp_path_factory.mktemp("alone"), None)["alone-0"]


@pytest.fixture(scope="module")
def two(harness, tmp_path_factory):
    return harness.run_cases(tmp_path_factory.mktemp("two"), 1, BETWEEN_PROCESSES)


@pytest.mark.parametrize("name", [name for name in LIKE if name in BETWEEN_PROCESSES])
def test_two_processes_train_as_one_does(alone, two, check_like, name):
    check_like(alone[name], two["chief-0"][name])


def test_every_case_is_tried_between_processes_or_on_devices():
    assert {*BETWEEN_PROCESSES, *ON_DEVICES} == {*MODULE["CHOSEN"]}


@pytest.mark.parametrize("name", BETWEEN_PROCESSES)
def test_all_processes_have_the_same_weights_bit_for_bit(two, name):
    chief, worker = two["chief-0"][name], two["worker-0"][name]
    assert worker["live"] == chief["live"]
    assert worker["trained"] == chief["trained"]


def test_random_layers_draw_other_numbers_in_each_process(alone, two):
    name = "numbers drawn by the layers"
    for i in range(2):  # by a layer, and by TensorFlow's operation
        seen = {process: found[name]["others"][i] for process, found in two.items()}
        assert seen["chief-0"] != seen["worker-0"]
        assert seen["chief-0"] == alone[name]["others"][i]  # as a single process draws them


@pytest.mark.parametrize("case", ["what layers keep and steps use", "masks and batch normalisation"])
def test_all_processes_have_the_same_statistics_bit_for_bit(two, case):
    chief, worker = two["chief-0"][case]["others"], two["worker-0"][case]["others"]
    assert chief == worker


def test_files_are_dealt_as_by_hand(alone, two):
    dealt, by_hand = "data by files", "data by files, dealt by hand"
    for found in two.values():
        assert found[dealt]["trained"] == found[by_hand]["trained"]
        assert found[dealt]["trained"] != alone[dealt]["trained"]  # which reads one file after the other


def test_a_pass_ends_for_all_where_the_shortest_data_end(two):
    found = [process["data of its own, of different lengths"] for process in two.values()]
    assert [f["step"] for f in found] == [48 // 8] * 2


@pytest.fixture(scope="module")
def devices(run_on_devices):
    return run_on_devices("mirrored")


@pytest.mark.parametrize("name", [name for name in LIKE if name in ON_DEVICES])
def test_two_devices_of_one_process_train_as_one_does(alone, devices, check_like, name):
    check_like(alone[name], devices[name])


@pytest.mark.parametrize("name", [name for name in sorted(UNLIKE) if name in ON_DEVICES])
def test_what_is_not_alike_is_trained_on_devices_too(devices, name):
    assert devices[name]["step"] == 12


def test_random_layers_draw_other_numbers_on_each_device(devices):
    first, second, first_raw, second_raw, *_ = devices["numbers drawn by the layers"]["others"]
    assert first != second
    assert first_raw != second_raw


@pytest.fixture(scope="module")
def three(harness, tmp_path_factory):
    return harness.run_cases(tmp_path_factory.mktemp("three"), 2, BETWEEN_THREE)


@pytest.mark.parametrize("name", BETWEEN_THREE)
def test_three_processes_whose_shares_differ_train_as_one_does(alone, three, check_like, name):
    check_like(alone[name], three["chief-0"][name])


@pytest.fixture(scope="module")
def resumed(harness, tmp_path_factory):
    folder = tmp_path_factory.mktemp("resumed")
    harness.run_cases(folder, 1, RESUMED, steps=7)
    return harness.run_cases(folder, 1, RESUMED, steps=12)


def everything(checkpoint):
    import tensorflow as tf

    reader = tf.train.load_checkpoint(checkpoint)
    names = sorted(reader.get_variable_to_shape_map())
    return {n: reader.get_tensor(n) for n in names if not n.startswith(("position/", "about/"))}


@pytest.mark.parametrize("name", RESUMED)
def test_a_resumed_cluster_ends_where_a_straight_one_does(two, resumed, name):
    there = everything(two["chief-0"][name]["checkpoint"])
    here = everything(resumed["chief-0"][name]["checkpoint"])
    assert list(there) == list(here)
    for key, value in there.items():
        # What all processes have added up to metrics is the chief's after a restart: another order of sums.
        noise = 1e-6 if key.startswith("metrics/") else 0
        np.testing.assert_allclose(here[key], value, rtol=noise, atol=0, err_msg=key)
    metrics = two["chief-0"][name]["metrics"]
    assert resumed["chief-0"][name]["metrics"] == pytest.approx(metrics, rel=1e-6)
    assert resumed["worker-0"][name]["live"] == two["worker-0"][name]["live"]
