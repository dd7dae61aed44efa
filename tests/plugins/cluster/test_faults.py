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


@pytest.fixture(scope="module")
def in_turn(harness, tmp_path_factory):
    """What chief and worker say of each program that does not end them, by name of the program."""
    folder = tmp_path_factory.mktemp("in_turn")
    codes, logs = harness.run(folder / "logs", 1, [FAULTS, "in_turn", str(folder / "model")])
    assert set(codes.values()) == {0}, logs

    def told(program):
        head = f"{program}: "
        found = {
            process: [line.removeprefix(head) for line in log.splitlines() if line.startswith(head)]
            for process, log in logs.items()
        }
        return found["chief-0"], found["worker-0"]

    return told


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("other_data", "different batches"),
        ("other_model", "has other variables, or of other shapes"),
        ("mixed", "in all of them, or in none"),
    ],
)
def test_processes_that_are_not_alike_say_so(in_turn, program, words):
    for lines in in_turn(program):
        (line,) = lines
        assert line.startswith("64: ")
        assert words in line


def test_all_stop_at_the_step_at_which_one_asks(in_turn):
    assert in_turn("stop_of_one") == (["ckpt-4"], ["None"])


def test_a_chief_evaluates_when_the_others_have_long_ended(in_turn):
    assert in_turn("late_chief") == (["5"], ["None"])


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
