"""Checks of what an experiment and its schedules are given."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from expcore.calling import accepts, describe, parameters
from expcore.errors import InvalidArgument, UnknownOption, listing, nearest
from expcore.types import ESTIMATOR_METHODS

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_estimator(estimator: Any) -> None:
    """Raises InvalidArgument where an object is not an estimator, naming what is missing."""
    missing = [m for m in ESTIMATOR_METHODS if not callable(getattr(estimator, m, None))]
    if getattr(estimator, "model_dir", None) is None:
        missing.append("model_dir")
    if isinstance(estimator, type) or missing:
        what = "is a class, not an object" if isinstance(estimator, type) else f"lacks {', '.join(missing)}"
        raise InvalidArgument(
            f"estimator {estimator!r}: it {what}; `estimator` must implement Estimator (expcore.types), "
            "for example KerasEstimator(model, model_dir)"
        )
    if str(estimator.model_dir).startswith(("gs://", "s3://")):
        raise InvalidArgument(
            f"model_dir {estimator.model_dir!r}: it must be a path of a POSIX file system; "
            "mount the bucket (gcsfuse, mountpoint-s3) and give the mounted path"
        )


def check_listeners(estimator: Any, listeners: Sequence[Any]) -> None:
    """Raises InvalidArgument where there are saving listeners that the estimator would never tell."""
    if listeners and not accepts(estimator.train, "saving_listeners"):
        raise InvalidArgument(
            f"saving_listeners: train() of {describe(type(estimator))} takes none; leave them out, or give "
            "hooks with after_save()"
        )


def check_eval_sets(eval_input_fn: Any) -> None:
    """Raises InvalidArgument where a mapping of evaluation sets is empty or a name is no directory's."""
    if isinstance(eval_input_fn, Mapping):
        if not eval_input_fn:
            raise InvalidArgument("eval_input_fn is an empty mapping; give at least one named function")
        for name in eval_input_fn:
            check_name(name, "eval_input_fn")


def check_number(name: str, value: Any, least: int) -> None:
    """Raises InvalidArgument where a value is neither None nor an int of at least ``least``."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        rule = "a positive integer" if least else "an integer of 0 or more"
        raise InvalidArgument(f"{name} is {value!r}; `{name}` must be {rule} or None")


def listed(name: str, value: Any) -> list[Any]:
    """Returns the items of an iterable, none for None; InvalidArgument for anything else."""
    if value is None:
        return []
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise InvalidArgument(f"{name} is {value!r}; `{name}` must be a list, or None")
    return list(value)


def check_input_fns(experiment: Any, *, train: bool = False, evaluate: bool = False) -> None:
    """Raises InvalidArgument where data that a schedule will need cannot be had, before it makes a step.

    Only for estimators that take expcore's hooks; what others make of an input function is their own.
    """
    if not callable(getattr(experiment.estimator, "supports_hook", None)):
        return
    found = {"train_input_fn": experiment.train_input_fn} if train else {}
    if evaluate:
        found |= {
            f"eval_input_fn[{name!r}]" if name else "eval_input_fn": function
            for name, function in experiment.eval_sets.items()
        }
    for name, function in found.items():
        if not callable(function):
            raise InvalidArgument(f"{name} is {function!r}; it must be a function of no arguments")


def check_secs(name: str, value: Any) -> None:
    """Raises InvalidArgument where a value is not seconds of 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise InvalidArgument(f"{name} is {value!r}; `{name}` must be seconds, 0 or more")


def check_options(name: str, provider: str, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Checks what a schedule is given besides the experiment.

    Raises:
        UnknownOption: it does not have one of the options.
        InvalidArgument: one that has no default is not given.
    """
    known = list(parameters(function).values())[1:]
    names = [p.name for p in known if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    anything = any(p.kind is p.VAR_KEYWORD for p in known)
    for option in options:
        if option not in names and not anything:
            raise UnknownOption(
                f"schedule {name!r} ({provider}): it has no option {option!r}{nearest(option, names)}; "
                f"its options are {listing(names)}"
            )
    missing = [p.name for p in known if p.name in names and p.default is p.empty and p.name not in options]
    if missing:
        raise InvalidArgument(
            f"schedule {name!r} ({provider}): option {missing[0]!r} has no default and is not given; "
            f"its options are {listing(names)}; give it in the config's schedule, or in Python: "
            f"experiment.run({name!r}, {missing[0]}=...)"
        )


def check_name(name: object, what: str = "exporter") -> str:
    """Returns a name that is safe as a directory's name.

    Args:
        name: 1 to 64 ASCII letters, digits, dots, hyphens and underscores; the first a letter or digit.
        what: what is named, for the message.

    Raises:
        InvalidArgument: it is anything else.
    """
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    raise InvalidArgument(
        f"{what}: name {name!r} is not 1 to 64 letters, digits, '.', '-' or '_' beginning with a letter or "
        "digit; it becomes a directory's name, so give one that is"
    )
