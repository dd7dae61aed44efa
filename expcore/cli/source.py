"""Where a plugin's source is: modules and attributes found by reading files, without importing them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.machinery import SOURCE_SUFFIXES, all_suffixes
from pathlib import Path
from typing import Any

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

_FOLLOWED = 20
"""How many imports in a row are followed, so that two modules that import each other end."""


class ModuleMissing(Exception):
    """No file holds the module."""


class ModuleBroken(Exception):
    """The module's source cannot be read as Python; ``line`` says where."""

    def __init__(self, path: Path, line: int, why: str) -> None:
        super().__init__(f"{path}:{line}: {why}")
        self.path, self.line, self.why = path, line, why


class AttributeMissing(Exception):
    """The module has no such attribute, as far as its text says, and nothing in it is made at run time."""

    def __init__(self, module: Module, name: str) -> None:
        super().__init__(f"{module.name} has no {name!r}")
        self.module, self.name = module, name


@dataclass(frozen=True, eq=False)
class Module:
    """A module as its file says.

    Attributes:
        name: its dotted name.
        path: its file; None for one without source, such as an extension or a namespace package.
        tree: the parsed source; None where there is none.
        folders: where its submodules are; empty for a plain module.
    """

    name: str
    path: Path | None
    tree: ast.Module | None
    folders: tuple[str, ...] = ()

    @property
    def package(self) -> str:
        """The package that relative imports are relative to."""
        return self.name if self.folders else self.name.rpartition(".")[0]

    def at(self, node: ast.AST | None) -> str:
        """``file:line`` of a node, for people; "" where there is no file."""
        line = getattr(node, "lineno", None)
        return "" if self.path is None else f"{self.path}:{line}" if line else str(self.path)


@dataclass(frozen=True, eq=False)
class Place:
    """Where an attribute is defined.

    Attributes:
        module: the module whose text defines it.
        node: the function, class or other statement; None where the text does not tell.
    """

    module: Module
    node: ast.AST | None

    @property
    def definition(self) -> Definition | None:
        """The function or class; None for anything else."""
        return self.node if isinstance(self.node, Definition) else None

    @property
    def where(self) -> str:
        """``file:line``."""
        return self.module.at(self.node)

    @property
    def about(self) -> str:
        """The first line of the docstring; "" without one."""
        node = self.definition or (self.module.tree if self.node is self.module.tree else None)
        text = ast.get_docstring(node) if node is not None else None
        return text.strip().partition("\n")[0] if text else ""


