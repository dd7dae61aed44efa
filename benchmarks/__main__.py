"""The command: measures, writes results.json, and makes docs/performance.md of it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench
from benchmarks.case import Case
from benchmarks.environments import FOLDER, ROOT
from benchmarks.jobs import BATCHES, JOBS, MODELS, cases
from benchmarks.page import page
from benchmarks.size import FULL, QUICK

RESULTS = ROOT / "benchmarks" / "results.json"
EVERY_MODEL = (*MODELS, "wide")
PAGE = ROOT / "docs" / "performance.md"


def arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--jobs", default=",".join(JOBS), help="which, by comma; all: %(default)s")
    parser.add_argument("--models", help=f"which, of {','.join(EVERY_MODEL)}; all, or mlp if quick")
    parser.add_argument("--batches", help=f"of steady, of {','.join(map(str, BATCHES))}; all, or 32 if quick")
    parser.add_argument("--rounds", type=int, help="turns of each peer")
    parser.add_argument("--quick", action="store_true", help="a few minutes, to see that all works")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the samples are: %(default)s")
    parser.add_argument("--output", type=Path, default=PAGE, help="where the page is: %(default)s")
    parser.add_argument("--add", action="store_true", help="keep the other cases that the results have")
    parser.add_argument("--page", action="store_true", help="measure nothing, make the page again")
    given = parser.parse_args()
    given.models = given.models or ("mlp" if given.quick else ",".join(EVERY_MODEL))
    given.batches = given.batches or ("32" if given.quick else ",".join(map(str, BATCHES)))
    unknown = set(given.jobs.split(",")) - set(JOBS)
    if unknown:
        parser.error(f"there are no jobs {sorted(unknown)}; there are {', '.join(JOBS)}")
    return given


def measure(given: argparse.Namespace) -> None:
    """Measures all cases that were asked for, and writes the results after each."""
    FOLDER.mkdir(exist_ok=True)
    todo = cases(given.jobs.split(","), given.models.split(","), list(map(int, given.batches.split(","))))
    size = (QUICK if given.quick else FULL).with_rounds(given.rounds)
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix="run-") as folder:
        bench = Bench(Path(folder), size)
        bench.make_environments()
        results = {
            "machine": {"cores": os.cpu_count(), "system": platform.system(), "kind": platform.machine()},
            "versions": bench.versions(),
            "quick": given.quick,
            "measurements": _kept(given.results) if given.add else [],
        }
        for n, case in enumerate(todo, 1):
            found = _measured(bench, case, n, len(todo))
            results["measurements"] = in_order([*results["measurements"], found])
            given.results.write_text(json.dumps(results, indent=1) + "\n")


def _kept(results: Path) -> list[dict[str, Any]]:
    return json.loads(results.read_text())["measurements"] if results.exists() else []


def in_order(measurements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the last measurement of each case, in the order of the jobs."""
    last = {tuple(m["case"].values()): m for m in measurements}
    return sorted(last.values(), key=lambda m: list(JOBS).index(m["case"]["job"]))


def _measured(bench: Bench, case: Case, n: int, of: int) -> dict[str, Any]:
    bench.say(f"[{n}/{of}] {case.job}: {case.label}")
    try:
        found = JOBS[case.job](bench, case)
    except Exception:
        kept = FOLDER / "failed.log"
        kept.write_bytes(bench.log.read_bytes() if bench.log.exists() else b"")
        bench.say(f"what the processes printed is in {kept}")
        raise
    found.size = vars(bench.size)
    return found.as_json()


def main() -> int:
    """Measures, unless only the page is asked for, and writes the page."""
    given = arguments()
    if not given.page:
        measure(given)
    given.output.write_text(page(json.loads(given.results.read_text())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
