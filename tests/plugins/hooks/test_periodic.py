"""The rhythm that hooks share: multiples of the steps, or seconds instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expcore.errors import InvalidArgument
from expcore_plugins.hooks.periodic import Periodic


@given(st.integers(0, 10**9), st.integers(1, 10**6))
def test_the_next_step_is_the_next_multiple_wherever_it_begins(step, n):
    found = Periodic("hook 'x'", n, None).next_step(step)
    assert found % n == 0
    assert step < found <= step + n


def test_seconds_take_the_place_of_steps():
    rhythm = Periodic("hook 'x'", 100, 2.5)
    assert (rhythm.every_secs, rhythm.every_n_steps, rhythm.next_step(7)) == (2.5, None, None)


def test_neither_means_only_at_the_end():
    rhythm = Periodic("hook 'x'", None, None)
    assert (rhythm.every_secs, rhythm.next_step(7)) == (None, None)


@pytest.mark.parametrize("steps", [0, -1, 1.5, "10", True])
def test_steps_that_are_not_positive_and_whole_are_refused(steps):
    with pytest.raises(InvalidArgument, match=r"hook 'x': every_n_steps is .*whole number of at least 1"):
        Periodic("hook 'x'", steps, None)


@pytest.mark.parametrize("secs", [0, -1, float("nan")])
def test_seconds_that_are_not_positive_are_refused(secs):
    with pytest.raises(InvalidArgument, match="hook 'x': every_secs is"):
        Periodic("hook 'x'", None, secs)
