"""stop_at_step: ends exactly there, counted absolutely or from the beginning of the run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expcore.errors import InvalidArgument
from expcore.testing import CountingEngine as Engine
from expcore.testing import drive as train
from expcore_plugins.hooks.stop_at_step import StopAtStep


@given(start=st.integers(0, 300), last=st.integers(0, 300))
def test_last_step_is_the_global_step_at_which_training_ends(start, last):
    run = train([StopAtStep(last_step=last)], until=None, engine=Engine(step=start, ends=1000))
    assert run.step == max(start, last)
    assert run.stop_reason == f"stop_at_step {last}"


@given(start=st.integers(0, 300), n=st.integers(1, 300))
def test_num_steps_counts_from_where_the_run_begins(start, n):
    run = train([StopAtStep(num_steps=n)], until=None, engine=Engine(step=start, ends=1000))
    assert run.step == start + n


def test_every_run_makes_num_steps_anew():
    hook, engine = StopAtStep(num_steps=10), Engine(ends=1000)
    assert [train([hook], until=None, engine=engine).step for _ in range(3)] == [10, 20, 30]


def test_an_earlier_end_of_the_run_comes_first():
    assert train([StopAtStep(last_step=100)], until=50).stop_reason == "max_steps"


@pytest.mark.parametrize("arguments", [{}, {"last_step": 0, "num_steps": 1}])
def test_exactly_one_of_the_two_must_be_given(arguments):
    with pytest.raises(InvalidArgument, match=r"hook 'stop_at_step': .*give exactly one of the two"):
        StopAtStep(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"last_step": -1}, "last_step is -1; it must be a whole number of at least 0"),
        ({"last_step": 1.5}, "last_step is 1.5"),
        ({"num_steps": 0}, "num_steps is 0; it must be a whole number of at least 1"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(InvalidArgument, match=f"hook 'stop_at_step': {message}"):
        StopAtStep(**arguments)
