"""What plugin authors and tests need: a virtual clock, a NumPy estimator, a sandbox for plugins."""

from expcore.testing.clock import VirtualClock as VirtualClock
from expcore.testing.engine import CountingEngine as CountingEngine
from expcore.testing.engine import drive as drive
from expcore.testing.numpy_estimator import NumpyEstimator as NumpyEstimator
from expcore.testing.sandbox import PluginSandbox as PluginSandbox
from expcore.testing.sandbox import fake_distribution as fake_distribution
