"""How often a training saves where its config does not say: as often as it is to be evaluated."""

from __future__ import annotations

from expcore.cluster import config_value, rhythm_given
from expcore.experiment import Experiment


def steps_between_saves(experiment: Experiment) -> int | None:
    """Returns ``eval_every_n_steps`` where it is more than 1 and the config has no rhythm of checkpoints.

    None: the config's rhythm holds. So it is in a process that is not the chief, whose saves nobody sees.
    """
    n, config = experiment.eval_every_n_steps, experiment.config
    chosen = n is not None and n > 1 and not rhythm_given(config)
    return n if chosen and config_value(config, "is_chief") else None
