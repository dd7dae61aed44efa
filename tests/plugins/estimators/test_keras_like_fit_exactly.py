"""Bit for bit the numbers of model.fit and model.evaluate, where TensorFlow's op determinism is on.

That is a switch of a process which cannot be turned off again: one process of its own makes these tests of
the other files once more, and compares for equality.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.tf

HERE = Path(__file__).parent
TESTS = {
    "optimizers": [
        "test_the_comparison_sees_differences",
        "test_optimizers[Adam]",
        "test_optimizers[Muon]",
        "test_gradient_accumulation[loss scaled]",
    ],
    "compile": ["test_steps_per_execution[7]", "test_mixed_precision[mixed_float16-False]"],
    "losses": ["test_embedding_with_mask_zero", "test_stateful_metrics_of_two_classes_with_weights"],
    "structures": [
        "test_mappings_with_losses_weights_and_metrics_by_name",
        "test_batches_of_different_sizes",
        "test_ragged_tensors",
        "test_sparse_tensors",
    ],
    "layers": [
        "test_noise_and_dropout",
        "test_stateful_recurrence",
    ],
    "steps": ["test_two_networks_with_an_optimizer_each"],
    "averages": ["test_training_goes_on_from_the_raw_weights[new estimator]"],
    "class_weight": ["test_labels_that_are_numbers_of_classes[numbers]"],
}


def test_bit_for_bit():
    nodes = [
        f"{HERE}/test_keras_like_fit_{file}.py::{test}" for file, tests in TESTS.items() for test in tests
    ]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:randomly", "-p", "no:xdist", *nodes],
        env={**inherited, "EXPCORE_TEST_BIT_FOR_BIT": "1", "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert re.search(rf"\b{len(nodes)} passed", done.stdout), done.stdout[-2000:]
