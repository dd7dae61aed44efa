"""Experiments from configs: mappings, and YAML, JSON or TOML files."""

from expcore.config.config import ExperimentConfig as ExperimentConfig
from expcore.config.config import create_experiment as create_experiment
from expcore.config.config import schedule_of as schedule_of
