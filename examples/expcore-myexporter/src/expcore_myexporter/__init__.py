"""Writes a model's weights as one NumPy archive."""

from pathlib import Path

import numpy as np


class NpzWeights:
    """A format: the host gives the directory and publishes it."""

    def write(self, estimator, directory, checkpoint_path=None, eval_result=None):
        """Writes weights.npz: one array a variable, named by its path."""
        with estimator.restored(checkpoint_path) as model:
            np.savez(Path(directory, "weights.npz"), **{w.path: np.asarray(w) for w in model.weights})
