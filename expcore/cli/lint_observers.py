"""Whether observers keep the contract of the hooks, as far as their text tells."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator

from expcore.cli.findings import Finding
from expcore.cli.output import cut
from expcore.cli.shapes import hook_marker, never_runs, parameters_of, shape_of, signature_of
from expcore.cli.source import (
    AttributeMissing,
    Module,
    ModuleBroken,
    ModuleMissing,
    Place,
    Sources,
    constant_of,
    executed,
)
from expcore.errors import listing, nearest
from expcore.host.contract import SPECS
from expcore.host.discovery import Entry

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_PREFIX = "expcore_"


def check_observer(entry: Entry, place: Place, sources: Sources) -> Iterator[Finding]:
    """Yields what breaks the contract in a module or class that an entry of ``expcore.plugins`` names."""
    constant = constant_of(place)
    if constant is not None:
        what = cut(" ".join(ast.unparse(constant).split()), 60)
        yield Finding("LNT-006", entry.label, place.where, f"{entry.target} is {what}")
    elif isinstance(place.node, ast.ClassDef):
        shape = shape_of(place, sources)
        made = signature_of(place, sources)
        if made is not None and not made.takes(0):
            yield Finding("LNT-056", entry.label, place.where, f"it is made without any, and takes {made}")
        yield from _functions(entry, place, shape.methods, whole=shape.whole, bound=True)
    elif isinstance(place.node, ast.Module):
        functions, whole = _of_module(place.module, sources)
        yield from _functions(entry, place, functions, whole=whole, bound=False)
    elif isinstance(place.node, _Function) and not place.node.decorator_list:
        yield Finding(
            "LNT-054", entry.label, place.where, f"{place.node.name}() is one function, not its module"
        )


def _of_module(module: Module, sources: Sources) -> tuple[dict[str, tuple[Module, _Function]], bool]:
    """The functions that a module defines or imports by a hook's prefix, and whether these are all."""
    functions, whole = {}, module.tree is not None
    for node in executed(module):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = alias.asname or alias.name
                whole = whole and name != "*"
                found = _imported(module, name, sources) if name.startswith(_PREFIX) else None
                if found is not None:
                    functions[name] = found
                else:
                    whole = whole and not name.startswith(_PREFIX)
        elif isinstance(node, ast.Assign):
            names = {t.id for t in node.targets if isinstance(t, ast.Name)}
            whole = whole and not any(name.startswith(_PREFIX) for name in names)
    if module.tree is not None:
        functions.update({n.name: (module, n) for n in module.tree.body if isinstance(n, _Function)})
    return functions, whole


def _imported(module: Module, name: str, sources: Sources) -> tuple[Module, _Function] | None:
    try:
        place = sources.attribute(module, name)
    except (ModuleMissing, ModuleBroken, AttributeMissing):
        return None
    return (place.module, place.node) if isinstance(place.node, _Function) else None


def _functions(
    entry: Entry, place: Place, functions: dict[str, tuple[Module, _Function]], *, whole: bool, bound: bool
) -> Iterator[Finding]:
    marked = 0
    for name, (module, node) in functions.items():
        marker = hook_marker(node, module)
        where = module.at(node)
        if marker is not None:
            marked += 1
            yield from _marked(entry, where, name, module, node, marker, bound=bound)
        elif name in SPECS and not node.decorator_list:
            yield Finding("LNT-053", entry.label, where, f"{name}() is never called without @hookimpl")
    if whole and not marked:
        yield Finding("LNT-054", entry.label, place.where, "no function of it is marked with @hookimpl")


def _marked(
    entry: Entry, where: str, name: str, module: Module, node: _Function, marker: ast.expr, *, bound: bool
) -> Iterator[Finding]:
    options = {k.arg: k.value for k in marker.keywords} if isinstance(marker, ast.Call) else {}
    wrapping = [
        key for key in ("wrapper", "hookwrapper", "specname") if getattr(options.get(key), "value", None)
    ]
    if wrapping:
        yield Finding("LNT-055", entry.label, where, f"{name}() is marked with {listing(wrapping)}")
        return
    if name not in SPECS:
        if not getattr(options.get("optionalhook"), "value", False):
            yield Finding("LNT-050", entry.label, where, f"there is no hook {name!r}{nearest(name, SPECS)}")
        return
    how = never_runs(node, module)
    # What answers with a sequence may as well give it one by one.
    if how == "async" or (how and "Sequence" not in str(SPECS[name].__annotations__.get("return"))):
        yield Finding("LNT-057", entry.label, where, f"{name}() is {how}")
    offered = list(inspect.signature(SPECS[name]).parameters)
    for parameter in parameters_of(node, bound=bound):
        subject = f"argument {parameter.name!r} of {name}()"
        if parameter.default and parameter.name in offered:
            yield Finding("LNT-052", entry.label, where, subject)
        elif not parameter.default and parameter.name not in offered:
            what = f"{subject} is not among {listing(offered)}{nearest(parameter.name, offered)}"
            yield Finding("LNT-051", entry.label, where, what)
