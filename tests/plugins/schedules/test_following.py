"""What predicates see of an evaluation on the training data."""

from __future__ import annotations

import numpy as np

from expcore import Experiment
from expcore.testing import NumpyEstimator, PluginSandbox, VirtualClock
from expcore_plugins.predicates.for_evaluations import ForEvaluations


def test_a_built_in_predicate_counts_the_evaluations_on_the_training_data(tmp_path):
    clock = VirtualClock()
    x = np.eye(4)

    def data():
        return x, x.sum(axis=1)

    estimator = NumpyEstimator(str(tmp_path), clock=clock)
    host = PluginSandbox(builtins=True).host
    experiment = Experiment(estimator, data, data, plugins=host, clock=clock)
    experiment.train_pass()
    result = experiment.continuous_eval_on_train_data(
        continuous_eval_predicate_fn=ForEvaluations(1), timeout_secs=1e6
    )
    assert result["global_step"] == 1
    assert not experiment.timed_out
    assert experiment.history.evaluations == ()
