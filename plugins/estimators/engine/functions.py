"""Functions that operations run: a ``tf.function`` that is called, the branches of ``tf.cond``, loops."""

from __future__ import annotations

from typing import Any, NamedTuple

_LOOPS = ("While", "StatelessWhile")
_ASIDE = {"If": 1, "StatelessIf": 1, "Case": 1, "StatelessCase": 1}
"""Inputs that say which function runs, before those of the functions."""


class Function(NamedTuple):
    """What an operation runs.

    Attributes:
        graph: what it computes.
        inputs: each of the operation's inputs, with what it is in the function.
        results: what the operation's outputs are in the function.
        loops: whether it runs again and again, on its own results.
        deciding: the inputs that may decide whether it runs, and how often.
    """

    graph: Any
    inputs: list[tuple[Any, Any]]
    results: list[Any]
    loops: bool
    deciding: list[Any]


def calls(op: Any) -> bool:
    """Whether an operation runs functions, which are graphs of their own."""
    return any(attribute.type in ("func", "list(func)") for attribute in op.op_def.attr)


def functions_of(op: Any) -> list[Function]:
    """Returns the functions that an operation runs and whose results are its own.

    That is not what decides whether a loop goes on, nor functions of which there is no graph here.
    """
    if not calls(op):
        return []
    aside, loops = _ASIDE.get(op.type, 0), op.type in _LOOPS
    given, deciding = list(op.inputs)[aside:], list(op.inputs)[: None if loops else aside]
    found = []
    for attribute in op.op_def.attr:
        if loops and attribute.name == "cond":
            continue
        value = op.get_attr(attribute.name) if attribute.type in ("func", "list(func)") else []
        for one in value if isinstance(value, list) else [value]:
            graph = getattr(op.graph._get_function(one.name), "graph", None)
            if (
                graph is not None
                and len(graph.inputs) == len(given)
                and len(graph.outputs) == len(op.outputs)
            ):
                pairs = list(zip(given, graph.inputs, strict=True))
                found.append(Function(graph, pairs, list(graph.outputs), loops, deciding))
    return found
