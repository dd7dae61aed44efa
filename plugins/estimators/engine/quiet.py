"""What TensorFlow's coordinator says while workers train, in a line each."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

_LOG = logging.getLogger(__name__)

# By its text: the file that TensorFlow's records name is not always the one that wrote them.
_COORDINATOR = re.compile(
    r"Remote function on worker |Worker \S*/job:|\s*/job:\S+ encountered the following error when |"
    r"\[Worker \d+\] |Start cancelling closures |Cluster update failed "
)
_LOST = re.compile(r"Worker \S*/task:(\d+) failed with ")
_BACK = re.compile(r"Worker \S*/task:(\d+) has been recovered")


@contextmanager
def in_a_line() -> Iterator[None]:
    """A context in which the coordinator's messages are one line of ours each.

    TensorFlow writes each error of a worker several times with the whole graph, also those that it gets over;
    one that matters is raised, and told by whoever takes it. So here all are for debugging, but for the loss
    of a worker and its return.
    """
    logger, own = logging.getLogger("tensorflow"), _Told()
    logger.addFilter(own)
    try:
        yield
    finally:
        logger.removeFilter(own)


class _Told(logging.Filter):
    """Takes what the coordinator says; one for each context, since contexts are within each other."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether TensorFlow's logger is to say it."""
        told = record.getMessage()
        if not _COORDINATOR.match(told):
            return True
        _tell(told)
        return False


def _tell(told: str) -> None:
    if lost := _LOST.match(told):
        _LOG.warning("worker %s is lost; the others do its work until it is back", lost[1])
    elif back := _BACK.match(told):
        _LOG.info("worker %s is back", back[1])
    else:
        _LOG.debug("TensorFlow's coordinator: %s", " ".join(told.split())[:300])
