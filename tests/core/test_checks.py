"""Checks of what an experiment and its schedules are given."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from expcore.checks import (
    check_estimator,
    check_input_fns,
    check_number,
    check_options,
    check_secs,
    listed,
)
from expcore.errors import InvalidArgument, UnknownOption


class Complete:
    model_dir = "models/m"

    def train(self, input_fn: Any) -> None: ...
    def evaluate(self, input_fn: Any) -> None: ...
    def latest_checkpoint(self) -> None: ...


def test_an_object_with_an_estimators_methods_and_a_directory_is_one():
    check_estimator(Complete())


def test_what_an_estimator_lacks_is_named():
    with pytest.raises(
        InvalidArgument, match="it lacks evaluate, latest_checkpoint, model_dir; `estimator` must"
    ):
        check_estimator(SimpleNamespace(train=print, evaluate=3))
    nowhere = Complete()
    nowhere.model_dir = None
    with pytest.raises(InvalidArgument, match="it lacks model_dir;"):
        check_estimator(nowhere)


def test_a_class_is_no_estimator():
    with pytest.raises(InvalidArgument, match="is a class, not an object"):
        check_estimator(Complete)


@pytest.mark.parametrize("model_dir", ["gs://bucket/m", "s3://bucket/m"])
def test_a_bucket_is_refused_with_the_advice_to_mount_it(model_dir):
    estimator = Complete()
    estimator.model_dir = model_dir
    with pytest.raises(InvalidArgument, match=r"must be a path of a POSIX file system; mount the bucket"):
        check_estimator(estimator)


@pytest.mark.parametrize("value", [None, 1, 10**12])
def test_a_number_is_none_or_an_int_that_is_not_too_small(value):
    check_number("train_steps", value, least=1)
    check_number("train_steps", 0, least=0)


@pytest.mark.parametrize(("value", "least"), [(0, 1), (-1, 0), (-1, 1), (1.0, 1), ("1", 0), (True, 1)])
def test_any_other_number_is_refused_with_the_rule(value, least):
    rule = "a positive integer" if least else "an integer of 0 or more"
    with pytest.raises(
        InvalidArgument, match=f"train_steps is {value!r}; `train_steps` must be {rule} or None"
    ):
        check_number("train_steps", value, least)


@pytest.mark.parametrize("value", [0, 0.0, 1.5, 60, math.inf])
def test_seconds_are_numbers_of_0_or_more(value):
    check_secs("delay", value)


@pytest.mark.parametrize("value", [-1, -0.1, math.nan, None, "60", True])
def test_anything_else_is_no_seconds(value):
    with pytest.raises(InvalidArgument, match=f"delay is {value!r}; `delay` must be seconds, 0 or more"):
        check_secs("delay", value)


def test_a_schedules_options_are_its_parameters_after_the_experiment():
    def schedule(experiment: Any, delay_secs: Any = None, *more: Any, name: Any = None) -> None: ...

    check_options("evaluate", "expcore 0.1.0", schedule, {})
    check_options("evaluate", "expcore 0.1.0", schedule, {"delay_secs": 1, "name": "x"})
    for option in ("experiment", "more", "nam"):
        with pytest.raises(UnknownOption) as caught:
            check_options("evaluate", "expcore 0.1.0", schedule, {"delay_secs": 1, option: 2})
        message = str(caught.value)
        assert message.startswith(f"schedule 'evaluate' (expcore 0.1.0): it has no option {option!r}")
        assert message.endswith("its options are 'delay_secs', 'name'")
        assert ("did you mean 'name'?" in message) == (option == "nam")


def test_a_schedule_with_a_catch_all_takes_any_option():
    check_options("evaluate", "code", lambda experiment, **options: None, {"anything": 1})


@pytest.mark.parametrize("value", [5, "abc", b"x", object()])
def test_what_must_be_a_list_is_not_a_number_or_a_text(value):
    with pytest.raises(InvalidArgument, match="`train_hooks` must be a list, or None"):
        listed("train_hooks", value)


def test_a_list_is_copied_and_none_is_an_empty_one():
    given = [1]
    assert (listed("x", given), listed("x", None), listed("x", iter(given))) == ([1], [], [1])
    assert listed("x", given) is not given


class _Parts:
    train_input_fn = "data"

    def __init__(self, sets, hooks=True):
        self.eval_sets = sets
        self.estimator = type("E", (), {"supports_hook": lambda self, hook: True} if hooks else {})()


def test_data_that_is_no_function_is_refused_before_a_step_by_what_is_needed():
    with pytest.raises(InvalidArgument, match="train_input_fn is 'data'; it must be a function"):
        check_input_fns(_Parts({"": dict}), train=True)
    with pytest.raises(InvalidArgument, match=r"eval_input_fn\['b'\] is None; it must be a function"):
        check_input_fns(_Parts({"a": dict, "b": None}), evaluate=True)
    with pytest.raises(InvalidArgument, match="eval_input_fn is 5; it must be a function"):
        check_input_fns(_Parts({"": 5}), evaluate=True)
    check_input_fns(_Parts({"": dict}), evaluate=True)


def test_an_estimator_of_another_kind_may_take_what_it_likes_as_data():
    check_input_fns(_Parts({"": None}, hooks=False), train=True, evaluate=True)
