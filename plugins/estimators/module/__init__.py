"""The estimator of models without Keras."""

from expcore_plugins.estimators.engine.warm_start import WarmStart
from expcore_plugins.estimators.module.estimator import ModuleEstimator
from expcore_plugins.estimators.module.functions import Functions

__all__ = ["Functions", "ModuleEstimator", "WarmStart"]
