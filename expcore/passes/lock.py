"""One trainer, and one launcher, a model directory: locks that the system lets go when a process ends."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from expcore.errors import CannotWrite, Locked
from expcore.events import LOG_DIR
from expcore.owner import Owner

_LOG = logging.getLogger(__name__)

_held: set[int] = set()


def _let_go() -> None:
    while _held:
        os.close(_held.pop())


# A data worker forked while training would otherwise hold the lock beyond its trainer's death.
os.register_at_fork(after_in_child=_let_go)


def trainer_lock(model_dir: str) -> AbstractContextManager[None]:
    """Holds ``<model_dir>/expcore/lock`` while training.

    Raises:
        Locked: another process trains in this directory; the message names it.
        CannotWrite: the lock file cannot be made or written.
    """
    return _lock(Path(model_dir, LOG_DIR, "lock"), model_dir, "is training in it")


def launcher_lock(model_dir: str) -> AbstractContextManager[None]:
    """Holds ``<model_dir>/expcore/launch/lock`` while a cluster runs, whose logs are beside it.

    Raises:
        Locked: another launcher runs a cluster in this directory; the message names it.
        CannotWrite: the lock file cannot be made or written.
    """
    return _lock(Path(model_dir, LOG_DIR, "launch", "lock"), model_dir, "runs a cluster in it")


@contextmanager
def _lock(path: Path, model_dir: str, doing: str) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise CannotWrite(f"{path}: the lock cannot be made ({error}); mend its permissions") from error
    _held.add(file)
    try:
        _take(file, path, model_dir, doing)
        yield
    finally:
        if file in _held:
            _held.remove(file)
            os.close(file)


def _take(file: int, path: Path, model_dir: str, doing: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise Locked(
                f"model directory {model_dir!r}: {_holder(path)} {doing}; "
                "only one may; wait for it, stop it, or give another directory"
            ) from error
        _LOG.warning("%s: this file system has no locks (%s); see that no second one starts", path, error)
        return
    try:
        os.ftruncate(file, 0)
        os.pwrite(file, json.dumps(Owner.current().to_dict()).encode(), 0)
    except OSError as error:
        raise CannotWrite(f"{path}: the lock cannot be written ({error}); free space or mend it") from error


def _holder(path: Path) -> str:
    try:
        owner = Owner.from_dict(json.loads(path.read_text()))
    except (OSError, ValueError):
        owner = None
    return f"process {owner.pid} on {owner.host}" if owner else "another process"
