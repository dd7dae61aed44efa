"""The jobs: how each is measured, and on which cases."""

from __future__ import annotations

import json
import time

from benchmarks import remote
from benchmarks.bench import CLUSTER, Bench, Job
from benchmarks.case import Case
from benchmarks.measurement import Measurement
from benchmarks.turns import fixed, steps_by_pace, take_turns

MODELS = ("mlp", "conv", "embedding", "transformer")
BATCHES = (32, 512)
_WARM_SAVES = 2  # whose evaluation includes tracing

_PROCESS_PEERS = {
    "start": {
        "loop, fused": "main",
        "fit": "main",
        "orbit": "main",
        "expcore": "main",
        "expcore, Experiment": "main",
        "tf.estimator": "estimator",
    },
    "follow": {"checkpoints_iterator": "main", "orbit": "main", "expcore": "main"},
}
"""The environment of each peer of the jobs that start processes."""


def steady(bench: Bench, case: Case) -> Measurement:
    """Trains on and on."""
    return take_turns(bench, case, "step", steps_by_pace("loop, fused, metrics", bench.size.secs))


def interleaved(bench: Bench, case: Case) -> Measurement:
    """Cycles of 100 steps, an evaluation of 10 batches, and a checkpoint."""

    def units(peer: str) -> int:
        return bench.size.slow_cycles if peer.startswith("tf.estimator") else bench.size.cycles

    return take_turns(bench, case, "cycle", fixed(units))


def hooks(bench: Bench, case: Case) -> Measurement:
    """Training with ten hooks or callbacks and without."""
    return take_turns(bench, case, "step", steps_by_pace("fit, 10, no callback", bench.size.secs))


def together(bench: Bench, case: Case) -> Measurement:
    """Trains on and on in two processes, which make each step together, and in one."""
    units = steps_by_pace("strategy loop, data of its own", 3 * bench.size.secs)
    return take_turns(bench, case, "step", units, ("main", CLUSTER))


def logging(bench: Bench, case: Case) -> Measurement:
    """Training with log lines and a progress bar and without."""
    return take_turns(bench, case, "step", steps_by_pace("fit, 10, silent", bench.size.secs))


def overhead(bench: Bench, case: Case) -> Measurement:
    """What expcore adds to a compiled call."""
    return take_turns(bench, case, "call", fixed(lambda _: bench.size.calls))


def few(bench: Bench, case: Case) -> Measurement:
    """Exports and restores."""
    return take_turns(bench, case, "time", fixed(lambda _: 4))


def start(bench: Bench, case: Case) -> Measurement:
    """New processes, from their start to the end of the first step."""
    found = Measurement(case, "start")
    _write_data(bench, case)
    given = json.dumps(case.as_json())
    for n in range(bench.size.starts + 1):
        for peer, environment in _PROCESS_PEERS["start"].items():
            if environment not in bench.environments:
                found.left_out[peer] = bench.unavailable[environment]
                continue
            began = time.time()
            words = (peer, given, str(bench.data), bench.place())
            done = remote.run(bench.environments[environment], "start", *words, log=bench.log)
            if n > 0:  # the first start reads the files from the disk
                found.samples.setdefault(peer, []).append(done - began)
    return found


def follow(bench: Bench, case: Case) -> Measurement:
    """An evaluator beside a trainer: from a checkpoint's being there to the end of its evaluation."""
    found = Measurement(case, "checkpoint")
    _write_data(bench, case)
    for _ in range(bench.size.follows):
        for peer in _PROCESS_PEERS["follow"]:
            found.samples.setdefault(peer, []).extend(_lags(bench, case, peer))
    return found


def _lags(bench: Bench, case: Case, peer: str) -> list[float]:
    own = bench.place()
    words = (peer, json.dumps(case.as_json()), str(bench.size.saves), str(bench.data), own)
    trainer, evaluator = (
        remote.begin(bench.environments["main"], "follow", role, *words, log=bench.log)
        for role in ("train", "evaluate")
    )
    saved, evaluated = remote.result(trainer), remote.result(evaluator)
    return [evaluated[step] - at for step, at in list(saved.items())[_WARM_SAVES:] if step in evaluated]


def cycles(bench: Bench, case: Case) -> Measurement:
    """Thousands of short cycles: the samples are points of a curve."""
    found = Measurement(case, "cycle")
    for kind in ("estimator", "Experiment"):
        words = (kind, json.dumps(case.as_json()), str(bench.size.short_cycles), str(bench.data))
        found.samples[f"expcore, {kind}"] = remote.run(
            bench.environments["main"], "cycles", *words, bench.place(), log=bench.log
        )
    return found


def spent(bench: Bench, case: Case) -> Measurement:
    """Where the time of the interleaved job goes."""
    found = Measurement(case, "part")
    _write_data(bench, case)
    for _ in range(bench.size.profiles):
        for name, beside in (("expcore", "at-once"), ("expcore, saving beside", "beside")):
            words = (json.dumps(case.as_json()), beside, str(bench.size.cycles), str(bench.data))
            parts = remote.run(bench.environments["main"], "spent", *words, bench.place(), log=bench.log)
            found.samples.setdefault(name, []).append(parts)
    return found


def _write_data(bench: Bench, case: Case) -> None:
    worker = bench.remote("main")
    worker.ask("data", case=case.as_json(), folder=str(bench.data))
    worker.close()


JOBS: dict[str, Job] = {
    "steady": steady,
    "interleaved": interleaved,
    "spent": spent,
    "start": start,
    "export": few,
    "restore": few,
    "follow": follow,
    "hooks": hooks,
    "logging": logging,
    "together": together,
    "cycles": cycles,
    "overhead": overhead,
}
"""In the order in which they are done."""


def cases(jobs: list[str], models: list[str], batches: list[int]) -> list[Case]:
    """Returns the cases of these jobs; models and batches choose among those of a job that has several."""
    every = [Case("steady", model, batch) for model in MODELS for batch in BATCHES]
    every += [Case("steady", "mlp", batch, jit=True) for batch in BATCHES]
    every += [Case("interleaved"), Case("interleaved", jit=True)]
    every += [Case("spent"), Case("spent", jit=True), Case("start"), Case("follow")]
    every += [Case(job, model) for job in ("export", "restore") for model in ("mlp", "wide")]
    every += [Case("hooks"), Case("logging"), Case("cycles", "tiny"), Case("overhead", "tiny")]
    every += [
        Case("together", model, batch) for model, batch in (("mlp", 32), ("conv", 512), ("transformer", 512))
    ]
    several = {job for job in JOBS if len({c.model for c in every if c.job == job}) > 1}
    chosen = [c for c in every if c.job in jobs and (c.job not in several or c.model in models)]
    return sorted(
        (c for c in chosen if c.job != "steady" or c.batch in batches), key=lambda c: list(JOBS).index(c.job)
    )
