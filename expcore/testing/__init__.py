"""What plugin authors and tests need: a virtual clock, a NumPy estimator, a sandbox for plugins."""
