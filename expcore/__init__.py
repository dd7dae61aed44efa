"""expcore runs the life of a machine-learning experiment: train, evaluate, export, stop when good enough."""
