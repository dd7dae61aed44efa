"""``expcore plugins trace``: the command runs as without it, and afterwards its calls of plugins are told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from expcore.testing import fake_distribution

TRACE = [sys.executable, "-P", "-c", "from expcore.cli import main; main()", "plugins", "trace"]

ASKS = """
import sys
from expcore.host import PluginHost
host = PluginHost()
host.start()
host.load("hooks", "good")
host.notify("expcore_after_train", experiment=None, end=None)
print("out")
print("err", file=sys.stderr)
sys.exit(9)
"""


@pytest.fixture
def site(tmp_path):
    fake_distribution(
        tmp_path,
        "expcore-watch",
        "1.0.2",
        {"expcore.plugins": {"watch": "watch_mod"}, "expcore.hooks": {"good": "good_mod:X"}},
        {
            "watch_mod": "from expcore import hookimpl\n@hookimpl\n"
            "def expcore_after_train(end): raise KeyError('auc')\n",
            "good_mod": "class X: pass\n",
        },
    )
    return tmp_path


def environ(site):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EXPCORE_")}
    return {**clean, "PYTHONPATH": str(site)}


def traced(site, *args):
    return subprocess.run(
        [*TRACE, *args],
        env=environ(site),
        cwd=site,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_output_and_exit_code_are_the_commands_and_the_calls_come_after_on_stderr(site):
    done = traced(site, "--", sys.executable, "-c", ASKS)
    assert done.returncode == 9, done.stderr
    assert done.stdout == "out\n"
    before, _, after = done.stderr.partition("err\n")
    assert "WHAT" not in before
    head, *rows, total = after.splitlines()
    assert head.split() == ["#", "WHAT", "PLUGIN", "MS", "RESULT"]
    calls = [row.split() for row in rows]
    assert [row[:2] for row in calls if row[1] != "import"] == [[str(len(rows)), "expcore_after_train()"]]
    assert rows[-1].endswith("failed: KeyError: 'auc'")
    assert "watch (expcore-watch 1.0.2)" in rows[-1]
    assert any("import hooks/good" in row and "expcore-watch 1.0.2" in row for row in rows)
    assert total.startswith("1 calls in ")
    assert total.endswith("1 failed")


def test_as_json_every_event_is_there_with_the_exit_code(site):
    done = traced(site, "--format", "json", "--", sys.executable, "-c", ASKS)
    told = json.loads(done.stderr.partition("err\n")[2])
    assert told["exit_code"] == 9
    assert [e["hook"] for e in told["events"] if e["event"] == "call"] == ["expcore_after_train"]
    assert {"plugins/watch", "hooks/good"} <= {
        e["component"] for e in told["events"] if e["event"] == "import"
    }


def test_options_of_the_command_are_its_own(site):
    done = traced(site, sys.executable, "-c", "import sys; print(sys.argv[1:])", "--format", "json", "--help")
    assert done.stdout == "['--format', 'json', '--help']\n"
    assert done.stderr == "expcore: no plugin was called\n"


def test_nothing_is_left_behind_and_the_file_is_a_temporary_one(site):
    done = traced(site, "--", sys.executable, "-c", "import os; print(os.environ['EXPCORE_TRACE_PLUGINS'])")
    assert not os.path.exists(os.path.dirname(done.stdout.strip()))


def test_a_command_that_is_not_there_is_wrong_usage(site):
    done = traced(site, "--", "no-such-command-at-all")
    assert done.returncode == 64
    assert "'no-such-command-at-all': it cannot be started" in done.stderr
    assert traced(site).returncode == 64


def test_a_command_that_is_killed_ends_with_128_and_the_signal(site):
    done = traced(site, "--", sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")
    assert done.returncode == 137


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_the_command_which_may_end_as_it_likes(site, signum):
    code = (
        "import signal, sys\n"
        "def end(n, _):\n"
        "    print('got', n, flush=True)\n"
        "    sys.exit(7)\n"
        f"signal.signal({int(signum)}, end)\n"
        "print('ready', flush=True)\n"
        "while True: signal.pause()\n"
    )
    process = subprocess.Popen(
        [*TRACE, "--", sys.executable, "-c", code],
        env=environ(site),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # no terminal, so that nobody else hands the signal on
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signum)
    out, err = process.communicate(timeout=60)
    assert out == f"got {int(signum)}\n"
    assert process.returncode == 7
    assert "no plugin was called" in err