class Sources:
    """Reads modules, each once."""

    def __init__(self) -> None:
        self._modules: dict[str, Module] = {}

    def target(self, target: str) -> Place:
        """Returns where ``module:attribute`` is defined; imports are followed to the definition.

        Raises:
            ModuleMissing: there is no such module.
            ModuleBroken: its source is not Python.
            AttributeMissing: it has no such attribute.
        """
        name, _, attribute = target.partition("[")[0].partition(":")
        module = self.module(name.strip())
        return self.attribute(module, attribute.strip()) if attribute else Place(module, module.tree)

    def module(self, name: str) -> Module:
        """Returns a module by its dotted name.

        Raises:
            ModuleMissing: there is no such module.
            ModuleBroken: its source is not Python.
        """
        if name not in self._modules:
            parent, _, last = name.rpartition(".")
            if not last.isidentifier():
                raise ModuleMissing(f"there is no module {name!r}")
            found = _below(self.module(parent), last) if parent else _top(name)
            if found is None:
                raise ModuleMissing(f"there is no module {name!r}")
            path, folders = found
            self._modules[name] = Module(name, path, _parsed(path), folders)
        return self._modules[name]

    def attribute(self, module: Module, dotted: str) -> Place:
        """Returns where an attribute of a module is defined.

        Raises:
            ModuleMissing, ModuleBroken: it comes from a module that cannot be had.
            AttributeMissing: there is no such attribute.
        """
        name, _, rest = dotted.partition(".")
        place = self._named(module, name, _FOLLOWED)
        for part in rest.split(".") if rest else ():
            if place.node is place.module.tree and place.node is not None:
                place = self._named(place.module, part, _FOLLOWED)
            elif isinstance(place.node, ast.ClassDef):
                inner = _bound(place.node.body, part)
                place = Place(place.module, inner)
            else:
                return Place(place.module, None)
        return place

    def _named(self, module: Module, name: str, more: int) -> Place:
        if module.tree is None or not more:
            return Place(module, None)
        node = _bound(module.tree.body, name)
        if isinstance(node, ast.ImportFrom):
            return self._imported(module, node, name, more - 1)
        if isinstance(node, ast.Import):
            alias = next(a for a in node.names if _bound_name(a) == name)
            found = self._maybe(alias.name if alias.asname else name)
            return Place(found, found.tree) if found else Place(module, None)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Name):
            same = node.value.id == name
            return Place(module, node) if same else self._named(module, node.value.id, more - 1)
        return Place(module, node) if node is not None else self._not_bound(module, name, more - 1)

    def _not_bound(self, module: Module, name: str, more: int) -> Place:
        assert module.tree is not None  # noqa: S101  (only modules with a text are asked)
        for node in _statements(module.tree.body):
            if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
                found = self._maybe(absolute(module, node))
                if found is None or found.tree is None:
                    return Place(module, None)
                try:
                    return self._named(found, name, more)
                except AttributeMissing:
                    continue
        if module.folders:
            below = self._maybe(f"{module.name}.{name}")
            if below is not None:
                return Place(below, below.tree)
        if _bound(module.tree.body, "__getattr__") is not None or _is_dynamic(module.tree):
            return Place(module, None)
        raise AttributeMissing(module, name)

    def _imported(self, module: Module, node: ast.ImportFrom, name: str, more: int) -> Place:
        alias = next(a for a in node.names if _bound_name(a) == name)
        found = self._maybe(absolute(module, node))
        return Place(module, None) if found is None else self._named(found, alias.name, more)

    def _maybe(self, name: str) -> Module | None:
        try:
            return self.module(name)
        except (ModuleMissing, ModuleBroken):
            return None


def constant_of(place: Place) -> ast.expr | None:
    """Returns the literal that a module gives to a name, and nothing else; None for whatever else it is."""
    node, tree = place.node, place.module.tree
    value = _given(node)
    if value is None or tree is None or _is_dynamic(tree):
        return None
    names = set(_names(node)) if isinstance(node, ast.stmt) else set()
    bindings = [n for n in _statements(tree.body) if names & set(_names(n))]
    elsewhere = any(isinstance(n, ast.Global) and names & set(n.names) for n in ast.walk(tree))
    sure = node in bindings and not elsewhere and all(_given(n) is not None for n in bindings)
    return value if sure else None


def is_literal(node: ast.AST | None) -> bool:
    """Whether an expression is a number, a text, None, or a collection, which cannot be called."""
    if isinstance(node, ast.UnaryOp):
        return is_literal(node.operand)
    return isinstance(node, ast.Constant | ast.JoinedStr | ast.Tuple | ast.List | ast.Dict | ast.Set)


def _given(node: ast.AST | None) -> ast.expr | None:
    """The literal that a statement gives to plain names."""
    if not isinstance(node, ast.Assign | ast.AnnAssign) or not is_literal(node.value):
        return None
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return node.value if all(isinstance(target, ast.Name) for target in targets) else None


def absolute(module: Module, node: ast.ImportFrom) -> str:
    """Returns the dotted name of the module that ``from ... import`` speaks of."""
    if not node.level:
        return node.module or ""
    parts = module.package.split(".")
    base = ".".join(parts[: len(parts) - node.level + 1])
    return ".".join(filter(None, (base, node.module)))


def _statements(body: Iterable[ast.stmt], *, run: bool = False) -> Iterator[ast.stmt]:
    """Statements of a body and of the blocks in it; with ``run`` only those that an import executes."""
    for node in body:
        yield node
        if isinstance(node, Definition) and not (run and isinstance(node, ast.ClassDef)):
            continue
        if run and isinstance(node, ast.If) and _never_run(node.test):
            yield from _statements(node.orelse, run=run)
            continue
        for block in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(node, block, None) or (), run=run)
        for inner in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            yield from _statements(inner.body, run=run)


