"""The policy "final": only the last export of an experiment."""

from __future__ import annotations

from typing import ClassVar

from expcore.publish import Policy
from expcore.types import History, Metrics


class Final(Policy):
    """Exports once, when the experiment says that it is the final export; each checkpoint once.

    Args:
        format: writes the artefact.
        name: the exporter's name; None: "final".
        keep: how many versions to keep, > 0; None: all. Training on and ending again makes another one.

    Raises:
        InvalidType: ``format`` is not a format.
        InvalidArgument: ``name`` or ``keep`` is not allowed.
    """

    default_name: ClassVar[str] = "final"

    def wants(self, eval_result: Metrics | None, history: History | None, final: bool) -> bool:
        """Whether it is the final export, of a checkpoint not exported under this name yet."""
        return final and not self.already_exported(history)
