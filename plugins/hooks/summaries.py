"""The hook summaries: training metrics as curves for TensorBoard."""

from __future__ import annotations

import os

from expcore.metrics import numbers
from expcore.types import Run
from expcore_plugins.hooks.event_file import EventFile
from expcore_plugins.hooks.pace import Pace
from expcore_plugins.hooks.periodic import Periodic

_SUBJECT = "hook 'summaries'"


class Summaries(Periodic):
    """Writes curves for TensorBoard: every metric that is a single number, and ``global_step/sec``.

    The event file lies in the model directory itself, where TensorBoard expects training. It is made with
    the first point, and closed when the run ends or fails. There is a last point at the end of a run.

    A restart goes back to the last checkpoint, while points of steps after it are on disk. So each event file
    begins with a mark of the first step that its run makes (``SessionLog.START``): TensorBoard drops what
    earlier files have at and after that step, and curves do not overlap.

    Args:
        every_n_steps: at every multiple of this global step, >= 1; None: only at the end.
        every_secs: seconds between points, > 0, instead of ``every_n_steps``; None: by steps.
        directory: where to write; None: the model directory.

    Raises:
        InvalidArgument: an argument is something else.
    """

    requires = "tensorflow"
    """Estimators that do without TensorFlow do not take this hook."""

    def __init__(
        self,
        every_n_steps: int | None = 100,
        every_secs: float | None = None,
        directory: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(_SUBJECT, every_n_steps, every_secs)
        self.directory = directory
        self._file: EventFile | None = None

    def begin(self, run: Run) -> None:
        """Starts to measure."""
        self._first = run.step
        self._pace = Pace(run)

    def after_steps(self, run: Run) -> None:
        """Writes one point of each curve."""
        if run.step == self._first:
            return
        points = numbers(run.metrics)
        rate = self._pace.look(run)
        if rate is not None:
            points["global_step/sec"] = rate
        if self._file is None:
            directory = os.fspath(self.directory or run.model_dir)
            self._file = EventFile(directory, run.clock, self._first + 1)
        self._file.scalars(run.step, points)

    def end(self, run: Run) -> None:
        """Closes the event file."""
        self._close()

    def failed(self, run: Run, error: BaseException) -> None:
        """Closes the event file; what led to the failure is in it."""
        self._close()

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()
