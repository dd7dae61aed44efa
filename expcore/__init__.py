"""expcore runs the life of a machine-learning experiment: train, evaluate, export, stop when good enough."""

from expcore.clock import RealClock as RealClock
from expcore.cluster import RunConfig as RunConfig
from expcore.config import ExperimentConfig as ExperimentConfig
from expcore.config import create_experiment as create_experiment
from expcore.errors import *  # noqa: F403  every error is public
from expcore.experiment import Experiment as Experiment
from expcore.history import History as History
from expcore.hookspecs import hookimpl as hookimpl
from expcore.host import PluginHost as PluginHost
from expcore.publish import ExportStrategy as ExportStrategy
from expcore.publish import Policy as Policy
from expcore.run import run_experiment as run_experiment
from expcore.run import tune as tune
from expcore.types import Component as Component
