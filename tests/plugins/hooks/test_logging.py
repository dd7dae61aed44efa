"""logging: which lines are written when, and what they say."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest

from expcore.errors import InvalidArgument, InvalidType, UnknownMetric
from expcore.testing import CountingEngine as Engine
from expcore.testing import drive as train
from expcore_plugins.hooks.logging import Logging


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "expcore.training")

    def written():
        assert {(r.name, r.levelno) for r in caplog.records} <= {("expcore.training", logging.INFO)}
        return [r.getMessage() for r in caplog.records]

    return written


def test_a_line_at_every_multiple_and_at_the_end(lines):
    train([Logging(every_n_steps=100)], until=250)
    assert lines() == [
        "step 100: loss = 0.01 (100 steps/s)",
        "step 200: loss = 0.005 (100 steps/s)",
        "step 250: loss = 0.004 (100 steps/s)",
    ]


def test_no_second_line_where_the_end_is_a_multiple(lines):
    train([Logging(every_n_steps=100)], until=200)
    assert [line.split(":")[0] for line in lines()] == ["step 100", "step 200"]


def test_restarts_keep_to_the_same_steps(lines):
    train([Logging(every_n_steps=100)], until=300, engine=Engine(step=130))
    assert [line.split(":")[0] for line in lines()] == ["step 200", "step 300"]


def test_seconds_take_the_place_of_steps(lines):
    train([Logging(every_n_steps=1, every_secs=1.0)], until=250)
    assert len(lines()) == 3
    assert lines()[-1].startswith("step 250")


def test_only_at_the_end_where_there_is_no_rhythm(lines):
    train([Logging(every_n_steps=None)], until=250)
    assert [line.split(":")[0] for line in lines()] == ["step 250"]


def test_a_run_without_a_step_gets_no_line(lines):
    train([Logging()], until=100, engine=Engine(step=100))
    train([Logging()], until=None, engine=Engine(step=100, ends=100))
    assert lines() == []


def test_all_single_numbers_are_shown_and_nothing_else(lines):
    found = {"loss": np.float32(0.5), "nan": math.nan, "per_class": np.ones(3), "note": "text"}
    train([Logging()], until=1, engine=Engine(metrics=lambda step: found))
    assert lines() == ["step 1: loss = 0.5, nan = nan (100 steps/s)"]


def test_chosen_metrics_are_shown_in_their_order(lines):
    engine = Engine(metrics=lambda step: {"loss": 0.5, "auc": 0.75, "acc": 1.0})
    train([Logging(metrics=["acc", "loss"])], until=1, engine=engine)
    assert lines() == ["step 1: acc = 1, loss = 0.5 (100 steps/s)"]


def test_no_metrics_still_give_step_and_pace(lines):
    train([Logging()], until=1, engine=Engine(metrics=lambda step: {}))
    assert lines() == ["step 1 (100 steps/s)"]


def test_a_chosen_metric_that_is_not_there_is_an_error_naming_those_there_are():
    with pytest.raises(UnknownMetric, match=r"hook 'logging': metric 'auc' is not among \['loss'\]"):
        train([Logging(metrics=["auc"])], until=1)


def test_a_chosen_metric_that_is_no_number_is_an_error():
    with pytest.raises(InvalidType, match="hook 'logging': metric 'loss' is 'low'"):
        train([Logging(metrics=["loss"])], until=1, engine=Engine(metrics=lambda step: {"loss": "low"}))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every_n_steps": 0}, "every_n_steps is 0"),
        ({"every_secs": 0}, "every_secs is 0"),
        ({"metrics": "loss"}, "metrics is 'loss'; it must be a list of strings"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(InvalidArgument, match=f"hook 'logging': {message}"):
        Logging(**arguments)
