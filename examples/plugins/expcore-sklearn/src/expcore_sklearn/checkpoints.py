"""Checkpoints: the fitted model as a joblib file, and beside it what is known of it.

``ckpt-<step>.joblib`` is the model; ``ckpt-<step>.joblib.json`` has the step, the position in the input, the
states of hooks, and size and SHA-256 of the model's file. The second is written last, by rename: without
it there is no checkpoint. Reading a model executes code that its file names; the sum beside it finds damage,
but not malice, as who can change the one can change the other.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from expcore.errors import CannotWrite, CheckpointCorrupt, one_line

_NAME = re.compile(r"ckpt-(\d+)\.joblib\.json")


@dataclass(frozen=True)
class State:
    """What a checkpoint holds besides the model.

    Attributes:
        step: the global step.
        taken: batches that were read since the input began.
        hooks: the states of hooks.
    """

    step: int
    taken: int
    hooks: Mapping[str, Any] = field(default_factory=dict)


def paths(model_dir: str) -> list[str]:
    """Returns the paths of the whole checkpoints, oldest first."""
    try:
        names = os.listdir(model_dir)
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = sorted((int(m[1]), n.removesuffix(".json")) for n in names if (m := _NAME.fullmatch(n)))
    return [os.path.join(model_dir, name) for _, name in found]


def write(model_dir: str, model: Any, state: State) -> str:
    """Writes a checkpoint and returns its path.

    Raises:
        CannotWrite: the file system refuses.
        TypeError: a hook's state is no JSON.
    """
    import joblib

    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    content = buffer.getvalue()
    path = os.path.join(model_dir, f"ckpt-{state.step}.joblib")
    about = {**asdict(state), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    text = json.dumps(about, indent=1).encode()
    try:
        os.makedirs(model_dir, exist_ok=True)
        delete(path)  # an older one of this step: its sum would not fit the new file
        _put(path, content)
        _put(f"{path}.json", text)
    except OSError as error:
        raise CannotWrite(
            f"{path}: the checkpoint cannot be written ({error.strerror or error}); "
            "make room or set permissions"
        ) from error
    return path


def _put(path: str, content: bytes) -> None:
    with open(f"{path}.tmp", "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.tmp", path)


def delete(path: str) -> None:
    """Deletes a checkpoint, if it is there."""
    Path(f"{path}.json").unlink(missing_ok=True)
    Path(path).unlink(missing_ok=True)


def set_aside(path: str) -> None:
    """Renames a damaged checkpoint, so that it is none any more."""
    os.replace(f"{path}.json", f"{path}.json.damaged")


def _read_state(path: str) -> tuple[State, str]:
    """What a checkpoint holds besides the model, and the sum; executes nothing."""
    try:
        about = json.loads(Path(f"{path}.json").read_text())
        return State(int(about["step"]), int(about["taken"]), dict(about["hooks"])), str(about["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointCorrupt(
            f"checkpoint {path}: {path}.json cannot be read ({one_line(error)}); use another checkpoint"
        ) from error


def read(path: str) -> tuple[Any, State]:
    """Returns a checkpoint's model and what else it holds; executes what the file says, after a check.

    Raises:
        CheckpointCorrupt: it is gone, damaged, or of libraries that are not there.
    """
    import joblib

    state, sha256 = _read_state(path)
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise CheckpointCorrupt(
            f"checkpoint {path}: it cannot be read ({error.strerror}); use another checkpoint"
        ) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise CheckpointCorrupt(
            f"checkpoint {path}: its SHA-256 is not the one in {path}.json; it is damaged or was "
            "changed, use another checkpoint"
        )
    try:
        return joblib.load(io.BytesIO(content)), state
    except Exception as error:  # whatever the code of other versions of the libraries raises
        raise CheckpointCorrupt(
            f"checkpoint {path}: the model cannot be made from it ({one_line(error)}); install the "
            "versions of the libraries that it was written with, or use another checkpoint"
        ) from error
