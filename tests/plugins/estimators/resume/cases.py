"""The cases of the resume harness: a model, its data, and what the config says besides the seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import inputs
import models
import names


class Case(NamedTuple):
    """What is trained.

    Attributes:
        model: the model function.
        data: the input function.
        held_out: the input function of evaluations.
        config: fields of the RunConfig.
    """

    model: Callable[[], Any]
    data: Callable[[], Any]
    held_out: Callable[[], Any] = inputs.held_out
    config: Mapping[str, Any] = MappingProxyType({})


CASES = {
    **{name: Case(models.sgd, getattr(inputs, name)) for name in names.INPUTS},
    **{name: Case(getattr(models, name), inputs.plain) for name in names.MODELS},
    **{name: Case(models.words, getattr(inputs, name), inputs.held_out_texts) for name in names.TEXTS},
    "window": Case(models.metrics, inputs.plain, config={"log_step_count_steps": 90}),
    "everything": Case(models.everything, inputs.everything),
    "everything_compiled": Case(models.everything_compiled, inputs.everything),
}
