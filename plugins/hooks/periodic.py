"""What hooks of a steady rhythm share: every so many steps, or every so many seconds."""

from __future__ import annotations

from expcore_plugins.arguments import seconds, whole


class Periodic:
    """A hook's rhythm; the training loop also calls it at the end of every run.

    Args:
        subject: the hook's name for messages.
        every_n_steps: at every global step that is a multiple of it, >= 1; None: not by steps.
        every_secs: seconds, > 0, instead of ``every_n_steps``; None: by steps.

    Raises:
        InvalidArgument: an argument is something else.
    """

    def __init__(self, subject: str, every_n_steps: int | None, every_secs: float | None) -> None:
        if every_n_steps is not None:
            every_n_steps = whole(subject, "every_n_steps", every_n_steps, least=1)
        if every_secs is not None:
            every_secs, every_n_steps = seconds(subject, "every_secs", every_secs), None
        self.every_n_steps = every_n_steps
        self.every_secs = every_secs

    def next_step(self, step: int) -> int | None:
        """Returns the next multiple of ``every_n_steps``, so that restarts keep to the same steps."""
        n = self.every_n_steps
        return None if n is None else step - step % n + n
