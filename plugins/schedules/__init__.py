"""Schedules: in which order an experiment is trained, evaluated and exported."""
