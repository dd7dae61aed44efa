"""Pins: who reads a checkpoint says so, and whoever deletes old ones leaves it until it has been read."""

from __future__ import annotations

import json
import logging
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from expcore.events import LOG_DIR
from expcore.notes import alone, read_note
from expcore.owner import Owner
from expcore.types import Clock

_LOG = logging.getLogger(__name__)

RENEW_SECS = 60.0
"""Real seconds after which a pin that is still held is written anew."""

EXPIRY_SECS = 600.0
"""Seconds for which an unchanged pin of another machine is watched before it counts no more."""

_LOCK = "lock"


@contextmanager
def pinned(model_dir: str, checkpoint_path: str | None) -> Iterator[None]:
    """Keeps a checkpoint from being deleted for as long as it is read; what deletes has to ask ``Pins``.

    Each pin is a file of its own in ``<model_dir>/expcore/pins/``, so that any number of processes and
    threads can pin one checkpoint. A thread renews it every ``RENEW_SECS``, by which other machines see that
    it is held. Whether the checkpoint is there is not looked at; who reads it will see. Where the pin cannot
    be written, as on a read-only mount, one line in the log says that the checkpoint is not pinned, and
    nothing else happens.

    Args:
        model_dir: the model directory.
        checkpoint_path: the checkpoint; None, or one that does not lie in ``model_dir``: nothing is done.
    """
    name = _name(model_dir, checkpoint_path)
    pin = _made(model_dir, name) if name is not None else None
    try:
        yield
    finally:
        if pin is not None:
            pin.remove()


def _name(model_dir: str, checkpoint_path: str | None) -> str | None:
    """A checkpoint's path in the model directory, which may be reached in several ways; None if outside."""
    if checkpoint_path is None:
        return None
    folder, base = os.path.split(checkpoint_path)
    inside = os.path.relpath(os.path.join(os.path.realpath(folder), base), os.path.realpath(model_dir))
    return None if inside.split(os.sep)[0] == os.pardir else inside


def _made(model_dir: str, name: str) -> _Pin | None:
    pin = _Pin(Path(model_dir) / LOG_DIR / "pins", name)
    try:
        pin.make()
    except OSError as error:
        _LOG.warning(
            "checkpoint %s is not pinned while it is read (%s): a trainer may delete it; "
            "let this process write in %s to have it kept",
            os.path.join(model_dir, name),
            error,
            os.path.join(model_dir, LOG_DIR),
        )
        return None
    return pin


class _Pin:
    """The pin of one reader.

    Args:
        folder: where it is made.
        checkpoint: the checkpoint's name.
    """

    def __init__(self, folder: Path, checkpoint: str) -> None:
        self._path = folder / f"{secrets.token_hex(8)}.json"
        self._note = {"checkpoint": checkpoint, "owner": Owner.current().to_dict()}
        self._number = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._hold, name="expcore-pin", daemon=True)

    def make(self) -> None:
        """Writes it, and renews it from now on; OSError where it cannot be written."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            with suppress(OSError):  # without it only the moment of a deletion is not safe
                stack.enter_context(alone(self._path.parent / _LOCK))
            self._write()
        self._thread.start()

    def _write(self) -> None:
        self._number += 1
        beside = self._path.with_suffix(".tmp")
        try:
            beside.write_text(json.dumps(self._note | {"number": self._number}))
            os.replace(beside, self._path)
        except OSError:
            with suppress(OSError):
                beside.unlink()
            raise

    def _hold(self) -> None:
        # By real time, whatever the experiment's clock: one that jumps ahead would never let it rest.
        while not self._over.wait(RENEW_SECS):
            try:
                self._write()
            except OSError as error:
                _LOG.warning("pin %s cannot be renewed (%s): the next time perhaps", self._path, error)

    def remove(self) -> None:
        """Ends it; what cannot be removed is told, and counts until this process has ended."""
        self._over.set()
        self._thread.join()
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            _LOG.warning("pin %s cannot be removed: %s", self._path, error)


class Pins:
    """The pins in a model directory as whoever deletes checkpoints there sees them.

    A pin of this machine counts as long as its process lives. Of another machine, or another container, it
    counts until it has been watched unchanged for ``EXPIRY_SECS`` by this one's own clock: clocks of two
    machines are never compared. So keep the object; each begins to watch anew.

    Args:
        model_dir: the model directory; need not exist yet.
        clock: measures how long a pin has been watched.
    """

    def __init__(self, model_dir: str, clock: Clock) -> None:
        self._dir = Path(model_dir) / LOG_DIR / "pins"
        self._clock = clock
        self._seen: dict[str, float] = {}

    @contextmanager
    def hold(self) -> Iterator[set[str]]:
        """Gives what ``checkpoints`` returns, and nobody pins anything until the context ends.

        What is not named may be deleted inside: who wants to read it waits, and finds that it is gone. Do
        nothing else there, above all pin nothing. Where the file system has no locks nobody waits.
        """
        with ExitStack() as stack:
            with suppress(OSError):  # what cannot be locked can be read all the same
                self._dir.mkdir(exist_ok=True)  # not above: without an experiment nobody pins anything here
                stack.enter_context(alone(self._dir / _LOCK))
            yield self.checkpoints()

    def checkpoints(self) -> set[str]:
        """Returns the checkpoints that must not be deleted now.

        Returns:
            Their paths relative to the model directory: of one that lies directly in it, its name. What dead
            processes left, and what has expired, is not among them and is removed.
        """
        now = self._clock.monotonic()
        watched, names = {}, set()
        for path in self._files():
            text, note = read_note(path)
            if text is None:
                continue
            key = f"{path.name} {text}"
            watched[key] = since = self._seen.get(key, now)
            owner = Owner.from_dict(note.get("owner"))
            alive = None if owner is None else owner.alive()
            if alive is False or (alive is None and now - since >= EXPIRY_SECS):
                with suppress(OSError):  # it says nothing, also where it stays
                    path.unlink(missing_ok=True)
            elif isinstance(note.get("checkpoint"), str):
                names.add(note["checkpoint"])
        self._seen = watched
        return names

    def _files(self) -> list[Path]:
        try:
            return [self._dir / name for name in sorted(os.listdir(self._dir)) if name != _LOCK]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            _LOG.warning("pins in %s cannot be looked at: %s", self._dir, error)
            return []
