"""The case ``half`` for ``expcore run``; it waits for a signal at the step in HARNESS_WAITS_AT, if any."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import tensorflow as tf

import expcore

sys.path.insert(0, str(Path(__file__).parent))

import digest
from cases import CASES
from program import estimator_of


class Wait:
    """A hook that says that its step is reached, and waits until the signal has come."""

    def __init__(self, at):
        self._at, self.experiment = at, None

    def next_step(self, step):
        return self._at if step < self._at else None

    def after_steps(self, run):
        if run.step != self._at:
            return
        (Path(run.model_dir) / "waiting").touch()
        while self.experiment.signalled is None:
            time.sleep(0.01)


class Written(digest.End):
    """A hook that leaves the digest in the model directory."""

    def end(self, run):
        super().end(run)
        (Path(run.model_dir) / "digest.json").write_text(json.dumps(self.taken))


def experiment(output_dir):
    tf.config.experimental.enable_op_determinism()
    case, wait = CASES["half"], Wait(int(os.environ.get("HARNESS_WAITS_AT", 0)))
    estimator = estimator_of(case, {"model_dir": output_dir, "save_every": 15})
    wait.experiment = expcore.Experiment(
        estimator, case.data, case.held_out, train_steps=200, eval_steps=None, train_hooks=[wait, Written()]
    )
    return wait.experiment
