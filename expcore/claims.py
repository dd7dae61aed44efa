"""Claims: of several evaluators one makes an evaluation, and a dead one's claim expires."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from pathlib import Path

from expcore.errors import CannotWrite
from expcore.events import LOG_DIR
from expcore.owner import Owner
from expcore.types import Clock

MIN_EXPIRY_SECS = 600.0


class Claims:
    """The claims of one process.

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
        self._seen: dict[str, float] = {}

    def _path(self, subject: str) -> Path:
        return self._dir / f"{hashlib.sha256(subject.encode()).hexdigest()[:32]}.json"

    def take(self, subject: str, expiry: float) -> bool:
        """Claims a subject; False where another holds it.

        Args:
            subject: what is claimed, such as a checkpoint's id and the evaluation's name.
            expiry: seconds after which an unchanged claim of another machine is taken over.

        Raises:
            CannotWrite: the claim cannot be written.
        """
        path = self._path(subject)
        if self._make(path):
            return True
        if not self._expired(path, max(expiry, MIN_EXPIRY_SECS)):
            return False
        # Of several that see the expiry one rename succeeds; the others find the next claim.
        aside = path.with_suffix(f".{self._token}")
        try:
            os.rename(path, aside)
        except FileNotFoundError:
            return self._make(path)
        aside.unlink()
        return self._make(path)

    def _make(self, path: Path) -> bool:
        try:
            self._dir.mkdir(parents=True, exist_ok=True)
            with path.open("x") as file:
                json.dump({"token": self._token, "owner": Owner.current().to_dict()}, file)
        except FileExistsError:
            return False
        except OSError as error:
            raise CannotWrite(f"{path}: the claim cannot be written ({error}); mend its directory") from error
        return True

    def _expired(self, path: Path, expiry: float) -> bool:
        try:
            text = path.read_text()
        except FileNotFoundError:
            return False
        try:
            claim = json.loads(text)
            owner, token = Owner.from_dict(claim["owner"]), claim["token"]
        except (ValueError, KeyError, TypeError):
            owner, token = None, text
        if token == self._token:
            return True  # left by an evaluation of ours that failed
        if owner is not None and owner == Owner.current():
            return False  # another experiment of this process
        if owner is not None and owner.alive() is False:
            return True
        first = self._seen.setdefault(f"{path.name} {token}", self._clock.monotonic())
        return self._clock.monotonic() - first >= expiry

    def release(self, subject: str) -> None:
        """Gives a claim back."""
        self._path(subject).unlink(missing_ok=True)
