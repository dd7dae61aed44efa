"""Whether components fit their kind, as far as their text tells: how they are called, what they have."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Iterator, Mapping

from expcore.cli.findings import Finding
from expcore.cli.output import cut
from expcore.cli.shapes import Shape, Signature, never_runs, product_of, shape_of, signature_of
from expcore.cli.source import Module, Place, Sources, constant_of
from expcore.errors import listing
from expcore.host.discovery import Entry
from expcore.types import ESTIMATOR_METHODS, HOOK_METHODS

_HOOK_ARGUMENTS = {"begin": 1, "next_step": 1, "after_steps": 1, "after_save": 2, "end": 1, "failed": 2}
_FOREIGN_HOOKS = {"Callback", "SessionRunHook"}
_OPTIONAL = {
    "hooks": ("get_state", "set_state", "every_secs"),
    "estimators": (
        "predict",
        "export_saved_model",
        "checkpoints",
        "restored",
        "with_model_dir",
        "supports_hook",
    ),
    "exporters": ("wants", "name"),
}
_OFFERED = {"checkpoint_path", "eval_result"}
_OFFERED_TO_EXPORT = {*_OFFERED, "is_the_final_export", "history", "clock"}
_ALIKE = 0.8


def check_component(entry: Entry, place: Place, sources: Sources) -> Iterator[Finding]:
    """Yields what does not fit; what the text does not tell is left out."""
    constant = constant_of(place)
    if constant is not None:
        yield Finding("LNT-006", entry.label, place.where, f"{entry.target} is {_short(constant)}")
        return
    yield from _executed(entry, place.node, place.module)
    signature = signature_of(place, sources)
    if entry.kind == "schedules":
        yield from _schedule(entry, place, signature)
        return
    if signature is not None:
        yield from _factory(entry, place, signature)
    product = product_of(place, sources)
    if entry.kind == "predicates":
        yield from _predicate(entry, place, signature, product, sources)
    elif product is not None and isinstance(product.node, ast.ClassDef):
        yield from _CHECKS[entry.kind](entry, shape_of(product, sources))


def _schedule(entry: Entry, place: Place, signature: Signature | None) -> Iterator[Finding]:
    if signature is None or isinstance(place.node, ast.ClassDef):
        return
    first = next((p for p in signature.parameters if p.kind in ("positional", "any", "*")), None)
    seen = f"{entry.name}{signature}"
    if first is None:
        yield Finding("LNT-032", entry.label, place.where, f"it is {seen}")
    elif first.kind != "*" and first.name != "experiment":
        yield Finding("LNT-033", entry.label, place.where, f"it is {seen}")
    options = [p.name for p in signature.parameters[1:] if p.kind == "positional"]
    if options:
        yield Finding("LNT-034", entry.label, place.where, f"{listing(options)} of {seen}")
    must = [p.name for p in signature.parameters if p is not first and p.named and not p.default]
    if must and first is not None:
        yield Finding("LNT-047", entry.label, place.where, f"{listing(must)} of {seen}")


def _factory(entry: Entry, place: Place, signature: Signature) -> Iterator[Finding]:
    positional = [p.name for p in signature.parameters if p.kind == "positional"]
    if positional:
        yield Finding("LNT-030", entry.label, place.where, f"{listing(positional)} of {signature}")
    for parameter in signature.parameters[1:]:  # the first may be *of: parts that a config lists
        if parameter.kind == "*":
            yield Finding("LNT-031", entry.label, place.where, f"*{parameter.name} of {signature}")


def _exporter(entry: Entry, shape: Shape) -> Iterator[Finding]:
    yield from _almost(entry, shape, ("write", "export"))
    if shape.whole and not (shape.calls("write") or shape.calls("export")):
        constants = list(_constants(entry, shape, ("write", "export")))
        yield from constants
        if not constants:
            yield Finding("LNT-035", entry.label, shape.place.where, "it has neither write() nor export()")
        return
    for method, rule, offered in (("write", "LNT-036", _OFFERED), ("export", "LNT-037", _OFFERED_TO_EXPORT)):
        yield from _executed(entry, *_method(shape, method))
        signature = shape.signature(method)
        if signature is None:
            continue
        missing = signature.needs(offered, places=2)
        if missing or not _places(signature, 2):
            yield Finding(rule, entry.label, shape.at(method), f"it is {method}{signature}")
        elif "checkpoint_path" not in signature.names:
            yield Finding("LNT-044", entry.label, shape.at(method), f"it is {method}{signature}")
    if shape.whole and shape.calls("export") and not (shape.has("name") or _is_field(shape, "name")):
        yield Finding("LNT-038", entry.label, shape.place.where, "it has export() and no attribute name")
    if "Policy" in shape.bases:
        yield from _count(entry, shape, "wants", 3)


def _hook(entry: Entry, shape: Shape) -> Iterator[Finding]:
    if shape.bases & _FOREIGN_HOOKS:
        return
    yield from _almost(entry, shape, HOOK_METHODS)
    if shape.whole and all(shape.lacks(method) for method in HOOK_METHODS):
        yield Finding("LNT-039", entry.label, shape.place.where, f"it has none of {listing(HOOK_METHODS)}")
    yield from _constants(entry, shape, HOOK_METHODS)
    for method, count in _HOOK_ARGUMENTS.items():
        yield from _executed(entry, *_method(shape, method))
        yield from _count(entry, shape, method, count)


def _estimator(entry: Entry, shape: Shape) -> Iterator[Finding]:
    yield from _almost(entry, shape, ESTIMATOR_METHODS)
    yield from _constants(entry, shape, ESTIMATOR_METHODS)
    for method in ESTIMATOR_METHODS:
        yield from _executed(entry, *_method(shape, method))
    missing = [name for name in (*ESTIMATOR_METHODS, "model_dir") if shape.lacks(name)]
    if shape.whole and missing:
        yield Finding("LNT-043", entry.label, shape.place.where, f"it lacks {listing(missing)}")


_CHECKS: Mapping[str, Callable[[Entry, Shape], Iterator[Finding]]] = {
    "exporters": _exporter,
    "hooks": _hook,
    "estimators": _estimator,
}


def _predicate(
    entry: Entry, place: Place, signature: Signature | None, product: Place | None, sources: Sources
) -> Iterator[Finding]:
    first = signature.parameters[0] if signature is not None and signature.parameters else None
    if first is not None and first.name == "eval_result" and not first.default:
        what = f"{entry.name}{signature} is the predicate itself; the entry must name what makes one"
        yield Finding("LNT-042", entry.label, place.where, what)
        return
    if product is None:
        return
    where, called = product.where, None
    if isinstance(product.node, ast.ClassDef):
        shape = shape_of(product, sources)
        if shape.whole and shape.lacks("__call__"):
            yield Finding("LNT-042", entry.label, where, "its objects have no __call__(eval_result)")
        yield from _constants(entry, shape, ("__call__",))
        yield from _executed(entry, *_method(shape, "__call__"))
        if "__call__" in shape.methods:
            where, called = shape.at("__call__"), shape.signature("__call__")
    else:
        yield from _executed(entry, product.node, product.module)
        called = signature_of(product, sources)
    if called is not None and (called.needs({"checkpoint_path", "history"}, 1) or not _places(called, 1)):
        yield Finding("LNT-042", entry.label, where, f"it is called with a result, and takes {called}")


def _places(signature: Signature, count: int) -> bool:
    """Whether it takes so many arguments by position."""
    kinds = [p.kind for p in signature.parameters]
    return "*" in kinds or sum(kind in ("positional", "any") for kind in kinds) >= count


def _count(entry: Entry, shape: Shape, method: str, count: int) -> Iterator[Finding]:
    signature = shape.signature(method)
    if signature is not None and not signature.takes(count):
        what = f"{method}() is called with {count} argument{'s'[: count > 1]}, and takes {signature}"
        yield Finding("LNT-040", entry.label, shape.at(method), what)


def _almost(entry: Entry, shape: Shape, wanted: tuple[str, ...]) -> Iterator[Finding]:
    """Methods that are called almost as one that the class lacks."""
    known = {*wanted, *_OPTIONAL.get(entry.kind, ())}
    for name in sorted(shape.methods):
        if name.startswith("_") or name in known:
            continue
        meant = difflib.get_close_matches(name, [w for w in wanted if not shape.has(w)], n=1, cutoff=_ALIKE)
        if meant:
            what = f"{name}() is never called by expcore; did you mean {meant[0]!r}?"
            yield Finding("LNT-041", entry.label, shape.at(name), what)


def _method(shape: Shape, name: str) -> tuple[ast.AST | None, Module]:
    module, node = shape.methods.get(name, (shape.place.module, None))
    return node, module


def _executed(entry: Entry, node: ast.AST | None, module: Module) -> Iterator[Finding]:
    how = never_runs(node, module)
    if how is not None:
        what = f"{getattr(node, 'name', entry.name)}() is {how}"
        yield Finding("LNT-045", entry.label, module.at(node), what)


def _constants(entry: Entry, shape: Shape, wanted: tuple[str, ...]) -> Iterator[Finding]:
    """Literals where a method belongs; None may say that there is none."""
    for name in wanted if shape.whole else ():
        if name in shape.constants and not shape.lacks(name):
            what = f"{name} is {_short(shape.constants[name][1])}"
            yield Finding("LNT-046", entry.label, shape.at(name), what)


def _short(value: ast.expr) -> str:
    return cut(" ".join(ast.unparse(value).split()), 60)


def _is_field(shape: Shape, name: str) -> bool:
    node = shape.place.node
    assert isinstance(node, ast.ClassDef)  # noqa: S101  (a shape is a class's)
    return any(isinstance(n, ast.AnnAssign) and getattr(n.target, "id", "") == name for n in node.body)
