"""The plugin default_hooks: the log line, the curves, the guard and the bar that every training run gets.

They are made by the host, so that each can be blocked (``-p no:hooks/logging``) or replaced like any other
component, and all at once by ``-p no:plugins/default_hooks``. A replacement that is broken, in conflict or
does not take the parameters below is left out with a warning. One whose class is already among the
experiment's own train hooks is left out.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Any

from expcore.cluster import config_value
from expcore.errors import ExpcoreError, UnknownComponent
from expcore.hookspecs import hookimpl
from expcore.roles import is_synchronous

_LOG = logging.getLogger(__name__)


@hookimpl
def expcore_train_hooks(experiment: Any) -> list[Any]:
    """Returns the hooks for one training call; none for an estimator that takes no expcore hooks.

    - ``nan_guard`` every ``log_step_count_steps`` steps of the config; in its own rhythm where that is None
      or 0;
    - ``logging`` every ``log_step_count_steps`` steps; none where that is None or 0, nor in a process that
      makes each step together with the chief, whose line says it of all;
    - ``summaries`` every ``save_summary_steps`` steps, on the chief; none where that is None or 0;
    - ``progress_bar`` where ``sys.stderr`` is a terminal, on the chief.
    """
    if not callable(getattr(experiment.estimator, "supports_hook", None)):
        return []
    given = {type(hook) for hook in experiment.train_hooks}
    return [hook for hook in _made(experiment) if type(hook) not in given]


def _made(experiment: Any) -> Iterator[Any]:
    for name, params in _wanted(experiment.config, together=is_synchronous(experiment)):
        try:
            yield experiment.plugins.create("hooks", name, **params)
        except UnknownComponent:
            continue  # switched off by the user
        except ExpcoreError as error:
            # Nobody asked for it: what a stranger provides under this name must not end the run.
            _LOG.warning("the hook %r is left out of this run: %s", name, error)


def _wanted(config: Any, *, together: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    log_steps = config_value(config, "log_step_count_steps")
    summary_steps = config_value(config, "save_summary_steps")
    chief = config_value(config, "is_chief")
    yield "nan_guard", {"every_n_steps": log_steps} if log_steps else {}
    if log_steps and (chief or not together):
        yield "logging", {"every_n_steps": log_steps}
    if summary_steps and chief:  # points of two processes in one directory would overlap
        yield "summaries", {"every_n_steps": summary_steps}
    if chief and sys.stderr is not None and sys.stderr.isatty():
        yield "progress_bar", {}
