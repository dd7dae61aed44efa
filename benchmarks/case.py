"""Case: what is measured: a job on a model at a batch size, with or without XLA."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes:
        job: the name of the job.
        model: the name of the model in ``models.py``.
        batch: examples of a batch.
        jit: whether XLA compiles the steps, on all sides.
    """

    job: str
    model: str = "mlp"
    batch: int = 32
    jit: bool = False

    @property
    def label(self) -> str:
        """Says it for people."""
        return f"{self.model}, batch {self.batch}{', XLA' if self.jit else ''}"

    def as_json(self) -> dict[str, Any]:
        """Returns it as a mapping, from which ``Case(**mapping)`` makes it again."""
        return asdict(self)
