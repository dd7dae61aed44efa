"""What TensorFlow's coordinator says is told in a line, and the rest of TensorFlow as ever."""

from __future__ import annotations

import logging

import pytest

from expcore_plugins.estimators.engine.quiet import in_a_line

TENSORFLOW = logging.getLogger("tensorflow")
WORKER = "/job:worker/replica:0/task:1"
DERIVED = f"Remote function on worker {WORKER} failed with CancelledError():CANCELLED\nThis is ignored."
CLOSURE = " /job:worker/task:0 encountered the following error when processing closure: X():Graph\n\nbig"


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.INFO)
    return lambda: [(r.name.partition(".")[0], r.levelname, r.getMessage()) for r in caplog.records]


@pytest.mark.parametrize("message", [DERIVED, CLOSURE, "Start cancelling closures due to error X(): y"])
def test_what_is_raised_or_got_over_is_for_debugging(told, message):
    with in_a_line():
        TENSORFLOW.error("%s", message)
    assert told() == []


def test_the_loss_of_a_worker_and_its_return_are_told(told):
    with in_a_line():
        TENSORFLOW.error("Worker %s failed with %r:%s", WORKER, "UnavailableError()", "socket\nclosed")
        TENSORFLOW.warning("Worker %s has been recovered.", WORKER)
    assert told() == [
        ("expcore_plugins", "WARNING", "worker 1 is lost; the others do its work until it is back"),
        ("expcore_plugins", "INFO", "worker 1 is back"),
    ]


def test_what_else_tensorflow_says_is_left_alone(told):
    with in_a_line():
        TENSORFLOW.error("something else about a Worker")
    assert told() == [("tensorflow", "ERROR", "something else about a Worker")]


def test_one_within_another_ends_without_ending_that(told):
    with in_a_line():
        with in_a_line():
            pass
        TENSORFLOW.error(DERIVED)
    assert told() == []
    TENSORFLOW.error(DERIVED)
    assert told() == [("tensorflow", "ERROR", DERIVED)]
