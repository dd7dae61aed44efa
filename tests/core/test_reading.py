"""What hooks are told of an evaluation: begin, after_steps and end with the metrics, or failed."""

from __future__ import annotations

import pytest

from expcore.loop import Advance
from expcore.reading import reading_run, told
from expcore.testing import VirtualClock


class Diary:
    def __init__(self, lines, fails=()):
        self.lines, self.fails = lines, fails

    def _write(self, method, run, *more):
        self.lines.append((method, run.step, dict(run.metrics), run.ending, *more))
        if method in self.fails:
            raise ValueError(method)

    def begin(self, run):
        self._write("begin", run)

    def after_steps(self, run):
        self._write("after_steps", run)

    def end(self, run):
        self._write("end", run)

    def failed(self, run, error):
        self._write("failed", run, type(error).__name__)


class Silent:
    """Has none of the methods that count here."""

    def next_step(self, step):
        raise AssertionError("an evaluation has no steps")


def a_run():
    return reading_run(7, "model", "somewhere", VirtualClock(3))


def test_the_run_is_that_of_the_checkpoint():
    run = a_run()
    assert (run.step, run.model, run.model_dir, run.until) == (7, "model", "somewhere", None)
    assert run.clock.time() == 3
    assert (run.history, run.metrics, run.ending) == (None, {}, False)


def test_hooks_are_told_in_order_and_given_the_metrics_at_the_end():
    lines, run = [], a_run()
    with told(run, [Diary(lines), Silent()]):
        run.made(Advance(1, False, lambda: {"loss": 0.5}))
    assert lines == [
        ("begin", 7, {}, False),
        ("after_steps", 7, {"loss": 0.5}, True),
        ("end", 7, {"loss": 0.5}, True),
    ]


def test_a_failure_is_told_to_every_hook_and_comes_out():
    lines, run = [], a_run()
    with pytest.raises(KeyError), told(run, [Diary(lines), Diary(lines)]):
        raise KeyError("x")
    assert [line[0] for line in lines] == ["begin", "begin", "failed", "failed"]
    assert lines[-1][-1] == "KeyError"


def test_a_hook_that_raises_is_named_and_what_failed_raises_is_noted(caplog):
    lines, run = [], a_run()
    with pytest.raises(ValueError, match="begin") as caught, told(run, [Diary(lines, ("begin", "failed"))]):
        raise AssertionError("never reached")
    assert any("raised in begin() of" in note for note in caught.value.__notes__)
    assert any("failed() raised ValueError: failed" in note for note in caught.value.__notes__)
    assert "failed while told of a failure" in caplog.text
