"""Results of a campaign, each a line of a file, so that one which is cut short goes on where it was."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any


class Results:
    """What came of each case.

    Args:
        kind: the dataclass of a result.
        path: the file; it is read first. None: nothing is kept.
    """

    def __init__(self, kind: type[Any], path: Path | None) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path and path.exists() else []
        self.all = [kind(**json.loads(line)) for line in lines]

    def add(self, result: Any) -> None:
        """Keeps a result."""
        self.all.append(result)
        if self._path:
            with self._path.open("a") as file:
                file.write(json.dumps(asdict(result)) + "\n")
