"""The policy "steps": exports at listed global steps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

from expcore.errors import InvalidArgument
from expcore.publish import Policy
from expcore.types import Format, History, Metrics
from expcore_plugins.arguments import whole


class Steps(Policy):
    """Exports at the first evaluation at or after each listed global step.

    One evaluation that passes several listed steps is one export. The log says which steps are done, so a
    restart repeats none and loses none; called without a log, none is.

    Args:
        format: writes the artefact.
        steps: global steps, ints > 0, each once, in any order.
        name: the exporter's name; None: "steps".
        keep: how many versions to keep, > 0; None: all.

    Raises:
        InvalidType: ``format`` is not a format.
        InvalidArgument: ``steps``, ``name`` or ``keep`` is not allowed.
    """

    default_name: ClassVar[str] = "steps"

    def __init__(
        self,
        format: Format,  # noqa: A002
        steps: Sequence[int],
        name: str | None = None,
        keep: int | None = None,
    ) -> None:
        super().__init__(format, name, keep)
        self.steps = _checked(steps, self.subject)

    def wants(self, eval_result: Metrics | None, history: History | None, final: bool) -> bool:
        """Whether a listed step was reached that no export under this name covers.

        Raises:
            InvalidArgument: neither the checkpoint nor the result tells the global step.
        """
        if self.already_exported(history):
            return False
        here = self._step(eval_result, history)
        reached = max((step for step in self.steps if step <= here), default=0)
        return reached > max(self._exported_steps(history), default=0)

    def _step(self, eval_result: Metrics | None, history: History | None) -> int:
        if history is not None and history.checkpoint is not None and history.checkpoint.step is not None:
            return history.checkpoint.step
        step = (eval_result or {}).get("global_step")
        if step is None:
            raise InvalidArgument(
                f"{self.subject}: the global step is unknown; pass an eval_result with 'global_step'"
            )
        return int(step)

    def _exported_steps(self, history: History | None) -> list[int]:
        if history is None:
            return []
        return [e.step for e in history.exports if e.exporter == self.name and e.step is not None]


def _checked(steps: Sequence[int], subject: str) -> tuple[int, ...]:
    if isinstance(steps, str | bytes) or not isinstance(steps, Sequence) or not steps:
        raise InvalidArgument(f"{subject}: steps is {steps!r}; it must be a list of at least one global step")
    found = sorted(whole(subject, f"steps[{i}]", step, least=1) for i, step in enumerate(steps))
    for step, following in pairwise(found):
        if step == following:
            raise InvalidArgument(f"{subject}: steps has {step} more than once; list each step once")
    return tuple(found)
