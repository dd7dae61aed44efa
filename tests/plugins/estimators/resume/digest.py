"""What a run has come to, as hashes: equal digests are equal bits."""

from __future__ import annotations

import hashlib

import numpy as np

NEXT = 5  # batches that are looked at after the end


def hashed(value) -> str:
    array = np.asarray(value)
    head = f"{array.dtype} {array.shape} "
    return hashlib.sha256(head.encode() + array.tobytes()).hexdigest()


def of_model(model) -> dict[str, dict[str, str]]:
    """The hash of each variable of the model, its optimizer and its metrics."""
    parts = {
        "model": model.variables,
        "optimizer": model.optimizer.variables,
        "metrics": [v for metric in model.metrics for v in metric.variables],
    }
    return {
        part: {f"{i} {v.path}": hashed(v.numpy()) for i, v in enumerate(variables)}
        for part, variables in parts.items()
    }


class End:
    """A hook that takes the digest at the end of a training, last of all."""

    def __init__(self):
        self.step, self.reason, self.taken = 0, "", {}

    def end(self, run):
        self.step, self.reason = run.step, run.stop_reason
        numbers = {name: float(value).hex() for name, value in run.metrics.items()}
        self.taken = {"step": run.step, "numbers": numbers, **of_model(run.model)}


class Batches:
    """A hook that takes the fingerprint of each batch."""

    def __init__(self):
        self.taken = []

    def next_step(self, step):
        return step + 1

    def after_steps(self, run):
        self.taken.append(int(run.model.last))


def following(estimator, data) -> dict:
    """The batches that training sees next, and the variables after them: what is drawn next counts too."""
    batches, end = Batches(), End()
    while len(batches.taken) < NEXT:
        estimator.train(data, hooks=[batches, end], steps=NEXT - len(batches.taken))
    return {"batches": batches.taken, "after": end.taken}