def executed(module: Module) -> Iterator[ast.stmt]:
    """Yields the statements that importing a module executes, without those in functions."""
    if module.tree is not None:
        yield from _statements(module.tree.body, run=True)


def _never_run(test: ast.expr) -> bool:
    """Whether a condition is ``TYPE_CHECKING`` or ``__name__ == "__main__"``."""
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    if isinstance(test, ast.Compare) and isinstance(test.left, ast.Name):
        return test.left.id == "__name__"
    return name == "TYPE_CHECKING"


def _bound(body: Iterable[ast.stmt], name: str) -> ast.stmt | None:
    """The statement that binds a name: of several a definition, an import, or the last one."""
    found = [node for node in _statements(body) if name in _names(node)]
    for telling in (Definition, (ast.Import, ast.ImportFrom)):
        plain = [node for node in found if isinstance(node, telling)]
        if plain:
            return plain[-1]
    return found[-1] if found else None


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, Definition):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [_bound_name(alias) for alias in node.names]
    targets: list[Any] = list(getattr(node, "targets", ())) or [getattr(node, "target", None)]
    return [
        n.id for target in targets if target is not None for n in ast.walk(target) if isinstance(n, ast.Name)
    ]


def _bound_name(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _is_dynamic(tree: ast.Module) -> bool:
    """Whether a module may have names that its text does not show."""
    makers = {"globals", "setattr", "exec", "vars"}
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in makers
        for node in ast.walk(tree)
    )


def _parsed(path: Path | None) -> ast.Module | None:
    if path is None:
        return None
    try:
        return ast.parse(path.read_bytes(), str(path))
    except SyntaxError as error:
        raise ModuleBroken(path, error.lineno or 1, f"SyntaxError: {error.msg}") from error
    except (OSError, ValueError, RecursionError, MemoryError) as error:  # too deep is MemoryError
        raise ModuleBroken(path, 1, f"{type(error).__name__}: {error}") from error


def _top(name: str) -> tuple[Path | None, tuple[str, ...]] | None:
    """Asks the finders for a module without parents; they look, and import nothing."""
    if name in sys.builtin_module_names:
        return None, ()
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        try:
            spec = find(name, None) if find is not None else None
        except Exception:  # noqa: S112  (a finder that fails knows nothing; the next one may)
            continue
        if spec is not None:
            origin = spec.origin if spec.has_location else None
            is_source = origin is not None and origin.endswith(tuple(SOURCE_SUFFIXES))
            path = Path(origin) if is_source and origin is not None else None
            readable = path is not None and path.is_file()  # a module in a zip has a path that is no file
            return path if readable else None, tuple(spec.submodule_search_locations or ())
    return None


def _below(parent: Module, name: str) -> tuple[Path | None, tuple[str, ...]] | None:
    """Looks for a submodule in the folders of its package, as Python's own finder does.

    ``find_spec`` cannot be asked: it imports the parents.
    """
    spaces: list[str] = []
    for folder in map(Path, parent.folders):
        inner = folder / name
        for suffix in all_suffixes():
            if (inner / f"__init__{suffix}").is_file():
                return _if_source(inner / f"__init__{suffix}"), (str(inner),)
        for suffix in all_suffixes():
            file = folder / f"{name}{suffix}"
            if file.is_file():
                return _if_source(file), ()
        if inner.is_dir():
            spaces.append(str(inner))
    return (None, tuple(spaces)) if spaces else _elsewhere(parent)


def _if_source(path: Path) -> Path | None:
    return path if path.suffix in SOURCE_SUFFIXES else None


def _elsewhere(parent: Module) -> tuple[Path | None, tuple[str, ...]] | None:
    """What a package in a zip, or one that extends its path when imported, may still have."""
    hidden = any(not Path(folder).is_dir() for folder in parent.folders)
    if hidden or (parent.tree is not None and _bound(parent.tree.body, "__path__") is not None):
        return None, ()
    return None
