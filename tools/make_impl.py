"""Writes expcore/impl.py from expcore/hookspecs.py, as ``python tools/make_impl.py``."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from expcore import hookspecs

MODULE = Path(__file__).resolve().parents[1] / "expcore" / "impl.py"

_WIDTH = 110
_EXACT = {"experiment": "Experiment"}  # the floor of hookspecs.py may not import what it is
_HEAD = '''\
"""Typed hookimpls, one a hook, with which mypy and pyright reject an implementation that does not fit.

Written by tools/make_impl.py from expcore/hookspecs.py; edit that file instead. Each marks a function or a
method of the hook's own name as ``expcore.hookimpl`` does, and returns it, of unchanged type::

    @impl.expcore_after_evaluate
    def expcore_after_evaluate(self, evaluation: Evaluation) -> None: ...

Any of the hook's arguments may be left out. For an order put ``@hookimpl(tryfirst=True)`` below or above.

Raises:
    InvalidType: what is decorated is not a function.
    InvalidArgument: its name is not the hook's, or an argument is not the hook's or has a default.
"""

# ruff: noqa: N805

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from expcore.hookspecs import Catalogue
from expcore.host.marking import marked
from expcore.types import Checkpoint, Evaluation, Export, TrainingEnd

if TYPE_CHECKING:
    from expcore.experiment import Experiment


# --- What a function may look like: some of a hook's arguments, with and without self -----------------
# fmt: off
'''


class Hook(NamedTuple):
    """A hook as it is specified: its name, its arguments with their types, and the type that it returns."""

    name: str
    arguments: tuple[tuple[str, str], ...]
    returns: str


class Shape(NamedTuple):
    """What an implementation may look like: the arguments that it takes, and the type that it returns."""

    arguments: tuple[tuple[str, str], ...]
    returns: str


def hooks() -> list[Hook]:
    """Returns every hook, in the order of the file."""
    body = ast.parse(inspect.getsource(hookspecs)).body
    found = []
    for node in (n for n in body if isinstance(n, ast.FunctionDef)):
        typed = tuple(
            (a.arg, _EXACT.get(a.arg, ast.unparse(a.annotation))) for a in node.args.args if a.annotation
        )
        found.append(Hook(node.name, typed, ast.unparse(node.returns) if node.returns else "None"))
    return found


def shapes(hook: Hook) -> Iterator[Shape]:
    """Yields a shape for each subset of a hook's arguments, as a function and as a method."""
    for size in range(len(hook.arguments) + 1):
        for arguments in combinations(hook.arguments, size):
            yield Shape(arguments, hook.returns)
            yield Shape((("self", "Any"), *arguments), hook.returns)


def module() -> str:
    """Returns the module's text."""
    specified = hooks()
    names: dict[Shape, str] = {}
    for shape in (s for hook in specified for s in shapes(hook)):
        if shape not in names:
            names[shape] = _free("_" + _camel([a for a, _ in shape.arguments] or ["nothing"]), names)
    parts = [_HEAD]
    parts += [_protocol(name, shape) for shape, name in names.items()]
    parts += ["\n# --- The decorators " + "-" * 83 + "\n"]
    parts += [_decorator(hook, [names[shape] for shape in shapes(hook)]) for hook in specified]
    return "".join(parts)


def _free(name: str, names: dict[Shape, str]) -> str:
    taken, n, free = set(names.values()), 1, name
    while free in taken:
        n += 1
        free = f"{name}{n}"
    return free


def _camel(words: list[str]) -> str:
    return "".join(word.capitalize() for word in words)


def _protocol(name: str, shape: Shape) -> str:
    arguments = ", ".join(f"{argument}: {kind}" for argument, kind in shape.arguments)
    head = f"_, *, {arguments}" if arguments else "_"
    line = f"    def __call__({head}) -> {shape.returns}: ..."
    if len(line) > _WIDTH:
        line = f"    def __call__(\n        {head}\n    ) -> {shape.returns}: ..."
    return f"class {name}(Protocol):\n{line}\n"


def _decorator(hook: Hook, names: list[str]) -> str:
    bound, line = [], "   "
    for name in (f"{name} |" for name in names):
        if len(line) + 1 + len(name) > _WIDTH:
            bound.append(line)
            line = "   "
        line += f" {name}"
    bound.append(line.removesuffix(" |"))
    variable = "_" + _camel(hook.name.split("_"))
    arguments = ", ".join(a for a, _ in hook.arguments)
    return "\n".join(
        [
            f'\n{variable} = TypeVar("{variable}", bound=(',
            *bound,
            "))",
            f"def {hook.name}(function: {variable}, /) -> {variable}:",
            f'    """Marks an implementation of ``{hook.name}({arguments})``."""',
            f'    return marked(function, "{hook.name}")\n',
        ]
    )


if __name__ == "__main__":
    MODULE.write_text(module())
    sys.stdout.write(f"{MODULE.name} is written\n")
