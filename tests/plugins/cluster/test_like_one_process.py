"""Several processes train as one does on the same batches, and all of them have the same weights."""

from __future__ import annotations

import runpy
from pathlib import Path

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
