"""What goes wrong in a cluster ends in time, with a line that says what, and the exit code for it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = [pytest.mark.tf, pytest.mark.timeout(300)]

FAULTS = str(Path(__file__).with_name("faults.py"))


@pytest.fixture
def ended(harness, tmp_path):
    """Runs a program of faults.py in chief and worker, and returns their exit codes and last lines."""

    def run(name):
        codes, logs = harness.run(tmp_path / "logs", 1, [FAULTS, name, str(tmp_path / "model")])
        return codes, {process: "".join(log.splitlines(True)[-3:]) for process, log in logs.items()}

    return run


def test_processes_that_read_different_data_say_so(ended):
    codes, last = ended("other_data")
    assert set(codes.values()) == {64}
    assert all("different batches" in line for line in last.values()), last


def test_processes_whose_models_differ_say_so(ended):
    codes, last = ended("other_model")
    assert set(codes.values()) == {64}
    assert all("has other variables, or of other shapes" in line for line in last.values()), last


def test_processes_of_which_some_share_the_data_say_so(ended):
    codes, last = ended("mixed")
    assert set(codes.values()) == {64}
    assert all("in all of them, or in none" in line for line in last.values()), last


def test_tensorflow_that_was_used_too_early_is_told(ended):
    codes, last = ended("used_before")
    assert set(codes.values()) == {64}
    assert all("before it joined its cluster" in line for line in last.values()), last


def test_a_taken_port_is_told_and_who_never_comes_is_waited_for_only_so_long(ended):
    codes, last = ended("taken_port")
    assert codes == {"chief-0": 69, "worker-0": 69}
    assert "its port cannot be listened on" in last["worker-0"]
    assert "Address already in use" in last["worker-0"]
    assert "start_timeout_secs" in last["chief-0"]


def test_the_loss_of_a_process_ends_the_others_with_a_code_to_retry(ended, tmp_path):
    codes, last = ended("lost_peer")
    assert codes == {"chief-0": 138, "worker-0": -9}
    assert "another process of the cluster is lost" in last["chief-0"]
    assert list((tmp_path / "model").glob("ckpt-*.index"))


def test_a_chief_evaluates_when_the_others_have_long_ended(ended):
    codes, last = ended("late_chief")
    assert set(codes.values()) == {0}, last


def test_all_stop_at_the_step_at_which_one_asks(ended):
    codes, last = ended("stop_of_one")
    assert set(codes.values()) == {0}, last
