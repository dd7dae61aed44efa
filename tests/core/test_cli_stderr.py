"""Exit codes are those that commands mean, also where nobody takes what they say on stderr."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODES = {
    "plugins list": 0,
    "run nothing.py --output-dir runs": 64,
    "no-such-command": 64,
    "run --no-such-option": 64,
    "run raises.py:experiment_fn --output-dir runs": 70,
}


@pytest.mark.parametrize("unbuffered", ["", "1"])  # what is not taken is kept by Python or is not
@pytest.mark.parametrize("to", ["2>&-", "2>/dev/full", "2>&1 >/dev/null | true"])
@pytest.mark.parametrize("command", CODES)
def test_exit_codes_hang_on_nobody_who_reads(tmp_path, monkeypatch, command, to, unbuffered):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    (tmp_path / "raises.py").write_text("def experiment_fn(output_dir):\n    raise RuntimeError('its own')\n")
    line = f"{sys.executable} -P -m expcore.cli {command} {to}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert (done.returncode, done.stderr) == (CODES[command], "")
