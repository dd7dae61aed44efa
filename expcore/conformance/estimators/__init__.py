"""The clauses of estimators."""

from expcore.conformance.estimators import (  # noqa: F401  they fill the list of clauses
    evaluating,
    hooking,
    lasting,
    listening,
    optional,
    resuming,
    training,
)
from expcore.conformance.estimators.case import EstimatorCase, forms
from expcore.conformance.estimators.clauses import clauses
from expcore.conformance.kind import Kind

CAPABILITIES = {
    "reproducible": "with the same random_seed of the config and the same data it trains to the same result",
    "exact_resume": "a training that was stopped and goes on makes the same steps as one that was not",
    "checkpoint_rhythm": "it saves and keeps checkpoints as the config says: save_checkpoints_steps, "
    "keep_checkpoint_max",
}

KIND = Kind("estimator", EstimatorCase, clauses, CAPABILITIES, forms)
