"""Size: how much is measured; the full size is what docs/performance.md is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Size:
    """Numbers of a run.

    Attributes:
        rounds: turns of each peer.
        secs: length of a round of training, roughly.
        cycles: of the interleaved job in a round.
        slow_cycles: the same for tf.estimator, which takes ten times as long.
        starts: new processes of each peer.
        saves: checkpoints that an evaluator follows.
        follows: turns of that.
        profiles: of the job that says where the time goes.
        short_cycles: of the job that watches the memory.
        calls: whose overhead is measured, in a round.
    """

    rounds: int = 5
    secs: float = 0.7
    cycles: int = 50
    slow_cycles: int = 8
    starts: int = 5
    saves: int = 10
    follows: int = 2
    profiles: int = 2
    short_cycles: int = 5000
    calls: int = 1000

    def with_rounds(self, rounds: int | None) -> Size:
        """Returns it with another number of turns; None: as it is."""
        return self if rounds is None else replace(self, rounds=rounds, starts=rounds)


FULL = Size()
QUICK = Size(
    rounds=2,
    secs=0.1,
    cycles=4,
    slow_cycles=2,
    starts=1,
    saves=4,
    follows=1,
    profiles=1,
    short_cycles=200,
    calls=100,
)
