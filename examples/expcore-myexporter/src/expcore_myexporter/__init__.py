"""Writes a model's weights as one NumPy archive."""

from pathlib import Path

import numpy as np


class NpzWeights:
    """A format: the host gives the directory and publishes it."""

    def write(self, estimator, directory, checkpoint_path=None, eval_result=None):
        """Writes weights.npz: one array a variable, named by its path; by its number where it has none."""
        with estimator.restored(checkpoint_path) as model:
            arrays = {getattr(w, "path", str(n)): np.asarray(w) for n, w in enumerate(model.weights)}
            np.savez(Path(directory, "weights.npz"), **arrays)
