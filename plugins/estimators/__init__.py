"""Estimators: what can be trained and evaluated."""
