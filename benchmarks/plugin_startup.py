"""Start-up with 200 distributions and 50 plugins installed, one of which imports TensorFlow when registered.

Run as ``python benchmarks/plugin_startup.py``. Each command is timed beside ``python -c "import argparse"``,
turn by turn, so that a busy machine slows both; what counts is the ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from expcore.testing import fake_distribution

EXPCORE = Path(sys.executable).with_name("expcore")
BASE = [sys.executable, "-c", "import argparse"]
COMMANDS = {
    "--version": ["--version"],
    "--help": ["--help"],
    "plugins list": ["plugins", "list"],
    "plugins why": ["plugins", "why", "exporters/best"],
    "plugins check": ["plugins", "check", "expcore"],
    "doctor": ["doctor"],
}
KINDS = ("exporters", "hooks", "predicates", "schedules", "estimators")


def install(site: Path, dists: int, plugins: int) -> None:
    """Writes distributions, of which the first ``plugins`` provide one component each."""
    for n in range(plugins):
        name, kind = f"expcore_stranger_{n:02}", KINDS[n % len(KINDS)]
        entries = {f"expcore.{kind}": {f"stranger_{n:02}": f"{name}:make"}}
        code = "def make():\n    return None\n"
        if n in (1, 2):
            entries["expcore.exporters"] = {"best": f"{name}:make"}  # so that they are in conflict
        if n == 0:
            entries["expcore.plugins"] = {"heavy": name}
            code = "import tensorflow\n" + code
        fake_distribution(site, name, "1.0", entries, {name: code})
    for n in range(dists - plugins):
        name = f"other_{n:03}"
        fake_distribution(site, name, "1.0", {"console_scripts": {name: f"{name}:main"}}, {name: ""})


def timed(command: list[str], environ: dict[str, str], cwd: str) -> float:
    """Returns the wall time of a command in milliseconds."""
    start = time.perf_counter()
    done = subprocess.run(command, env=environ, cwd=cwd, capture_output=True, text=True, check=False)
    taken = (time.perf_counter() - start) * 1000
    if done.returncode not in (0, 1) or "Traceback" in done.stderr:
        raise SystemExit(f"{command}: {done.returncode}\n{done.stderr}")
    return taken


def measure(environ: dict[str, str], cwd: str, repeats: int) -> dict[str, list[float]]:
    """Returns the times of every command, and of the base, taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in ("base", *COMMANDS)}
    for _ in range(repeats):
        times["base"].append(timed(BASE, environ, cwd))
        for name, words in COMMANDS.items():
            times[name].append(timed([str(EXPCORE), *words], environ, cwd))
    return times


def main() -> None:
    """Measures without and with the plugins, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--dists", type=int, default=200)
    parser.add_argument("--plugins", type=int, default=50)
    parser.add_argument("--json", action="store_true", help="print the times as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        install(Path(folder, "site"), given.dists, given.plugins)
        bare = {k: v for k, v in os.environ.items() if not k.startswith(("EXPCORE_", "PYTHONPATH"))}
        full = {**bare, "PYTHONPATH": str(Path(folder, "site"))}
        for environ in (bare, full):
            measure(environ, folder, 1)  # writes what Python compiles
        found = {"bare": measure(bare, folder, given.repeats), "full": measure(full, folder, given.repeats)}
    if given.json:
        print(json.dumps(found))
        return
    print(f"{'':16}{'none installed':>24}{given.plugins:>14} plugins of {given.dists} distributions")
    print(f"{'':16}{'min':>8}{'median':>8}{'x base':>8}{'min':>12}{'median':>8}{'x base':>8}   milliseconds")
    for name in ("base", *COMMANDS):
        row = f"{name:16}"
        for width, times in ((8, found["bare"]), (12, found["full"])):
            low, middle = min(times[name]), statistics.median(times[name])
            row += f"{low:{width}.0f}{middle:8.0f}{low / min(times['base']):8.1f}"
        print(row)


if __name__ == "__main__":
    main()
