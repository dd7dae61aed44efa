"""progress_bar: what is drawn on a terminal, and nothing elsewhere."""

from __future__ import annotations

import io
import sys

import pytest

from expcore.errors import InvalidArgument
from expcore.testing import CountingEngine as Engine
from expcore.testing import drive as train
from expcore_plugins.hooks.progress_bar import ProgressBar


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Boom:
    def after_steps(self, run):
        raise RuntimeError("boom")

    def next_step(self, step):
        return step + 10


def test_draws_the_steps_to_the_end_of_the_run_with_the_metrics():
    stream = Terminal()
    train([ProgressBar(stream=stream)], until=200)
    first, last = stream.getvalue().split("\r")[1], stream.getvalue().split("\r")[-1]
    assert "0/200" in first
    assert "200/200" in last
    assert "100%" in last
    assert "loss=0.005" in last


def test_starts_at_the_restored_step():
    stream = Terminal()
    train([ProgressBar(stream=stream)], until=200, engine=Engine(step=150))
    assert "150/200" in stream.getvalue().split("\r")[1]
    assert "200/200" in stream.getvalue().split("\r")[-1]


def test_counts_without_an_end_where_the_run_has_none():
    stream = Terminal()
    train([ProgressBar(stream=stream)], until=None, engine=Engine(ends=70))
    last = stream.getvalue().split("\r")[-1]
    assert "70step" in last
    assert "%" not in last


def test_moves_in_its_rhythm():
    stream = Terminal()
    train([ProgressBar(every_secs=1.0, stream=stream)], until=500)
    drawn = {part.split("/500")[0].split()[-1] for part in stream.getvalue().split("\r") if "/500" in part}
    assert {int(step) for step in drawn} >= {0, 500}
    assert len(drawn) in range(5, 9)


def test_is_closed_with_a_new_line_at_the_end_and_after_a_failure():
    done, failed = Terminal(), Terminal()
    train([ProgressBar(stream=done)], until=20)
    assert done.getvalue().endswith("\n")
    with pytest.raises(RuntimeError, match="boom"):
        train([ProgressBar(stream=failed), Boom()], until=20)
    assert failed.getvalue().endswith("\n")


def test_can_be_used_for_several_runs():
    stream, engine = Terminal(), Engine()
    bar = ProgressBar(stream=stream)
    train([bar], until=50, engine=engine)
    train([bar], until=100, engine=engine)
    assert stream.getvalue().count("\n") == 2
    assert "100/100" in stream.getvalue().split("\r")[-1]


def test_nothing_is_written_where_the_stream_is_no_terminal():
    stream = io.StringIO()
    asked = []
    train([ProgressBar(stream=stream)], until=200, engine=Engine(metrics=lambda s: asked.append(s) or {}))
    assert stream.getvalue() == ""
    assert asked == []  # metrics that nobody sees are not fetched


def test_draws_on_stderr_as_it_is_when_the_run_begins(monkeypatch):
    bar, stream = ProgressBar(), Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    train([bar], until=20)
    assert "20/20" in stream.getvalue()


@pytest.mark.parametrize("secs", [0, None, "1"])
def test_seconds_that_are_not_positive_are_refused(secs):
    with pytest.raises(InvalidArgument, match="hook 'progress_bar': every_secs is"):
        ProgressBar(secs)
