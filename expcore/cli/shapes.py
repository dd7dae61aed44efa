"""What a definition looks like from outside: parameters and methods, read from its text."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from expcore.cli.source import (
    AttributeMissing,
    Definition,
    Module,
    ModuleBroken,
    ModuleMissing,
    Place,
    Sources,
    is_literal,
)

_PLAIN_BASES = {"object", "ABC", "Protocol", "Generic"}
_KEEPING = {"dataclass", "hookimpl", "staticmethod", "classmethod", "override", "abstractmethod", "final"}
_KEEPING |= {"property", "cached_property", "contextmanager", "runtime_checkable", "total_ordering"}
_OURS = ("expcore", "expcore_plugins")
_DEEPEST = 8
"""Bases of bases that are read; classes that are their own base end there."""


@dataclass(frozen=True)
class Parameter:
    """One parameter: its name, whether it has a default, and how it can be given."""

    name: str
    default: bool = False
    kind: str = "any"
    """ "positional" (before a ``/``), "any", "keyword" (after a ``*``), "*" or "**"."""

    @property
    def named(self) -> bool:
        """Whether it can be given by its name."""
        return self.kind in ("any", "keyword")


@dataclass(frozen=True)
class Signature:
    """The parameters of a function, without ``self``."""

    parameters: tuple[Parameter, ...]

    @property
    def names(self) -> list[str]:
        """Names of the parameters that can be given by name."""
        return [p.name for p in self.parameters if p.named]

    def takes(self, count: int) -> bool:
        """Whether it can be called with so many arguments by position and no others."""
        places = [p for p in self.parameters if p.kind in ("positional", "any")]
        wanted = [p for p in places if not p.default]
        must = [p for p in self.parameters if p.kind == "keyword" and not p.default]
        endless = any(p.kind == "*" for p in self.parameters)
        return not must and len(wanted) <= count and (endless or count <= len(places))

    def needs(self, offered: set[str], places: int) -> list[str]:
        """Names without default that neither the offered names nor the first places fill."""
        rest = [p for p in self.parameters if p.kind in ("positional", "any")][places:]
        rest += [p for p in self.parameters if p.kind == "keyword"]
        return [p.name for p in rest if not p.default and not (p.named and p.name in offered)]

    def __str__(self) -> str:
        parts, before = [], ""
        for p in self.parameters:
            if before == "positional" != p.kind:
                parts.append("/")
            if p.kind == "keyword" and before not in ("keyword", "*"):
                parts.append("*")
            stars = p.kind if p.kind in ("*", "**") else ""
            parts.append(f"{stars}{p.name}{'=...' if p.default else ''}")
            before = p.kind
        return f"({', '.join([*parts, '/'] if before == 'positional' else parts)})"


@dataclass(frozen=True, eq=False)
class Shape:
    """A class as its text and its bases' texts say.

    Attributes:
        place: where it is defined.
        methods: each method with its module, by name.
        attributes: names that are set in the class or on ``self``.
        constants: literals in their place, such as the 3 of ``write = 3``, each with its module, by name.
        bases: last parts of the names of all bases.
        whole: whether all bases and decorators could be read; where not, it may have more.
    """

    place: Place
    methods: dict[str, tuple[Module, ast.FunctionDef | ast.AsyncFunctionDef]] = field(default_factory=dict)
    attributes: set[str] = field(default_factory=set)
    constants: dict[str, tuple[Module, ast.expr]] = field(default_factory=dict)
    bases: set[str] = field(default_factory=set)
    whole: bool = True

    def has(self, name: str) -> bool:
        """Whether it has a method or attribute of this name."""
        return name in self.methods or name in self.attributes

    def lacks(self, name: str) -> bool:
        """Whether it has no method of this name; None in its place says so too."""
        value = self.constants[name][1] if name in self.constants else None
        return not self.has(name) or (isinstance(value, ast.Constant) and value.value is None)

    def calls(self, name: str) -> bool:
        """Whether it has something of this name that may be called."""
        return self.has(name) and name not in self.constants

    def at(self, name: str) -> str:
        """``file:line`` of a method, or of a constant in its place."""
        module, node = self.methods[name] if name in self.methods else self.constants[name]
        return module.at(node)

    def signature(self, method: str) -> Signature | None:
        """A method's parameters without ``self``; None where it has none that can be told."""
        found = self.methods.get(method)
        return _of(found[1], bound=True, module=found[0]) if found else None


def signature_of(place: Place, sources: Sources) -> Signature | None:
    """Returns the parameters of a function, or of a class that is called; None where not told."""
    node = place.node
    if isinstance(node, ast.ClassDef):
        return _constructor(place, sources)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return _of(node, bound=False, module=place.module)
    if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Lambda):
        return Signature(_parameters(node.value.args))
    return None


