"""expcore runs the life of a machine-learning experiment: train, evaluate, export, stop when good enough."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from expcore.clock import RealClock as RealClock
    from expcore.cluster import RunConfig as RunConfig
    from expcore.config import ExperimentConfig as ExperimentConfig
    from expcore.config import create_experiment as create_experiment
    from expcore.errors import ExpcoreError as ExpcoreError
    from expcore.experiment import Experiment as Experiment
    from expcore.history import History as History
    from expcore.hookspecs import hookimpl as hookimpl
    from expcore.host import PluginHost as PluginHost
    from expcore.host import default_host as default_host
    from expcore.publish import ExportStrategy as ExportStrategy
    from expcore.publish import Policy as Policy
    from expcore.run import run_experiment as run_experiment
    from expcore.run import tune as tune
    from expcore.types import Component as Component

# Where each public name lives. Imported when first used, so that the command line starts at once.
_HOME = {
    "Component": "types",
    "Experiment": "experiment",
    "ExperimentConfig": "config",
    "ExpcoreError": "errors",
    "ExportStrategy": "publish",
    "History": "history",
    "PluginHost": "host",
    "Policy": "publish",
    "RealClock": "clock",
    "RunConfig": "cluster",
    "create_experiment": "config",
    "default_host": "host",
    "hookimpl": "hookspecs",
    "run_experiment": "run",
    "tune": "run",
}

__all__ = [*_HOME, "errors"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"expcore.{_HOME[name]}"), name)
    if name == "errors":
        return import_module("expcore.errors")
    raise AttributeError(f"module 'expcore' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
