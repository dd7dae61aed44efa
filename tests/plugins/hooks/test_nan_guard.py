"""nan_guard: a loss that is no number ends training before it is saved."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expcore.errors import InvalidArgument, InvalidType, NanLoss, UnknownMetric
from expcore.testing import CountingEngine as Engine
from expcore.testing import drive as train
from expcore_plugins.hooks.nan_guard import NanGuard


def spoilt(at, value=math.nan, name="loss"):
    """An engine whose metric is spoilt from a step on, as a running mean stays once it is NaN."""
    return Engine(metrics=lambda step: {name: value if step >= at else 1.0})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_metric_that_is_not_finite_fails_the_run_naming_metric_value_and_step(value):
    with pytest.raises(NanLoss, match=f"hook 'nan_guard': metric 'loss' is {value} at global step 20;"):
        train([NanGuard(every_n_steps=10)], until=100, engine=spoilt(15, value))


def test_it_can_end_the_run_instead_with_the_reason_nan():
    run = train([NanGuard(every_n_steps=10, fail=False)], until=100, engine=spoilt(15))
    assert (run.step, run.stop_reason) == (20, "nan")


def test_finite_metrics_change_nothing():
    run = train([NanGuard(every_n_steps=10)], until=35, engine=Engine())
    assert (run.step, run.stop_reason) == (35, "max_steps")


def test_the_end_of_a_run_is_looked_at_too():
    engine = spoilt(35)
    with pytest.raises(NanLoss, match="at global step 35"):
        train([NanGuard(every_n_steps=10)], until=35, engine=engine)
    assert engine.saves == []


@given(at=st.integers(1, 60), every=st.integers(1, 30), save=st.integers(1, 30), until=st.integers(1, 60))
def test_no_state_is_saved_once_the_metric_shows_it_whatever_the_rhythms(at, every, save, until):
    engine = spoilt(at)
    if at <= until:
        with pytest.raises(NanLoss):
            train([NanGuard(every_n_steps=every)], until=until, engine=engine, save=save)
    else:
        train([NanGuard(every_n_steps=every)], until=until, engine=engine, save=save)
    assert [step for step in engine.saves if step >= at] == []


def test_another_metric_can_be_guarded():
    with pytest.raises(NanLoss, match="metric 'grad_norm' is inf"):
        train([NanGuard(10, metric="grad_norm")], until=20, engine=spoilt(1, math.inf, "grad_norm"))


def test_without_a_loss_all_metrics_that_are_numbers_are_guarded():
    with pytest.raises(NanLoss, match="metric 'mse' is nan"):
        train([NanGuard(10)], until=20, engine=spoilt(1, name="mse"))
    fine = Engine(metrics=lambda step: {"mse": 1.0, "word": "low"})
    assert train([NanGuard(10)], until=20, engine=fine).step == 20
    assert train([NanGuard(10)], until=20, engine=Engine(metrics=lambda step: {})).step == 20


def test_a_metric_that_is_not_there_is_an_error_naming_those_there_are():
    with pytest.raises(UnknownMetric, match=r"'nan_guard': metric 'los' is not among \['loss'\].*'loss'\?"):
        train([NanGuard(every_n_steps=10, metric="los")], until=20)


def test_a_metric_that_is_no_number_is_an_error():
    with pytest.raises(InvalidType, match="hook 'nan_guard': metric 'loss' is 'low'"):
        train([NanGuard()], until=1, engine=Engine(metrics=lambda step: {"loss": "low"}))


def test_a_run_without_a_step_is_not_looked_at():
    assert train([NanGuard(metric="los")], until=None, engine=Engine(step=5, ends=5)).step == 5


def test_it_keeps_no_state_in_checkpoints():
    guard = NanGuard()
    assert guard.get_state() == {}
    guard.set_state({})
    assert guard.get_state() == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"every_n_steps": 0}, "every_n_steps is 0"), ({"metric": ""}, "metric is ''")],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(InvalidArgument, match=f"hook 'nan_guard': {message}"):
        NanGuard(**arguments)
