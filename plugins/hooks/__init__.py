"""Hooks: take part in a training run."""
