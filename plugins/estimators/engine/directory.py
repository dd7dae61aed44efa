"""The checkpoint files of a model directory: which there are, which are whole, and room for new ones."""

from __future__ import annotations

import logging
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from typing import NamedTuple

from expcore.errors import CannotWrite, CheckpointCorrupt, one_line
from expcore.types import Clock

_LOG = logging.getLogger(__name__)

PREFIX = "ckpt"
_INDEX = re.compile(rf"({PREFIX}-(\d+))\.index")
_SHARD = re.compile(r"\.data-(\d{5})-of-(\d{5})")
_WAIT_SECS = 60.0  # that a network file system may take to show a file to other machines
_ORPHAN = re.compile(rf"{PREFIX}-\d+_temp")


class Identity(NamedTuple):
    """Tells one checkpoint from another of the same path: path, and time and size of its index."""

    path: str
    mtime_ns: int
    size: int


def identity(path: str) -> Identity | None:
    """Returns a checkpoint's identity; None where it is not there."""
    try:
        found = os.stat(path + ".index")
    except OSError:
        return None
    return Identity(os.path.abspath(path), found.st_mtime_ns, found.st_size)


def is_complete(path: str) -> bool:
    """Whether a checkpoint's index and all its data files are there."""
    folder, name = os.path.split(path)
    names = _listing(folder or ".")
    if f"{name}.index" not in names:
        return False
    shards = [_SHARD.fullmatch(other[len(name) :]) for other in names if other.startswith(name + ".data-")]
    numbers = {(int(m[1]), int(m[2])) for m in shards if m}
    return any(all((i, of) in numbers for i in range(of)) for _, of in numbers)


def checkpoints(model_dir: str) -> list[str]:
    """Returns the whole checkpoints of a directory, oldest first.

    By TensorFlow's state file; where that is missing, unreadable, or names a checkpoint that is not whole,
    by the names of the files, in the order of their steps.
    """
    named = state_file(model_dir)
    if named and all(map(is_complete, named)):
        return named
    found = [m for m in map(_INDEX.fullmatch, _listing(model_dir)) if m]
    paths = [os.path.join(model_dir, m[1]) for m in sorted(found, key=lambda m: int(m[2]))]
    return [path for path in paths if is_complete(path)]


def state_file(model_dir: str) -> list[str]:
    """Returns the checkpoints that the state file names, the latest last; none where it says nothing."""
    import tensorflow as tf

    if not os.path.exists(os.path.join(model_dir, "checkpoint")):
        return []
    try:
        state = tf.train.get_checkpoint_state(model_dir)
    except (tf.errors.OpError, ValueError) as error:  # an empty file, or bytes that are no text
        _LOG.debug("the state file of %s cannot be read: %s", model_dir, one_line(error))
        return []
    if state is None:
        return []
    latest = state.model_checkpoint_path
    paths = [path for path in state.all_model_checkpoint_paths if path != latest]
    return [os.path.join(model_dir, os.path.basename(path)) for path in (*paths, latest) if path]


def path_of(model_dir: str, step: int) -> str:
    """Returns the path of the checkpoint of a step."""
    return os.path.join(model_dir, f"{PREFIX}-{step}")


def wait_for(model_dir: str, step: int, clock: Clock) -> str:
    """Waits for the checkpoint of a step, which another machine has seen already, and returns its path.

    Raises:
        CheckpointCorrupt: it is not there after a minute.
    """
    path, until = path_of(model_dir, step), clock.monotonic() + _WAIT_SECS
    while not is_complete(path):
        if clock.monotonic() >= until:
            raise CheckpointCorrupt(
                f"checkpoint {path!r}, which the chief goes on from, is not there for this process; is "
                "model_dir the same directory on all machines?"
            )
        clock.sleep(1.0)
    return path


def check_not_lost(model_dir: str) -> None:
    """Makes sure that a directory without a whole checkpoint really is one of a fresh start.

    Raises:
        CheckpointCorrupt: there are parts of checkpoints, or the state file names some.
    """
    parts = [name for name in _listing(model_dir) if re.match(rf"{PREFIX}-\d+\.(index|data-)", name)]
    named = [os.path.basename(path) for path in state_file(model_dir)]
    if parts or named:
        what = f"files {sorted(parts)}" if parts else f"a 'checkpoint' file that names {named}"
        raise CheckpointCorrupt(
            f"model_dir {model_dir!r} has no whole checkpoint, but {what}; bring the missing files back, "
            "or remove these to begin anew"
        )


def prepare(model_dir: str) -> None:
    """Makes the directory, tries to write in it, and removes what killed saves left behind.

    Raises:
        CannotWrite: the directory cannot be made or written.
    """
    try:
        os.makedirs(model_dir, exist_ok=True)
        with tempfile.TemporaryFile(dir=model_dir) as probe:
            probe.write(b"x")
    except OSError as error:
        raise CannotWrite(
            f"model_dir {model_dir!r} cannot be written ({one_line(error)}); give another one, or make room "
            "or permissions"
        ) from error
    sweep(model_dir)


def sweep(model_dir: str) -> None:
    """Removes the directories that TensorFlow writes a checkpoint in until it is whole."""
    for name in _listing(model_dir):
        path = os.path.join(model_dir, name)
        if _ORPHAN.fullmatch(name) and os.path.isdir(path):
            _LOG.info("removing %s, left by a save that was cut short", path)
            shutil.rmtree(path, ignore_errors=True)


def temporary(path: str) -> str:
    """Returns the directory that a checkpoint is written in until it is whole."""
    return f"{path}_temp"


def preserved_at(model_dir: str) -> float | None:
    """Returns when the last checkpoint that stays for ever was written; None: the state file does not say."""
    import tensorflow as tf

    if not state_file(model_dir):
        return None
    return tf.train.get_checkpoint_state(model_dir).last_preserved_timestamp or None


def write_state_file(model_dir: str, times: Mapping[str, float], preserved: float) -> None:
    """Writes TensorFlow's state file.

    Args:
        model_dir: the directory.
        times: of the checkpoints that may be deleted one day, by path, the latest last; seconds.
        preserved: time of the last checkpoint that stays for ever.

    Raises:
        tf.errors.OpError, OSError: it cannot be written.
    """
    import tensorflow as tf

    names = [os.path.basename(path) for path in times]
    state = tf.compat.v1.train.generate_checkpoint_state_proto(
        os.path.abspath(model_dir),  # names would be taken as relative to here, not to a relative directory
        names[-1],
        all_model_checkpoint_paths=names,
        all_model_checkpoint_timestamps=list(times.values()),
        last_preserved_timestamp=preserved,
    )
    path = os.path.join(model_dir, "checkpoint")
    with open(f"{path}.tmp", "w") as file:
        file.write(str(state))
    os.replace(f"{path}.tmp", path)


def _listing(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):  # anything else is not the same as an empty directory
        return []
