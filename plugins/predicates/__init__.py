"""Predicates: say whether to go on."""
