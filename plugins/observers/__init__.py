"""Observers: pluggy plugins that see every run."""
