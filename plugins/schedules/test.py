"""The schedule ``test``: one step of everything, to see that it works."""

from __future__ import annotations

import logging
import tempfile
from typing import Any

from expcore.errors import NotCopyable
from expcore.experiment import Experiment
from expcore.roles import check_role

_LOG = logging.getLogger(__name__)


def test(experiment: Experiment) -> Any:
    """Trains 1 step, evaluates 1 step and exports, without eval hooks.

    On a copy in a directory that is thrown away where the estimator can be copied, so that a real run's
    directory stays untouched; else in place, as in 2017, and says so.

    Args:
        experiment: what is tried.

    Returns:
        The metrics of the evaluation.

    Raises:
        ClusterError: this process's task in a cluster has no use for it.
        StoppedBySignal: a signal came.
    """
    check_role(experiment, "test")
    with tempfile.TemporaryDirectory(prefix="expcore-test-") as directory:
        result = _once(_copy(experiment, directory))
    experiment.check_signal()  # the copy was not told of it
    return result


# The directory of a real run gets no line of it, except from the passes of a test that runs in place.
test.unrecorded = True  # type: ignore[attr-defined]


def _copy(experiment: Experiment, directory: str) -> Experiment:
    copying = getattr(experiment.estimator, "with_model_dir", None)
    try:
        if not callable(copying):
            raise NotCopyable("it has no with_model_dir()")
        estimator = copying(directory)
    except NotCopyable as error:
        _LOG.warning("the estimator cannot be copied (%s): the test runs in %s", error, experiment.model_dir)
        estimator = experiment.estimator
    return experiment.copy(estimator)


def _once(experiment: Experiment) -> Any:
    experiment.train_pass(steps=1)
    result = experiment.evaluate_pass(steps=1)
    exports = experiment.export_pass(result, final=True)
    _LOG.info(
        "one step was trained and evaluated, %d of %d exporters wrote", sum(map(bool, exports)), len(exports)
    )
    return result
