"""Directories that are being written: named after their owner, swept if it died, checked, synced to disk."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, unquote

from expcore.errors import PluginError
from expcore.owner import Owner
from expcore.types import Clock

_LOG = logging.getLogger(__name__)

_TEMPORARY = ".tmp-"
_DAY_SECS = 86400.0


@contextmanager
def temporary_directory(parent: str) -> Iterator[str]:
    """Makes an empty directory in ``parent`` and removes it at the end if it is still there.

    It carries the process's identity in its name: if the process dies, the next publication into
    ``parent`` sweeps it. Its permissions are those that the umask gives.
    """
    owner = Owner.current()
    parts = (owner.pid, owner.started, owner.boot, uuid.uuid4().hex[:12], quote(owner.host, safe=""))
    path = os.path.join(parent, _TEMPORARY + "_".join(map(str, parts)))
    os.mkdir(path)  # not mkdtemp: its 0700 would survive the rename and keep a server of another user out
    try:
        yield path
    finally:
        _remove(path)


def _owner_of(name: str) -> Owner | None:
    """Reads the owner from a temporary directory's name; None for a name that is not ours."""
    parts = name.removeprefix(_TEMPORARY).split("_", 4)
    if not name.startswith(_TEMPORARY) or len(parts) != 5:
        return None
    pid, started, boot, _, host = parts
    return Owner.from_dict({"host": unquote(host), "boot": boot, "pid": pid, "started": started})


def sweep(parent: str, clock: Clock) -> None:
    """Removes the temporary directories in ``parent`` that nobody is writing any more.

    Those of dead processes of this machine, and of other machines, of which nothing can be known, those
    untouched for a day. Anything else stays.
    """
    with os.scandir(parent) as entries:
        found = [e for e in entries if e.is_dir(follow_symlinks=False)]
    for entry in found:
        owner = _owner_of(entry.name)
        alive = None if owner is None else owner.alive()
        if owner is None or alive or (alive is None and _age(entry.path, clock) < _DAY_SECS):
            continue
        _remove(entry.path)


def _age(path: str, clock: Clock) -> float:
    try:
        return clock.time() - os.lstat(path).st_mtime
    except FileNotFoundError:
        return 0.0


def _remove(path: str) -> None:
    """Removes a directory; what cannot be removed is told but ends nothing, since no reader sees it."""
    try:
        if os.path.islink(path):
            os.unlink(path)
        else:
            shutil.rmtree(path)
    except FileNotFoundError:
        return
    except OSError as error:
        _LOG.warning("cannot remove %s: %s", path, error)


def check_written(directory: str, subject: str) -> None:
    """Checks what was written before anybody may see it.

    Raises:
        PluginError: there is no file in it, something that is neither file, directory nor link, or a
            symbolic link that is absolute or leads out of the directory; or the directory itself is gone.
    """
    if os.path.islink(directory) or not os.path.isdir(directory):
        raise PluginError(
            f"{subject}: the directory was removed or replaced; write into the one that is given"
        )
    files = 0
    for path, mode in _entries(directory):
        inner = os.path.relpath(path, directory)
        if stat.S_ISLNK(mode):
            if not _stays(path, directory):
                raise PluginError(
                    f"{subject}: {inner!r} links to {os.readlink(path)!r}, which leads out of the export; "
                    "copy the file, or link relative to it and inside"
                )
        elif stat.S_ISREG(mode):
            files += 1
        elif not stat.S_ISDIR(mode):
            raise PluginError(f"{subject}: {inner!r} is neither a file nor a directory; write only these")
    if not files:
        raise PluginError(f"{subject}: no file was written; write into the directory that is given")


def _entries(directory: str) -> Iterator[tuple[str, int]]:
    """Every path below a directory with its mode, the deepest first; links are not followed."""

    def fail(error: OSError) -> None:
        raise error

    for root, directories, files in os.walk(directory, topdown=False, onerror=fail):
        for name in (*files, *directories):
            path = os.path.join(root, name)
            yield path, os.lstat(path).st_mode


def _stays(link: str, directory: str) -> bool:
    # Both ways of reading it: as text, since the directory is about to be renamed, and as the system does.
    target = os.readlink(link)
    inner = os.path.relpath(os.path.dirname(link), directory)
    text = os.path.normpath(os.path.join(inner, target))
    real, root = os.path.realpath(link), os.path.realpath(directory)
    return text.split(os.sep)[0] not in (os.pardir, "") and os.path.commonpath((real, root)) == root


def sync_tree(directory: str) -> None:
    """Makes sure that all of it is on the disk before it is given its name."""
    for path, mode in _entries(directory):
        if not stat.S_ISLNK(mode):
            sync(path)
    sync(directory)


def sync(path: str) -> None:
    """Makes sure that a file's content, or a directory's names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some FUSE mounts cannot sync directories, and say so with this
            raise
    finally:
        os.close(handle)