def shape_of(place: Place, sources: Sources, depth: int = _DEEPEST) -> Shape:
    """Reads a class and its bases; ``place`` must be one of a class."""
    node = place.node
    assert isinstance(node, ast.ClassDef)  # noqa: S101  (callers have looked)
    shape, whole = Shape(place), _keeps(node, place.module) and not node.keywords
    for base in reversed(node.bases):
        shape.bases.add(_last(base))
        above = _base(base, place.module, sources)
        if above is None:
            whole = whole and _last(base) in _PLAIN_BASES
        elif not depth:
            whole = False
        else:
            found = shape_of(above, sources, depth - 1)
            _override(shape, found.methods, found.constants)
            shape.attributes.update(found.attributes)
            shape.bases.update(found.bases)
            whole = whole and found.whole
    for item in node.body:
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
            _override(shape, {item.name: (place.module, item)}, {})
        elif isinstance(item, ast.Assign | ast.AnnAssign):
            _assign(shape, place.module, item)
        elif not isinstance(item, ast.Expr | ast.Pass | ast.ClassDef):
            whole = False  # methods made by an if or a loop
    for name in _set_on_self(node):
        shape.attributes.add(name)
        shape.constants.pop(name, None)
    whole = whole and "__getattr__" not in shape.methods and "__getattribute__" not in shape.methods
    return replace(shape, whole=whole)


def _override(
    shape: Shape,
    methods: Mapping[str, tuple[Module, ast.FunctionDef | ast.AsyncFunctionDef]],
    constants: Mapping[str, tuple[Module, ast.expr]],
) -> None:
    for name in methods:
        shape.constants.pop(name, None)
    for name in constants:
        shape.methods.pop(name, None)
    shape.methods.update(methods)
    shape.constants.update(constants)


def _assign(shape: Shape, module: Module, item: ast.Assign | ast.AnnAssign) -> None:
    targets = item.targets if isinstance(item, ast.Assign) else [item.target]
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    shape.attributes.update(names)
    for name in names if item.value is not None else ():
        shape.constants.pop(name, None)
        # With an annotation it may be a field, which an object can have otherwise.
        if isinstance(item, ast.Assign) and is_literal(item.value):
            _override(shape, {}, {name: (module, item.value)})
        elif isinstance(item.value, ast.Name):  # after_steps = _tell
            shape.methods.pop(name, None)


def never_runs(node: ast.AST | None, module: Module) -> str | None:
    """Returns "async" or "a generator" for a function whose call executes nothing of it; None otherwise.

    A decorator that may change that leaves it open.
    """
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not _keeps(node, module):
        return None
    if any(_last(d) == "contextmanager" for d in node.decorator_list):
        return None
    if isinstance(node, ast.AsyncFunctionDef):
        return "async"
    yields = any(isinstance(n, ast.Yield | ast.YieldFrom) for n in _own(node))
    return "a generator" if yields else None


def product_of(place: Place, sources: Sources) -> Place | None:
    """Returns the class or function that a factory gives an object of, or gives; None where not told.

    A class gives itself. A function tells where it has one kind of ``return``: a call of a class, or a
    function that it defines.
    """
    if isinstance(place.node, ast.ClassDef):
        return place
    node = place.node
    if not isinstance(node, ast.FunctionDef) or not _keeps(node, place.module):
        return None
    returned = [n.value for n in _own(node) if isinstance(n, ast.Return)]
    if len(returned) != 1:
        return None
    value = returned[0]
    inner = [n for n in node.body if isinstance(n, Definition)]
    name = value.func if isinstance(value, ast.Call) else value
    if not isinstance(name, ast.Name):
        return None
    for item in inner:
        if item.name == name.id and isinstance(item, ast.ClassDef) == isinstance(value, ast.Call):
            return Place(place.module, item)
    found = _resolved(name, place.module, sources) if isinstance(value, ast.Call) else None
    return found if found is not None and isinstance(found.node, ast.ClassDef) else None


def hook_marker(node: ast.FunctionDef | ast.AsyncFunctionDef, module: Module) -> ast.expr | None:
    """Returns the decorator that marks a function as a hook: ``@hookimpl``, or one of expcore's; or None."""
    for decorator in node.decorator_list:
        if _last(decorator) == "hookimpl" or _from_us(decorator, module):
            return decorator
        if _last(decorator) in _markers(module):
            return decorator
    return None


def _markers(module: Module) -> set[str]:
    """Names that a module gives to pluggy's marker itself: ``impl = HookimplMarker("expcore")``."""
    found = set()
    for node in module.tree.body if module.tree is not None else ():
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)):
            continue
        if _last(node.value) == "HookimplMarker":
            found |= {t.id for t in node.targets if isinstance(t, ast.Name)}
    return found


