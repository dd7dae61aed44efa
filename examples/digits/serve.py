"""Loads an exported model without expcore and without Keras, and predicts the test images."""

from __future__ import annotations

import sys

import numpy as np
import tensorflow as tf
from digits_data import load


def main(directory: str) -> None:
    """Prints the accuracy of the model in a version directory."""
    loaded = tf.saved_model.load(directory)
    images, labels = load("test")
    outputs = loaded.signatures["serving_default"](image=tf.constant(images))
    predicted = np.argmax(next(iter(outputs.values())), axis=-1)
    assert "expcore" not in sys.modules
    print(f"accuracy {np.mean(predicted == labels):.4f} on {len(labels)} test images")


if __name__ == "__main__":
    main(sys.argv[1])
