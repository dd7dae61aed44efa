"""The estimator of Keras models."""

from expcore_plugins.estimators.engine.warm_start import WarmStart
from expcore_plugins.estimators.keras.estimator import KerasEstimator

__all__ = ["KerasEstimator", "WarmStart"]
