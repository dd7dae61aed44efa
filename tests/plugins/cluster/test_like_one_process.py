"""Several processes train as one does on the same batches, and all of them have the same weights."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = [pytest.mark.tf, pytest.mark.timeout(600)]

CASES = runpy.run_path(str(Path(__file__).with_name("cases.py")))["CASES"]
UNLIKE = {
    "data by files",
    "data by files, dealt by hand",
    "data of its own, of different lengths",
    "dropout",
    "numbers drawn by the layers",
}
LIKE = [name for name in CASES if name not in UNLIKE]
UNEVEN = [  # for three processes, whose shares of 16 rows are not the same
    "clipnorm",
    "accumulation",
    "a last batch that is short",
    "fewer rows than processes",
    "weights, their mean",
    "regularizers and constraints",
    "batch normalisation",
    "masks and batch normalisation",
    "a training step of its own",
]


@pytest.fixture(scope="module")
def alone(harness, tmp_path_factory):
    return harness.run_cases(tmp_path_factory.mktemp("alone"), None)["alone-0"]


@pytest.fixture(scope="module")
def two(harness, tmp_path_factory):
    return harness.run_cases(tmp_path_factory.mktemp("two"), 1)


@pytest.fixture(scope="module")
def three(harness, tmp_path_factory):
    return harness.run_cases(tmp_path_factory.mktemp("three"), 2, UNEVEN)


def variables(checkpoint):
    import tensorflow as tf

    reader = tf.train.load_checkpoint(checkpoint)
    names = sorted(reader.get_variable_to_shape_map())
    return {n: reader.get_tensor(n) for n in names if n.startswith(("model/", "optimizer/", "metrics/"))}


def check_like(one, several):
    there, here = variables(one["checkpoint"]), variables(several["checkpoint"])
    assert list(there) == list(here)
    for name, value in there.items():
        # Sums of floats in another order; Adam's steps are as large where gradients are as good as 0.
        np.testing.assert_allclose(here[name], value, rtol=2e-5, atol=2e-6, err_msg=name)
    assert several["metrics"] == pytest.approx(one["metrics"], rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", LIKE)
def test_two_processes_train_as_one_does(alone, two, name):
    check_like(alone[name], two["chief-0"][name])


@pytest.mark.parametrize("name", UNEVEN)
def test_three_processes_train_as_one_does(alone, three, name):
    check_like(alone[name], three["chief-0"][name])


@pytest.mark.parametrize("name", list(CASES))
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


@pytest.mark.parametrize("case", ["a running mean of its own", "batch normalisation"])
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
def devices(tmp_path_factory):
    folder = tmp_path_factory.mktemp("devices")
    program = Path(__file__).with_name("mirrored.py")
    done = subprocess.run(
        [sys.executable, str(program), str(folder)], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "devices.json").read_text())


@pytest.mark.parametrize("name", [name for name in LIKE if not name.startswith("data of its own")])
def test_two_devices_of_one_process_train_as_one_does(alone, devices, name):
    check_like(alone[name], devices[name])


def test_random_layers_draw_other_numbers_on_each_device(devices):
    first, second, first_raw, second_raw, *_ = devices["numbers drawn by the layers"]["others"]
    assert first != second
    assert first_raw != second_raw
