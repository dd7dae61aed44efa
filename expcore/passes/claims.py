"""Claims: of several evaluators one makes an evaluation, and a dead one's claim expires."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from expcore.errors import CannotWrite
from expcore.events import LOG_DIR
from expcore.notes import alone, read_note
from expcore.owner import Owner
from expcore.types import Clock

MIN_EXPIRY_SECS = 600.0


class Claims:
    """The claims of one evaluator; a process may have several.

    A claim is a file made exclusively. It expires when its process is seen to be dead (same machine), or
    when this process has watched it unchanged for ``expiry`` seconds by its own clock.

    Args:
        model_dir: the model directory.
        clock: measures how long another's claim has been watched.
    """

    def __init__(self, model_dir: str, clock: Clock) -> None:
        self._dir = Path(model_dir) / LOG_DIR / "claims"
        self._clock = clock
        self._token = secrets.token_hex(8)
        self._taken = 0
        self._seen: dict[str, float] = {}

    def _path(self, subject: str) -> Path:
        return self._dir / f"{hashlib.sha256(subject.encode()).hexdigest()[:32]}.json"

    def take(self, subject: str, expiry: float) -> bool:
        """Claims a subject; False where another holds it. What is held already may be taken again.

        Args:
            subject: what is claimed, such as a checkpoint's id and the evaluation's name.
            expiry: seconds after which an unchanged claim of another machine is taken over; at least
                ``MIN_EXPIRY_SECS`` count.

        Raises:
            CannotWrite: the claim cannot be written.
        """
        path = self._path(subject)
        if self._make(path):
            return True
        # Of several that see the expiry, those that come later find the fresh claim of the first.
        with self._alone():
            if self._expired(path, expiry):
                self._remove(path)
            return self._make(path)

    def release(self, subject: str) -> None:
        """Gives a claim back; one that expired and was taken over by another stays.

        Raises:
            CannotWrite: the claim cannot be removed.
        """
        path = self._path(subject)
        if not self._holds(path):
            return
        with self._alone():
            if self._holds(path):
                self._remove(path)

    def _make(self, path: Path) -> bool:
        self._taken += 1
        claim = {"token": self._token, "number": self._taken, "owner": Owner.current().to_dict()}
        try:
            self._dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._cannot(path, error) from error
        try:
            with path.open("x") as file:
                _write(file, claim)
        except FileExistsError:
            return False
        except OSError as error:
            raise self._cannot(path, error) from error
        return True

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise self._cannot(path, error) from error

    def _cannot(self, path: Path, error: OSError) -> CannotWrite:
        return CannotWrite(f"{path}: the claim cannot be written ({error}); mend its directory")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else removes a claim meanwhile, so that each removes the one that it has looked at."""
        path = self._dir / "lock"
        with ExitStack() as stack:
            # Without locks two may take one claim over, and the first recorded result counts.
            try:
                stack.enter_context(alone(path))
            except OSError as error:
                raise self._cannot(path, error) from error
            yield

    def _holds(self, path: Path) -> bool:
        return read_note(path)[1].get("token") == self._token

    def _expired(self, path: Path, expiry: float) -> bool:
        text, claim = read_note(path)
        if text is None or claim.get("token") == self._token:
            return True  # given back, or left by an evaluation of ours that failed
        owner = Owner.from_dict(claim.get("owner"))
        if owner is not None and owner == Owner.current():
            return False  # another experiment of this process
        if owner is not None and owner.alive() is False:
            return True
        now = self._clock.monotonic()
        return now - self._seen.setdefault(f"{path.name} {text}", now) >= max(expiry, MIN_EXPIRY_SECS)


def _write(file: TextIO, claim: dict[str, Any]) -> None:
    try:
        json.dump(claim, file)
        file.flush()
    except OSError:
        os.unlink(file.name)  # what cannot say whose it is would keep everybody away until it expires
        raise
