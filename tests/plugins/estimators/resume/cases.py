"""The cases of the resume harness: a model, its data, and what the config says besides the seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import inputs
import models


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


INPUTS = (
    "shuffle",
    "shuffle_once",
    "shuffle_repeated",
    "map_parallel",
    "random_numbers",
    "interleave",
    "files",
    "repeat",
    "prefetch",
    "cache",
    "mixture",
    "passes",
)
MODELS = (
    "dropout",
    "random_flip",
    "batch_norm",
    "adam",
    "averages",
    "half",
    "accumulation",
    "generator_in_layer",
    "generator_in_model",
    "generator_compiled",
    "seeds_in_list",
    "hidden_seeds",
    "plain_variable",
    "run_eagerly",
    "metrics",
)

CASES = {
    **{name: Case(models.sgd, getattr(inputs, name)) for name in INPUTS},
    **{name: Case(getattr(models, name), inputs.plain) for name in MODELS},
    "padded": Case(models.words, inputs.padded, inputs.held_out_texts),
    "buckets": Case(models.words, inputs.buckets, inputs.held_out_texts),
    "window": Case(models.metrics, inputs.plain, config={"log_step_count_steps": 90}),
    "everything": Case(models.everything, inputs.everything),
    "everything_compiled": Case(models.everything_compiled, inputs.everything),
}
