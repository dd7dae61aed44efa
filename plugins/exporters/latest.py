"""The policy "latest": every evaluated checkpoint is exported."""

from __future__ import annotations

from typing import ClassVar

from expcore.publish import Policy
from expcore.types import History, Metrics


class Latest(Policy):
    """Exports after every evaluation, each checkpoint once; what a bare format gets.

    Args:
        format: writes the artefact.
        name: the exporter's name; None: "latest".
        keep: how many versions to keep, > 0; None: all.

    Raises:
        InvalidType: ``format`` is not a format.
        InvalidArgument: ``name`` or ``keep`` is not allowed.
    """

    default_name: ClassVar[str] = "latest"

    def wants(self, eval_result: Metrics | None, history: History | None, final: bool) -> bool:
        """Whether this checkpoint was not exported under this name yet."""
        return not self.already_exported(history)
