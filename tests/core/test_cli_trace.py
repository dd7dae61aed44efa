"""``expcore plugins trace``: the command runs as without it, and afterwards its calls of plugins are told."""

from __future__ import annotations

import importlib
import json
import os
import pty
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from expcore.testing import fake_distribution

trace = importlib.import_module("expcore.cli.trace")
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


def test_the_calls_can_be_written_to_a_file_so_that_stderr_is_the_commands(site):
    done = traced(site, "--output", "calls.json", "--format", "json", "--", sys.executable, "-c", ASKS)
    assert (done.returncode, done.stdout) == (9, "out\n")
    assert "exit_code" not in done.stderr
    assert json.loads((site / "calls.json").read_text())["exit_code"] == 9
    done = traced(site, "--output", "nowhere/calls", "--", sys.executable, "-c", "")
    assert done.returncode == 73
    assert "expcore: error: --output 'nowhere/calls'" in done.stderr


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
        # Not by print: a signal may come while the first one still flushes, within which no other may.
        "import os, signal, sys\n"
        "def end(n, _):\n"
        "    os.write(1, f'got {n}\\n'.encode())\n"
        "    sys.exit(7)\n"
        f"signal.signal({int(signum)}, end)\n"
        "os.write(1, b'ready\\n')\n"
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


@pytest.mark.parametrize(
    ("signum", "foreground", "handed_on"),
    [
        (signal.SIGINT, True, []),
        (signal.SIGINT, False, [signal.SIGINT]),
        (signal.SIGTERM, True, [signal.SIGTERM]),
    ],
)
def test_a_ctrl_c_that_the_terminal_sends_to_the_command_as_well_is_not_sent_twice(
    monkeypatch, signum, foreground, handed_on
):
    monkeypatch.setattr(trace, "_in_foreground", lambda: foreground)
    got = []
    before = signal.getsignal(signum)
    with trace._passing_signals() as pass_to:
        pass_to(SimpleNamespace(send_signal=got.append))
        os.kill(os.getpid(), signum)
    assert got == handed_on
    assert signal.getsignal(signum) is before


def test_a_signal_that_comes_before_the_command_has_started_is_handed_on_then(monkeypatch):
    monkeypatch.setattr(trace, "_in_foreground", lambda: False)
    got = []
    with trace._passing_signals() as pass_to:
        os.kill(os.getpid(), signal.SIGTERM)
        assert got == []
        pass_to(SimpleNamespace(send_signal=got.append))
        assert got == [signal.SIGTERM]
        os.kill(os.getpid(), signal.SIGTERM)
    assert got == [signal.SIGTERM] * 2


def test_a_signal_that_is_ignored_is_so_until_the_command_has_inherited_it(monkeypatch):
    monkeypatch.setattr(trace, "_in_foreground", lambda: False)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with trace._passing_signals() as pass_to:
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            pass_to(SimpleNamespace(send_signal=lambda _: None))
            assert signal.getsignal(signal.SIGHUP) != signal.SIG_IGN
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_a_terminal_the_command_gets_ctrl_c_and_may_end_as_it_likes(site):
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, lambda *_: sys.exit(7))\n"
        "print('ready', flush=True)\n"
        "while True: signal.pause()\n"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [*TRACE, "--", sys.executable, "-c", code], environ(site))
    said = b""
    while b"ready" not in said:
        said += os.read(terminal, 1000)
    os.write(terminal, b"\x03")
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 7


def test_a_wide_table_has_results_in_lines_of_their_own():
    rows = [("1", "expcore_failed()", "watch (d 1)", "0.1", "x" * 60), ("2", "a", "b", "0", "")]
    assert max(map(len, trace._fitting(rows, 120))) > 90
    assert trace._fitting(rows, 50) == [
        "#  WHAT              PLUGIN       MS",
        "1  expcore_failed()  watch (d 1)  0.1",
        "   " + "x" * 46 + "…",
        "2  a                 b            0",
    ]


def test_objects_are_told_by_their_class_and_look_ups_of_what_is_declared_are_counted_only():
    events = [
        {"event": "call", "hook": "expcore_hooks", "plugin": "d:hooks/x", "ms": 1.0, "result": "[]"},
        {
            "event": "call",
            "hook": "expcore_train_hooks",
            "plugin": "d:plugins/w",
            "dist": "d",
            "version": "1",
            "ms": 2.0,
            "result": "[<a.b.Guard object at 0x7f00>]",
        },
    ]
    assert trace._text(events, every=False) == [
        "#  WHAT                   PLUGIN   MS   RESULT",
        "1  expcore_train_hooks()  w (d 1)  2.0  [Guard]",
        "2 calls in 3.0 ms, 0 imports in 0.0 ms, 1 look-ups not shown (--all)",
    ]
    assert len(trace._text(events, every=True)) == 4
    long = {"event": "call", "hook": "h", "result": "[" + "x" * 199}
    assert trace._result(long).endswith("x…")


def test_a_line_that_was_cut_is_left_out(tmp_path):
    file = tmp_path / "calls"
    file.write_text('{"event": "call"}\n5\n{"event": "ca')
    assert trace._read(str(file)) == [{"event": "call"}]
    assert trace._read(str(tmp_path / "nowhere")) == []


def test_control_characters_of_a_plugin_are_escaped_in_the_table_and_in_the_file(site):
    (site / "red.py").write_text(
        "import json, os\n"
        "event = {'event': 'call', 'hook': 'h', 'plugin': 'd:plugins/\\x1b[31m', 'dist': 'd', 'ms': 1,\n"
        "         'result': '\\x1b[32m', 'error': None}\n"
        "open(os.environ['EXPCORE_TRACE_PLUGINS'], 'a').write(json.dumps(event) + chr(10))\n"
    )
    shown = traced(site, "--", sys.executable, "red.py").stderr
    traced(site, "--output", "calls.txt", "--", sys.executable, "red.py")
    for text in (shown, (site / "calls.txt").read_text()):
        assert "\x1b" not in text
        assert (r"\x1b[31m (d)" in text, r"\x1b[32m" in text) == (True, True)
