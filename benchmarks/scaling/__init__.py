"""Simulates clusters of 1 to 4,096 workers in virtual time: ``python -m benchmarks.scaling``."""
