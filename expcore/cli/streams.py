"""What the command line writes to stderr: the log, in lines that leave a progress bar whole."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from expcore.cli.output import escaped

DEBUG = "expcore.debug"
"""Key of click's ``Context.meta``: whether errors are shown with their traceback."""

LAYOUT = "\n\t"
"""Control characters that lay a log record or an error out, as in the traceback that follows it."""

_LOGGERS = ("expcore", "expcore_plugins")


class _Escaping(logging.Formatter):
    """Keeps what a record quotes, such as a name from somebody's metadata, from steering the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return escaped(super().format(record), LAYOUT)


class ProgressBarHandler(logging.Handler):
    """Writes to the stderr of the moment, through tqdm where it is in use, which redraws its bars."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record."""
        try:
            line = self.format(record)
            tqdm = getattr(sys.modules.get("tqdm"), "tqdm", None)
            if tqdm is not None:
                tqdm.write(line, file=sys.stderr)
            else:
                sys.stderr.write(f"{line}\n")
                sys.stderr.flush()
        except Exception:
            self.handleError(record)


@contextmanager
def logging_to_stderr(level: int) -> Iterator[None]:
    """Sends the log of expcore and its plugins from ``level`` on to stderr; afterwards all is as before."""
    handler = ProgressBarHandler()
    handler.setFormatter(_Escaping("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False  # TensorFlow's libraries put a handler of their own on the root logger
    try:
        yield
    finally:
        for logger, old_level, propagate in before:
            logger.removeHandler(handler)
            logger.setLevel(old_level)
            logger.propagate = propagate
