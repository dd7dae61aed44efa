"""An event file of TensorBoard's with scalars, which can also say where a restart began."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from typing import Any

from expcore.types import Clock

_NAME = re.compile(r"events\.out\.tfevents\.(\d+)\.")


class EventFile:
    """Writes points of curves for TensorBoard; needs TensorFlow.

    ``tf.summary`` of TensorFlow 2 cannot write the restart mark, and not every reader drops what it wrote
    when there is one. So the records are written here, in the form that all readers know.

    Args:
        directory: where the file is made, and the directory if need be. Its name sorts after all event files
            that are there, since TensorBoard reads them in that order.
        clock: gives the times of the points.
        first_step: the first global step that will be made now. The file begins with a mark of it
            (``SessionLog.START``), at which readers drop what earlier files have of steps from there on.
            None: no mark, for points that come in any order and are not made again, such as evaluations.
    """

    def __init__(self, directory: str, clock: Clock, first_step: int | None) -> None:
        import tensorflow as tf

        self._clock = clock
        os.makedirs(directory, exist_ok=True)
        found = [int(m[1]) for m in map(_NAME.match, os.listdir(directory)) if m]
        secs = max([int(clock.time()), *(taken + 1 for taken in found)])
        name = f"events.out.tfevents.{secs:010d}.{socket.gethostname()}.{os.getpid()}.v2"
        self._file = tf.io.TFRecordWriter(os.path.join(directory, name))
        self._write(file_version="brain.Event:2")
        # Also in a directory's first file: to TensorBoard only a second mark is a restart.
        if first_step is not None:
            self._write(step=first_step, session_log=tf.compat.v1.SessionLog(status="START"))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes one point of each curve; it is on disk when this returns."""
        from tensorflow.compat.v1 import Summary

        points = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._write(step=step, summary=Summary(value=points))
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _write(self, **fields: Any) -> None:
        from tensorflow.compat.v1 import Event

        event = Event(wall_time=self._clock.time(), **fields)
        self._file.write(event.SerializeToString())
