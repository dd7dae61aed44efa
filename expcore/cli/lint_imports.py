"""Which heavy libraries come with a plugin's module, found along its imports, without running them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from expcore.cli.findings import Finding
from expcore.cli.source import Module, ModuleBroken, ModuleMissing, Sources, absolute, executed
from expcore.host.discovery import Entry

HEAVY = frozenset(
    {
        *("tensorflow", "keras", "tf_keras", "tensorboard", "tf2onnx", "ai_edge_litert"),
        *("torch", "torchvision", "lightning", "pytorch_lightning", "transformers", "datasets"),
        *("jax", "jaxlib", "flax", "optax", "mxnet", "paddle", "onnx", "onnxruntime", "openvino"),
        *("sklearn", "scipy", "pandas", "polars", "pyarrow", "dask", "xgboost", "lightgbm", "catboost"),
        *("matplotlib", "seaborn", "plotly", "bokeh", "cv2", "skimage", "numba", "sympy", "statsmodels"),
        *("optuna", "mlflow", "wandb", "ray", "hydra", "gradio", "streamlit"),
    }
)
"""Top-level packages whose import takes long: about 0.1 s and more."""


@dataclass(frozen=True)
class _Step:
    """A module, and the chain of imports that led to it."""

    module: Module
    chain: tuple[str, ...]


def heavy_imports(entries: Iterable[Entry], sources: Sources) -> Iterator[Finding]:
    """Yields one finding for each file and heavy library that it imports when one of the entries is."""
    entries = list(entries)
    own = {entry.target.partition(":")[0].partition(".")[0].strip() for entry in entries}
    seen: set[tuple[str, str]] = set()
    for entry in entries:
        for where, library, chain in _reached(entry, own, sources):
            file = where.rpartition(":")[0]
            if (file, library) not in seen:
                seen.add((file, library))
                yield Finding("LNT-010", entry.label, where, f"{' imports '.join([*chain, library])}")


def _reached(entry: Entry, own: set[str], sources: Sources) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yields place, library and chain of modules for each heavy import; the shortest chains first."""
    name = entry.target.partition(":")[0].strip()
    todo = [_Step(module, (module.name,)) for module in _with_parents(name, sources)]
    seen = {step.module.name for step in todo}
    while todo:
        step = todo.pop(0)
        for node in executed(step.module):
            for wanted in _imports(step.module, node):
                top = wanted.partition(".")[0]
                if top in HEAVY and top not in own:
                    yield step.module.at(node), top, step.chain
                elif top in own:
                    for module in _with_parents(wanted, sources):
                        if module.name not in seen:
                            seen.add(module.name)
                            todo.append(_Step(module, (*step.chain, module.name)))


def _imports(module: Module, node: ast.stmt) -> list[str]:
    """Dotted names that a statement imports; what follows ``from x import`` may be a module too."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = absolute(module, node)
        return [base, *(f"{base}.{alias.name}" for alias in node.names if alias.name != "*")] if base else []
    return [
        call.args[0].value
        for call in ast.walk(node)
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr)
        and isinstance(call, ast.Call)
        and getattr(call.func, "attr", getattr(call.func, "id", "")) in ("import_module", "__import__")
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    ]


def _with_parents(name: str, sources: Sources) -> list[Module]:
    """A module and its packages, outermost first, as an import executes them; those that exist."""
    parts = name.split(".")
    found = []
    for n in range(1, len(parts) + 1):
        try:
            found.append(sources.module(".".join(parts[:n])))
        except (ModuleMissing, ModuleBroken):  # told with the entry, or an attribute and no module
            break
    return found
