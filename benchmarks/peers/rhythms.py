"""The rhythms of the job with many hooks."""

RHYTHMS = (10, 20, 30, 50, 70, 100, 200, 300, 500, 1000)
"""Steps between two acts of a hook; multiples of ten, so that fit can keep them with ten an execution."""
