"""The digits of scikit-learn: 1,797 images of 8 x 8 grey values, from the UCI repository."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def load(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns images float32 [n, 8, 8, 1] in [0, 1] and labels int64 [n]; part is "train" or "test"."""
    digits = load_digits()
    images = (digits.images[..., None] / 16).astype("float32")
    labels = digits.target.astype("int64")
    train_x, test_x, train_y, test_y = train_test_split(
        images, labels, test_size=360, random_state=0, stratify=labels
    )
    return (train_x, train_y) if part == "train" else (test_x, test_y)
