"""Environments: the virtual environments of the peers, made from PyPI where they are not there yet."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".bench"

_MAIN = ("tensorflow==2.21.0", "keras==3.15.1", "tf_keras==2.21.0")
_ORBIT = "tf-models-official==2.20.0"
_ESTIMATOR = ("tensorflow==2.15.1", "numpy<2")
_OLD_PYTHON = "python3.11"  # TensorFlow 2.15 has no wheels for later ones


class Unavailable(Exception):
    """An environment cannot be made here; the text says why."""


class Environment:
    """A virtual environment.

    Args:
        name: "main" or "estimator".
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._folder = FOLDER / name
        self.python = str(self._folder / "bin" / "python")

    @staticmethod
    def path() -> Path:
        """A folder for PYTHONPATH in which is nothing but this package.

        The root of the project would bring along its metadata, which may be older than what is installed.
        """
        folder = FOLDER / "path"
        folder.mkdir(parents=True, exist_ok=True)
        link = folder / "benchmarks"
        if not link.is_symlink():
            link.symlink_to("../../benchmarks")
        return folder

    def make(self) -> None:
        """Makes it, unless it is there and what it is made of is the same.

        Raises:
            Unavailable: no Python here can run it, or a package cannot be had.
        """
        steps = self._main() if self.name == "main" else self._estimator()
        stamp = self._folder / "stamp"
        wanted = hashlib.sha256(repr(steps).encode() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()
        if stamp.exists() and stamp.read_text() == wanted:
            return
        print(f"making the environment {self._folder}", file=sys.stderr)
        FOLDER.mkdir(exist_ok=True)
        for step in steps:
            done = subprocess.run(step, cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode:
                said = (done.stderr or done.stdout).strip().splitlines() or ["nothing"]
                raise Unavailable(f"{' '.join(step)} failed: {said[-1]}")
        stamp.write_text(wanted)

    def _main(self) -> list[list[str]]:
        return [
            self._new(sys.executable),
            self._pip(*_MAIN, "-e", "."),
            # Of its many dependencies orbit needs none that is not there already.
            self._pip("--no-deps", _ORBIT),
        ]

    def _estimator(self) -> list[list[str]]:
        python = sys.executable if sys.version_info[:2] == (3, 11) else shutil.which(_OLD_PYTHON)
        if python is None:
            raise Unavailable(f"TensorFlow 2.15 needs {_OLD_PYTHON}, which is not on the path")
        return [self._new(python), self._pip(*_ESTIMATOR)]

    def _new(self, python: str) -> list[str]:
        shell = shutil.which("sh") or "/bin/sh"
        return [shell, str(ROOT / "tools" / "make_venv.sh"), os.path.realpath(python), str(self._folder)]

    def _pip(self, *words: str) -> list[str]:
        return [self.python, "-m", "pip", "install", "--quiet", *words]
