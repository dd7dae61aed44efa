"""The benchmarks: expcore beside its peers, in turns, in one run; ``make bench``."""
