"""Which parameters a function takes, and how things are named in messages."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from expcore.calling import (
    accepts,
    ask_predicate,
    call_naming,
    check_predicate,
    describe,
    describe_type,
    names,
    parameters,
)
from expcore.errors import InvalidArgument


def named(a: Any, b: Any = None) -> Any:
    return a, b


def keyword_only(a: Any, *, b: Any = None) -> Any:
    return a, b


def catch_all(a: Any, **rest: Any) -> Any:
    return a, rest


def positional_only(a: Any, b: Any = None, /) -> Any:
    return a, b


def many(a: Any, *b: Any) -> Any:
    return a, b


class Callable_:
    def __call__(self, a: Any, b: Any = None) -> Any:
        return a, b

    def method(self, a: Any, b: Any = None) -> Any:
        return a, b


@pytest.mark.parametrize(
    ("function", "itself", "at_all"),
    [
        (named, True, True),
        (keyword_only, True, True),
        (catch_all, False, True),
        (positional_only, False, False),
        (many, False, False),
        (Callable_(), True, True),
        (Callable_().method, True, True),
        (functools.partial(named, 1), True, True),
        (lambda a: a, False, False),
        (dict, False, False),  # a builtin that does not tell
        (object(), False, False),
    ],
)
def test_a_parameter_counts_as_named_or_accepted_only_if_it_can_be_given_by_name(function, itself, at_all):
    assert (names(function, "b"), accepts(function, "b")) == (itself, at_all)


def test_parameters_are_those_of_the_signature_and_none_where_there_is_no_signature():
    assert list(parameters(named)) == ["a", "b"]
    assert list(parameters(Callable_().method)) == ["a", "b"]
    assert dict(parameters(dict)) == {}


def test_a_function_is_offered_only_what_it_names():
    assert call_naming(named, 1, b=2, c=3) == (1, 2)
    assert call_naming(keyword_only, 1, b=2) == (1, 2)
    assert call_naming(catch_all, 1, b=2) == (1, {})
    assert call_naming(positional_only, 1, b=2) == (1, None)


def test_things_are_named_by_their_qualified_name_or_their_class():
    assert describe(named) == "named"
    assert describe(Callable_().method) == "Callable_.method"
    assert describe(Callable_()) == f"{__name__}.Callable_"
    assert describe(Callable_) == "Callable_"
    assert describe(3) == "int"


def test_private_parts_of_a_module_and_the_builtins_are_left_out_of_a_types_name():
    hidden = type("Saver", (), {"__module__": "tf._src.training._saver"})
    assert describe_type(hidden) == "tf.training.Saver"
    assert describe_type(type("Saver", (), {"__module__": "_private"})) == "Saver"
    assert describe_type(dict) == "dict"


@pytest.mark.parametrize("predicate", [None, named, Callable_()])
def test_a_predicate_is_a_callable_or_none(predicate):
    check_predicate("continuous_eval_predicate_fn", predicate)


def test_anything_else_is_no_predicate_and_the_option_is_named():
    with pytest.raises(InvalidArgument, match="`continuous_eval_predicate_fn` is 3; it must be a callable"):
        check_predicate("continuous_eval_predicate_fn", 3)


def test_a_predicate_is_asked_with_what_it_names_and_its_answer_is_a_bool():
    def full(eval_result: Any, checkpoint_path: Any, history: Any) -> Any:
        return [eval_result, checkpoint_path, history] == [{"loss": 1}, "ckpt-1", "log"] and "yes"

    assert ask_predicate(full, {"loss": 1}, "ckpt-1", "log") is True
    assert ask_predicate(lambda eval_result: eval_result, {}, "ckpt-1", "log") is False
    assert ask_predicate(None, None, None, None) is True


def test_what_a_predicate_raises_is_noted_with_its_name():
    def broken(eval_result: Any) -> bool:
        raise KeyError("auc")

    with pytest.raises(KeyError) as caught:
        ask_predicate(broken, {}, None, None)
    assert len(caught.value.__notes__) == 1
    assert caught.value.__notes__[0].startswith("raised by predicate ")
    assert caught.value.__notes__[0].endswith("broken")