def _constructor(place: Place, sources: Sources) -> Signature | None:
    shape = shape_of(place, sources)
    node = place.node
    assert isinstance(node, ast.ClassDef)  # noqa: S101  (the only caller has looked)
    if any(_last(d) == "dataclass" for d in node.decorator_list) and "__init__" not in {
        getattr(item, "name", "") for item in node.body
    }:
        return _fields(node) if not node.bases else None
    if "__init__" in shape.methods:
        module, init = shape.methods["__init__"]
        made_by_class = any(_last(d) == "dataclass" for d in node.decorator_list)
        return None if made_by_class else _of(init, bound=True, module=module)
    inherits_fields = any(_base(base, place.module, sources) is not None for base in node.bases)
    return Signature(()) if shape.whole and not inherits_fields and "__new__" not in shape.methods else None


def _fields(node: ast.ClassDef) -> Signature:
    found = []
    for item in node.body:
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
            continue
        if "ClassVar" in ast.unparse(item.annotation):
            continue
        given = {k.arg: k.value for k in item.value.keywords} if isinstance(item.value, ast.Call) else {}
        if getattr(given.get("init"), "value", True) is False:
            continue
        is_field = isinstance(item.value, ast.Call) and _last(item.value) == "field"
        default = bool({"default", "default_factory"} & set(given)) if is_field else item.value is not None
        found.append(Parameter(item.target.id, default))
    return Signature(tuple(found))


def _of(
    node: ast.FunctionDef | ast.AsyncFunctionDef, *, bound: bool, module: Module | None = None
) -> Signature | None:
    return Signature(parameters_of(node, bound=bound)) if _keeps(node, module) else None


def parameters_of(node: ast.FunctionDef | ast.AsyncFunctionDef, *, bound: bool) -> tuple[Parameter, ...]:
    """Returns a function's parameters as its text says, of a method without ``self``."""
    static = any(_last(d) == "staticmethod" for d in node.decorator_list)
    found = _parameters(node.args)
    return found[1:] if bound and not static and found and found[0].kind != "*" else found


def _parameters(args: ast.arguments) -> tuple[Parameter, ...]:
    places = [(a, "positional") for a in args.posonlyargs] + [(a, "any") for a in args.args]
    first_default = len(places) - len(args.defaults)
    found = [Parameter(a.arg, n >= first_default, kind) for n, (a, kind) in enumerate(places)]
    if args.vararg:
        found.append(Parameter(args.vararg.arg, True, "*"))
    defaults = zip(args.kwonlyargs, args.kw_defaults, strict=True)
    found += [Parameter(a.arg, default is not None, "keyword") for a, default in defaults]
    if args.kwarg:
        found.append(Parameter(args.kwarg.arg, True, "**"))
    return tuple(found)


def _keeps(node: Definition, module: Module | None) -> bool:
    """Whether no decorator may have changed what the text says."""
    return all(_last(d) in _KEEPING or _from_us(d, module) for d in node.decorator_list)


def _from_us(decorator: ast.expr, module: Module | None) -> bool:
    """Whether a decorator is one of expcore's own, which return what they are given."""
    name = decorator.func if isinstance(decorator, ast.Call) else decorator
    while isinstance(name, ast.Attribute):
        name = name.value
    if not isinstance(name, ast.Name) or module is None or module.tree is None:
        return False
    for node in module.tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in _OURS:
            if name.id in {alias.asname or alias.name for alias in node.names}:
                return True
        elif isinstance(node, ast.Import) and name.id in {
            a.asname or a.name.partition(".")[0] for a in node.names if a.name.partition(".")[0] in _OURS
        }:
            return True
    return False


def _last(node: ast.expr) -> str:
    """The last part of a dotted name, also of one that is called or indexed."""
    if isinstance(node, ast.Call):
        return _last(node.func)
    if isinstance(node, ast.Subscript):
        return _last(node.value)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _base(base: ast.expr, module: Module, sources: Sources) -> Place | None:
    """Where a base class is defined; None where that cannot be told, or it is one without methods."""
    name = base.value if isinstance(base, ast.Subscript) else base
    if _last(name) in _PLAIN_BASES:
        return None
    found = _resolved(name, module, sources)
    return found if found is not None and isinstance(found.node, ast.ClassDef) else None


def _resolved(name: ast.expr, module: Module, sources: Sources) -> Place | None:
    parts: list[str] = []
    while isinstance(name, ast.Attribute):
        parts.append(name.attr)
        name = name.value
    if not isinstance(name, ast.Name):
        return None
    try:
        return sources.attribute(module, ".".join([name.id, *reversed(parts)]))
    except (ModuleMissing, ModuleBroken, AttributeMissing):
        return None


def _own(function: ast.FunctionDef) -> list[ast.AST]:
    """The nodes of a function without those of functions in it."""
    found: list[ast.AST] = []
    todo: list[ast.AST] = list(function.body)
    while todo:
        node = todo.pop()
        found.append(node)
        if not isinstance(node, Definition | ast.Lambda):
            todo += ast.iter_child_nodes(node)
    return found


def _set_on_self(node: ast.ClassDef) -> set[str]:
    return {
        n.attr
        for n in ast.walk(node)
        if isinstance(n, ast.Attribute)
        and isinstance(n.ctx, ast.Store)
        and isinstance(n.value, ast.Name)
        and n.value.id == "self"
    }
