"""Starting the installed command: what it imports, and what it leaves alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from expcore.testing import fake_distribution

pytestmark = pytest.mark.e2e

EXPCORE = Path(sys.executable).with_name("expcore")
HEAVY = {"tensorflow", "keras", "numpy", "pydantic", "yaml", "tqdm", "sklearn"}


def started(*args, cwd, path=""):
    """Runs the command and returns what it did, and the names of all modules that it imported."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", EXPCORE, *args],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    imported = {line.rpartition("|")[2].strip() for line in lines}
    assert "expcore.cli.main" in imported, done.stderr
    return done, imported


def tops(imported):
    return {name.partition(".")[0] for name in imported}


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["--version"],
        ["run", "--help"],
        ["plugins", "--help"],
        ["plugins", "list"],
        ["plugins", "list", "--format", "json"],
        ["plugins", "list", "--kind", "hooks", "--dist", "expcore", "--status", "active"],
        ["plugins", "why", "exporters/best"],
        ["plugins", "show", "expcore"],
        ["plugins", "check", "expcore"],
        ["plugins", "trace", "--help"],
        ["doctor"],
    ],
    ids=" ".join,
)
def test_a_meta_command_imports_nothing_heavy_and_no_plugin(args, tmp_path):
    done, imported = started(*args, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert tops(imported) & {*HEAVY, "expcore_plugins"} == set()


def test_listing_does_not_import_a_strangers_plugin(tmp_path):
    fake_distribution(
        tmp_path / "site",
        "heavy-stranger",
        "7.1",
        {
            "expcore.exporters": {"heavy": "heavy_stranger_mod:Heavy"},
            "expcore.plugins": {"watcher": "heavy_stranger_mod"},
        },
        {"heavy_stranger_mod": "raise AssertionError('was imported')\n"},
    )
    done, imported = started("plugins", "list", cwd=tmp_path, path=tmp_path / "site")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if "heavy-stranger" in line]
    assert rows == [
        ["exporters", "heavy", "heavy-stranger", "7.1", "active", "heavy_stranger_mod:Heavy"],
        ["plugins", "watcher", "heavy-stranger", "7.1", "active", "heavy_stranger_mod"],
    ]
    assert "heavy_stranger_mod" not in imported


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["plugins", "why", "exporters/heavy"], 0),
        (["plugins", "show", "heavy-stranger"], 0),
        (["plugins", "check", "heavy-stranger"], 0),
        (["doctor"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_explaining_and_checking_a_strangers_plugin_reads_its_file_and_does_not_import_it(
    args, code, tmp_path
):
    fake_distribution(
        tmp_path / "site",
        "heavy-stranger",
        "7.1",
        {"expcore.exporters": {"heavy": "heavy_stranger_mod:Heavy"}},
        {
            "heavy_stranger_mod": "import tensorflow\n"
            "class Heavy:\n"
            "    def write(self, estimator, directory, checkpoint_path=None): pass\n"
        },
    )
    done, imported = started(*args, cwd=tmp_path, path=tmp_path / "site")
    assert done.returncode == code, done.stdout + done.stderr
    assert tops(imported) & {*HEAVY, "expcore_plugins", "heavy_stranger_mod"} == set()
    assert "heavy" in done.stdout


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["run", "nowhere.py", "--output-dir", "out"], 64),
        (["run", "nowhere.py", "--output-dir", f"{EXPCORE}/out"], 73),
        (["run", "nowhere.py", "--output-dir", "out", "--use", "best=x"], 64),
    ],
    ids=["missing file", "directory below a file", "wrong choice"],
)
def test_what_is_wrong_on_the_command_line_is_told_before_anything_heavy_is_imported(args, code, tmp_path):
    done, imported = started(*args, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert "expcore: error: " in done.stderr
    assert tops(imported) & {"tensorflow", "keras", "numpy", "expcore_plugins"} == set()
    assert list(tmp_path.iterdir()) == []
