"""The Keras 3 estimator."""

from expcore_plugins.estimators.keras.estimator import KerasEstimator

__all__ = ["KerasEstimator"]
