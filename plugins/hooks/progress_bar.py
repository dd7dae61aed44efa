"""The hook progress_bar: how far training is, on a terminal."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from tqdm import tqdm

from expcore.metrics import numbers
from expcore.types import Run
from expcore_plugins.arguments import seconds


class ProgressBar:
    """Draws a bar over the steps to the end of the run, with the metrics behind it.

    It starts at the step that was restored; where the run has no last step, it counts without an end. Where
    the stream is no terminal nothing is written.

    Args:
        every_secs: seconds between two looks, > 0.
        stream: where to draw; None: ``sys.stderr`` as it is when the run begins.

    Raises:
        InvalidArgument: ``every_secs`` is something else.
    """

    def __init__(self, every_secs: float = 0.5, *, stream: TextIO | None = None) -> None:
        self.every_secs = seconds("hook 'progress_bar'", "every_secs", every_secs)
        self._stream = stream
        self._bar: tqdm[Any] | None = None

    def begin(self, run: Run) -> None:
        """Draws the bar at the restored step."""
        self._bar = tqdm(
            total=run.until,
            initial=run.step,
            unit="step",
            file=self._stream or sys.stderr,
            disable=None,  # tqdm's word for: unless the stream is a terminal
            dynamic_ncols=True,
            mininterval=0,  # the rhythm is ours
            miniters=0,
        )

    def after_steps(self, run: Run) -> None:
        """Moves the bar."""
        if self._bar is None or self._bar.disable:
            return
        self._bar.set_postfix(numbers(run.metrics), refresh=False)
        self._bar.update(run.step - self._bar.n)

    def end(self, run: Run) -> None:
        """Leaves the finished bar on the screen."""
        self._close()

    def failed(self, run: Run, error: BaseException) -> None:
        """Leaves the bar where it was."""
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
