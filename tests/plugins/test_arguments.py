"""Checks of components' arguments: what is taken, and that messages name subject, value and rule."""

from __future__ import annotations

import math

import numpy as np
import pytest

from expcore.errors import InvalidArgument
from expcore_plugins.arguments import number, seconds, text, texts, whole


def test_whole_numbers_of_any_library_become_int():
    assert whole("hook 'x'", "n", np.int64(3), least=1) == 3
    assert type(whole("hook 'x'", "n", np.int64(3), least=1)) is int


@pytest.mark.parametrize("value", [0, -1, 1.0, "1", None, True])
def test_what_is_no_whole_number_or_too_small_is_refused(value):
    with pytest.raises(InvalidArgument, match=r"hook 'x': n is .*; it must be a whole number of at least 1"):
        whole("hook 'x'", "n", value, least=1)


def test_numbers_become_float_and_may_be_negative_without_a_limit():
    assert number("hook 'x'", "n", -3) == -3.0
    assert type(number("hook 'x'", "n", np.float32(0.5))) is float


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "1", None, True])
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(InvalidArgument, match=r"hook 'x': n is .*; it must be a finite number$"):
        number("hook 'x'", "n", value)


def test_a_number_below_its_limit_is_refused():
    with pytest.raises(InvalidArgument, match=r"n is -0.5; it must be a finite number of at least 0$"):
        number("hook 'x'", "n", -0.5, least=0)


def test_seconds_are_greater_than_zero():
    assert seconds("hook 'x'", "every_secs", 0.5) == 0.5
    with pytest.raises(InvalidArgument, match=r"every_secs is 0; it must be greater than 0 seconds"):
        seconds("hook 'x'", "every_secs", 0)
    with pytest.raises(InvalidArgument, match=r"every_secs is -1; .*at least 0"):
        seconds("hook 'x'", "every_secs", -1)


@pytest.mark.parametrize("value", ["", None, 1])
def test_text_is_a_string_that_is_not_empty(value):
    assert text("hook 'x'", "metric", "loss") == "loss"
    with pytest.raises(
        InvalidArgument, match=r"hook 'x': metric is .*; it must be a string that is not empty"
    ):
        text("hook 'x'", "metric", value)


@pytest.mark.parametrize("value", ["loss", b"loss", None, {"loss"}])
def test_a_list_of_strings_is_not_one_string(value):
    with pytest.raises(InvalidArgument, match=r"metrics is .*; it must be a list of strings"):
        texts("hook 'x'", "metrics", value)


def test_a_list_of_strings_becomes_a_tuple_and_names_the_bad_item():
    assert texts("hook 'x'", "metrics", ["loss", "auc"]) == ("loss", "auc")
    with pytest.raises(InvalidArgument, match=r"metrics\[1\] is 2; it must be a string"):
        texts("hook 'x'", "metrics", ["loss", 2])
