"""What the estimators on TensorFlow share: compiled loops, checkpoints, input, evaluation."""
