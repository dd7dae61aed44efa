"""The names of the cases that differ in one thing: of inputs, of inputs of texts, and of models."""

from __future__ import annotations

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
TEXTS = ("padded", "buckets")
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
