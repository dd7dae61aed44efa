"""The command line: what it prints, what it ends with, and what it does not import."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from expcore.cli import main
from expcore.cli.main import told
from expcore.cli.run import newest_exports, summary
from expcore.cli.streams import ProgressBarHandler, logging_to_stderr
from expcore.errors import ExpcoreError
from expcore.host import default_host, set_default_host
from expcore.testing import fake_distribution
from expcore.types import Export

EXPERIMENT = """
    import numpy as np
    from expcore import Experiment
    from expcore.testing.numpy_estimator import NumpyEstimator

    def data():
        x = np.random.default_rng(0).normal(size=(32, 3))
        while True:
            yield x, x @ [1.0, 2.0, 3.0]

    def experiment(output_dir):
        return Experiment(NumpyEstimator(output_dir), data, data, train_steps=20, eval_steps=2)
"""


@pytest.fixture(autouse=True)
def as_before(tmp_path):
    """Gives back what the command sets for its process: environment, path, modules, default host."""
    environ, path, modules, host = dict(os.environ), list(sys.path), set(sys.modules), set_default_host(None)
    for name in [n for n in os.environ if n.startswith(("EXPCORE_", "TF_"))]:
        del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(environ)
    sys.path[:] = path
    set_default_host(host)
    for name in set(sys.modules) - modules:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(tmp_path)):
            del sys.modules[name]


def invoke(*args):
    return CliRunner().invoke(main, [str(a) for a in args])


def written(folder, source=EXPERIMENT, name="exp_of_cli_test.py"):
    path = folder / name
    path.write_text(textwrap.dedent(source))
    return path


def run(tmp_path, source=EXPERIMENT, *args, name="exp_of_cli_test.py"):
    return invoke("run", written(tmp_path, source, name), "--output-dir", tmp_path / "out", *args)


def error_line(result):
    """The one line of an error; nothing else was printed, no traceback above all."""
    assert "Traceback" not in result.output
    (line,) = [each for each in result.stderr.splitlines() if each.startswith("expcore: error: ")]
    return line.removeprefix("expcore: error: ")


# --- running ------------------------------------------------------------------------------------------


def test_a_python_file_is_run_and_summed_up_in_one_line(tmp_path):
    result = run(tmp_path)
    assert result.exit_code == 0, result.output
    out = tmp_path / "out"
    (line,) = result.stdout.splitlines()
    assert line.startswith("done; step 20: loss=")
    assert line.endswith(f"; everything is in {out}")
    assert (out / "expcore" / "run.json").exists()


def test_the_schedule_can_be_named(tmp_path):
    result = run(tmp_path, EXPERIMENT, "--schedule", "train")
    assert result.exit_code == 0, result.output
    assert "done; checkpoint" in result.stdout
    result = run(tmp_path, EXPERIMENT, "--schedule", "evaluate")
    assert "done; step 20: loss=" in result.stdout


def test_another_function_of_the_file_can_be_named(tmp_path):
    path = written(tmp_path, EXPERIMENT.replace("def experiment(", "def other("))
    result = invoke("run", f"{path}:other", "--output-dir", tmp_path / "out")
    assert result.exit_code == 0, result.output


def test_modules_beside_the_file_can_be_imported(tmp_path):
    written(tmp_path, "STEPS = 7\n", name="beside_cli_test.py")
    source = EXPERIMENT.replace("import numpy as np", "import numpy as np; from beside_cli_test import STEPS")
    result = run(tmp_path, source.replace("train_steps=20", "train_steps=STEPS"))
    assert "done; step 7" in result.stdout, result.output


def test_a_file_with_the_name_of_a_library_does_not_replace_it(tmp_path):
    result = run(tmp_path, EXPERIMENT, name="json.py")
    assert result.exit_code == 0, result.output
    assert sys.modules["json"] is json


def test_a_dataclass_in_the_file_finds_its_module(tmp_path):
    source = """
    from __future__ import annotations
    from dataclasses import dataclass
    @dataclass
    class Needs:
        module: int
    """
    result = run(tmp_path, source + EXPERIMENT)
    assert result.exit_code == 0, result.output


def test_a_config_is_run_with_its_schedule_and_the_schedules_options(tmp_path):
    fake_distribution(
        tmp_path,
        "cli-estimators",
        "1",
        {"expcore.estimators": {"numpy": "cli_estimators_mod:make"}},
        {
            "cli_estimators_mod": "from expcore.testing.numpy_estimator import NumpyEstimator\n"
            "def make(config=None, model_dir=None):\n"
            "    return NumpyEstimator(model_dir or config.model_dir, config=config)\n"
        },
    )
    sys.path.insert(0, str(tmp_path))
    written(tmp_path, EXPERIMENT, name="data_of_cli_test.py")
    config = tmp_path / "exp.yaml"
    config.write_text(
        "estimator: {type: numpy}\n"
        "train_input_fn: ./data_of_cli_test.py:data\n"
        "eval_input_fn: ./data_of_cli_test.py:data\n"
        "train_steps: 20\n"
        "eval_steps: 2\n"
        "schedule: {type: evaluate, name: mine}\n"
    )
    args = ("run", config, "--output-dir", tmp_path / "out")
    result = invoke(*args)
    assert result.exit_code == 64
    assert "allow" in error_line(result)
    result = invoke(*args, "--allow-imports", "--schedule", "train")
    assert result.exit_code == 0, result.output
    result = invoke(*args, "--allow-imports")
    assert result.exit_code == 0, result.output
    log = "".join(p.read_text() for p in (tmp_path / "out" / "expcore").glob("events-*.jsonl"))
    assert '"mine"' in log


# --- choices ------------------------------------------------------------------------------------------


def test_choices_reach_the_default_host_before_anything_discovers_plugins(tmp_path):
    os.environ["EXPCORE_USE"] = "hooks/nan_guard=expcore"
    os.environ["EXPCORE_DISABLE"] = "exporters/best"
    args = ("--use", "exporters/latest=expcore", "-p", "no:exporters/final", "-p", "no:hooks/summaries")
    run(tmp_path, "from expcore.host import default_host\nHOST = default_host()\n", *args)
    assert os.environ["EXPCORE_USE"] == "hooks/nan_guard=expcore,exporters/latest=expcore"
    assert os.environ["EXPCORE_DISABLE"] == "exporters/best,exporters/final,hooks/summaries"
    blocked = {row.name for row in default_host().statuses() if row.status == "blocked"}
    assert blocked == {"best", "final", "summaries"}
    assert default_host().explain("exporters", "latest").rule == "choice"


def test_choices_count_also_where_the_process_has_a_host_already(tmp_path):
    before = default_host()
    run(tmp_path, EXPERIMENT, "-p", "no:exporters/final")
    assert default_host() is not before


def test_no_plugins_means_built_ins_only(tmp_path):
    os.environ["EXPCORE_ALLOW"] = "somebody"
    run(tmp_path, EXPERIMENT, "--no-plugins")
    assert os.environ["EXPCORE_ALLOW"] == ""
    assert {row.provider for row in default_host().statuses() if row.status == "active"} == {"expcore"}


def test_a_server_has_to_be_allowed(tmp_path):
    run(tmp_path)
    assert "EXPCORE_ALLOW_SERVER" not in os.environ
    run(tmp_path, EXPERIMENT, "--allow-server")
    assert os.environ["EXPCORE_ALLOW_SERVER"] == "1"


def test_tensorflow_is_made_quiet_unless_told_otherwise(tmp_path):
    run(tmp_path)
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "2"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
    run(tmp_path)
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"


# --- bad input ----------------------------------------------------------------------------------------


def test_a_missing_file_is_told_with_the_nearest(tmp_path):
    path = written(tmp_path)
    result = invoke("run", str(path).replace("exp_of", "ex_of"), "--output-dir", tmp_path / "out")
    assert result.exit_code == 64
    assert "there is no such file; did you mean 'exp_of_cli_test.py'?" in error_line(result)


def test_a_folder_or_a_file_of_another_kind_is_refused(tmp_path):
    result = invoke("run", tmp_path, "--output-dir", tmp_path / "out")
    assert (result.exit_code, "it is a folder" in error_line(result)) == (64, True)
    result = run(tmp_path, "", name="notes.txt")
    assert (result.exit_code, "must end with .py" in error_line(result)) == (64, True)


def test_a_wrong_function_name_is_told_with_the_nearest(tmp_path):
    result = invoke("run", f"{written(tmp_path)}:experimant", "--output-dir", tmp_path / "out")
    assert result.exit_code == 64
    assert "it has no function 'experimant'; did you mean 'experiment'?" in error_line(result)


def test_a_file_without_the_function_says_what_to_write(tmp_path):
    result = run(tmp_path, "import os\ndef build(output_dir): pass\n")
    assert result.exit_code == 64
    line = error_line(result)
    assert "it has no function 'experiment'" in line
    assert "it has 'build'; write def experiment(output_dir)" in line


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("experiment = 5\n", "'experiment' is int, not a function"),
        ("def experiment(): pass\n", "experiment() does not take output_dir"),
        ("def experiment(output_dir): return 5\n", "did not return an Experiment"),
    ],
)
def test_a_function_that_is_none_or_gives_no_experiment_is_refused(tmp_path, source, part):
    result = run(tmp_path, source)
    assert result.exit_code == 64
    assert part in error_line(result)


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("x = 1\ny = undefined_name\n", "line 2: NameError: name 'undefined_name' is not defined"),
        ("x = 1\n\nimport json\njson.loads('{')\n", "line 4: JSONDecodeError"),
        ("x = 1\ndef f(:\n", "line 2: SyntaxError"),
        ("import sys\nsys.exit(0)\n", "line 2: SystemExit"),
    ],
)
def test_a_failure_inside_the_file_is_one_line_with_its_place(tmp_path, source, part):
    result = run(tmp_path, source)
    assert result.exit_code == 64
    assert part in error_line(result)
    assert "exp_of_cli_test.py" in error_line(result)


def test_debug_shows_the_traceback_of_such_a_failure(tmp_path):
    result = run(tmp_path, "y = undefined_name\n", "--debug")
    assert result.exit_code == 64
    assert "Traceback" in result.stderr
    assert "NameError" in result.stderr


def test_an_unknown_schedule_is_told_with_the_nearest(tmp_path):
    result = run(tmp_path, EXPERIMENT, "--schedule", "tarin")
    assert result.exit_code == 64
    assert "'tarin'; did you mean 'train'?" in error_line(result)


def test_an_output_directory_that_cannot_be_written_is_told_before_the_file_is_read(tmp_path):
    (tmp_path / "file").write_text("")
    path = written(tmp_path, "raise AssertionError('was read')\n")
    result = invoke("run", path, "--output-dir", tmp_path / "file" / "sub")
    assert result.exit_code == 73
    assert "is not a folder" in error_line(result)
    result = invoke("run", path, "--output-dir", "")
    assert (result.exit_code, "is empty" in error_line(result)) == (64, True)


@pytest.mark.parametrize(
    "args",
    [
        ("run", "x.py"),
        ("run",),
        ("nonsense",),
        ("--nonsense",),
        ("run", "x.py", "--output-dir", "o", "--nonsense"),
        ("run", "x.py", "--output-dir", "o", "-p", "best"),
        ("run", "x.py", "--output-dir", "o", "-p", "no:"),
        ("run", "x.py", "--output-dir", "o", "-q", "-v"),
        ("plugins", "list", "--format", "xml"),
    ],
)
def test_wrong_usage_ends_with_64_and_says_how(args):
    result = invoke(*args)
    assert result.exit_code == 64
    (line,) = result.stderr.splitlines()
    assert line.startswith("expcore: error: ")
    assert "Traceback" not in result.output


def test_an_output_directory_that_turns_out_unwritable_is_one_line_too(tmp_path):
    result = invoke("run", written(tmp_path), "--output-dir", "/proc/nowhere/out")
    assert result.exit_code == 73
    assert "output directory '/proc/nowhere/out': " in error_line(result)


def test_a_choice_of_a_wrong_form_is_told_before_the_file_is_read(tmp_path):
    result = run(tmp_path, "raise AssertionError('was read')\n", "--use", "best=dist")
    assert result.exit_code == 64
    assert "exporters/best" in error_line(result)


def test_a_plugin_that_cannot_be_imported_ends_with_70_and_one_line(tmp_path):
    source = """
    from expcore.host import default_host
    def experiment(output_dir):
        default_host().load("hooks", "sick")
    """
    fake_distribution(tmp_path, "cli-sick", "2", {"expcore.hooks": {"sick": "cli_sick_mod:Sick"}})
    sys.path.insert(0, str(tmp_path))
    result = run(tmp_path, source)
    assert result.exit_code == 70
    assert error_line(result).startswith("hook 'sick' (cli-sick 2): import failed: ModuleNotFoundError")


def test_any_other_exception_ends_with_70_and_a_traceback(tmp_path):
    result = run(tmp_path, "def experiment(output_dir):\n    raise KeyError('x')\n")
    assert result.exit_code == 70
    assert "Traceback" in result.stderr
    assert "expcore: error: KeyError: 'x'; this is a fault" in result.stderr


def test_a_code_given_to_sys_exit_while_running_is_kept(tmp_path):
    assert run(tmp_path, "import sys\ndef experiment(output_dir):\n    sys.exit(9)\n").exit_code == 9


def test_notes_are_told_in_brackets_on_the_same_line():
    error = ExpcoreError("one\n  two")
    error.add_note("first\nnote")
    error.add_note("second")
    assert told(error) == "one; two (first note; second)"
    assert told(KeyError(), kind=True) == "KeyError"


def test_no_news_ends_with_124_after_the_summary(tmp_path):
    fake_distribution(
        tmp_path,
        "cli-waiting",
        "1",
        {"expcore.schedules": {"waiting": "cli_waiting_mod:waiting"}},
        {
            "cli_waiting_mod": "from expcore.errors import NoNews\n"
            "def waiting(experiment):\n"
            "    raise NoNews('nothing new for 5 s', {'loss': 0.5, 'global_step': 3})\n"
        },
    )
    sys.path.insert(0, str(tmp_path))
    result = run(tmp_path, EXPERIMENT, "--schedule", "waiting")
    assert result.exit_code == 124, result.output
    assert "nothing new for 5 s" in result.stderr
    assert result.stdout.startswith("done; step 3: loss=0.5; ")


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_run_with_its_code_and_says_that_the_state_is_saved(tmp_path, signum, code):
    source = EXPERIMENT.replace(
        "return Experiment(NumpyEstimator(output_dir), data, data,",
        "return Experiment(NumpyEstimator(output_dir), data, data, train_hooks=[Kill()],",
    )
    source += f"""
    class Kill:
        def next_step(self, step):
            return 5 if step < 5 else None
        def after_steps(self, run):
            import os
            if run.step == 5:
                os.kill(os.getpid(), {int(signum)})
    """
    result = run(tmp_path, source)
    assert result.exit_code == code, result.output
    assert f"expcore: stopped by {signal.Signals(signum).name}; the same command goes on" in result.stderr
    assert list((tmp_path / "out").glob("ckpt-*"))


def test_an_interrupt_before_the_run_ends_with_130(tmp_path):
    result = run(tmp_path, "raise KeyboardInterrupt\n")
    assert result.exit_code == 130
    assert "expcore: interrupted" in result.stderr
    assert "Traceback" not in result.stderr


# --- the log ------------------------------------------------------------------------------------------


SPEAKING = """
    import logging
    def experiment(output_dir):
        for logger in ("expcore.x", "expcore_plugins.y"):
            logging.getLogger(logger).debug("fine from %s", logger)
            logging.getLogger(logger).info("plain from %s", logger)
            logging.getLogger(logger).warning("grave from %s", logger)
"""


@pytest.mark.parametrize(
    ("args", "words"),
    [((), ("plain", "grave")), (("-q",), ("grave",)), (("--verbose",), ("fine", "plain", "grave"))],
)
def test_the_log_goes_to_stderr_from_the_level_asked_for(tmp_path, args, words):
    result = run(tmp_path, SPEAKING, *args)
    said = [line.split(maxsplit=2)[2] for line in result.stderr.splitlines() if " from expcore" in line]
    assert said == [
        f"{word} from {logger}" for logger in ("expcore.x", "expcore_plugins.y") for word in words
    ]
    assert "from" not in result.stdout


def test_logging_is_afterwards_as_it_was(monkeypatch):
    logger = logging.getLogger("expcore")
    monkeypatch.setattr(logger, "propagate", True)
    before = (list(logger.handlers), logger.level, logger.propagate)
    with logging_to_stderr(logging.DEBUG):
        assert len(logger.handlers) == len(before[0]) + 1
    assert (list(logger.handlers), logger.level, logger.propagate) == before


def test_a_log_line_does_not_tear_a_progress_bar(capsys):
    from tqdm import tqdm

    handler = ProgressBarHandler()
    bar = tqdm(total=10, file=sys.stderr, mininterval=0, ascii=True)
    bar.update(3)
    handler.emit(logging.LogRecord("expcore", logging.INFO, "", 0, "a line", (), None))
    bar.close()
    text = capsys.readouterr().err
    before, _, after = text.partition("a line")
    assert before.endswith("\r")
    assert after.startswith("\n")


def test_what_a_log_line_quotes_cannot_steer_the_terminal(capsys):
    with logging_to_stderr(logging.INFO):
        logging.getLogger("expcore").warning("plugin '%s' is broken\nnext", "\x1b[31m\r")
    err = capsys.readouterr().err
    assert err.endswith("plugin '\\x1b[31m\\r' is broken\nnext\n")


def test_what_an_error_quotes_cannot_steer_the_terminal(tmp_path):
    file = tmp_path / "experiment.py"
    file.write_text(
        "from expcore.errors import ConfigError\n"
        "def experiment(output_dir): raise ConfigError('a\\x07\\x9b b')\n"
    )
    result = CliRunner().invoke(main, ["run", str(file), "--output-dir", str(tmp_path / "out")])
    assert (r"a\x07\x9b b" in result.stderr, "\x9b" in result.stderr) == (True, False)


def test_without_tqdm_a_line_is_a_line(capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "tqdm", raising=False)
    ProgressBarHandler().emit(logging.LogRecord("expcore", logging.INFO, "", 0, "a line", (), None))
    assert capsys.readouterr().err == "a line\n"


# --- the summary --------------------------------------------------------------------------------------


class Trained:
    def latest_checkpoint(self):
        return "m/ckpt-5"


@pytest.mark.parametrize(
    ("result", "exports", "line"),
    [
        (
            ({"loss": 0.123456, "accuracy": 1.0, "global_step": 9, "n": 123456}, [None, None]),
            ["m/export/best/1", "m/export/latest/3"],
            "done; step 9: loss=0.1235, accuracy=1, n=123456; exported m/export/best/1, m/export/latest/3; "
            "everything is in m",
        ),
        ({"loss": 1234567.8}, [], "done; loss=1.235e+06; everything is in m"),
        ((None, []), [], "done; everything is in m"),
        (None, [], "done; everything is in m"),
        ({"odd": "text", "global_step": 1}, [], "done; step 1: odd=text; everything is in m"),
        (Trained(), [], "done; checkpoint m/ckpt-5; everything is in m"),
    ],
)
def test_the_summary_tells_the_result_the_exports_and_where_everything_is(result, exports, line):
    assert summary(result, "m", exports) == line


def test_the_summary_of_a_run_that_kept_nothing_says_so():
    assert summary({"loss": 1.0}, "m", kept=False) == "done; loss=1; no checkpoint is in m"


def test_of_several_exports_of_a_name_the_newest_there_is_told_for_each_exporter_that_wrote(tmp_path):
    places = [str(tmp_path / name) for name in ("1", "2", "gone", "x")]
    for place in (places[0], places[1], places[3]):
        os.mkdir(place)
    names = ("best", "best", "best", "old")
    exports = [Export(name, "a", n, place) for n, (name, place) in enumerate(zip(names, places, strict=True))]
    told = SimpleNamespace(
        history=SimpleNamespace(exports=exports),
        export_strategies=[SimpleNamespace(name="final"), SimpleNamespace(name="best")],
    )
    assert newest_exports(told) == [places[1]]


# --- plugins ------------------------------------------------------------------------------------------


def test_plugins_are_listed_as_a_table_with_the_built_ins():
    result = invoke("plugins", "list")
    assert result.exit_code == 0
    head, *rows = result.stdout.splitlines()
    assert head.split() == ["KIND", "NAME", "PROVIDER", "VERSION", "STATUS", "TARGET"]
    best = next(row.split() for row in rows if row.split()[1] == "best")
    assert best == ["exporters", "best", "expcore", best[3], "active", "expcore_plugins.exporters.best:Best"]
    assert len({row.index("expcore") for row in rows}) == 1


def test_plugins_are_listed_as_json_and_as_markdown():
    rows = json.loads(invoke("plugins", "list", "--kind", "exporter", "--format", "json").stdout)
    assert {row["kind"] for row in rows} == {"exporters"}
    assert set(rows[0]) == {"kind", "name", "provider", "version", "status", "target"}
    lines = invoke("plugins", "list", "--kind", "exporters", "--format", "md").stdout.splitlines()
    assert lines[0] == "| KIND | NAME | PROVIDER | VERSION | STATUS | TARGET |"
    assert lines[1] == "| --- | --- | --- | --- | --- | --- |"
    assert len(lines) == 2 + len(rows)


def test_an_unknown_kind_is_refused_with_the_nearest():
    result = invoke("plugins", "list", "--kind", "exportrs")
    assert result.exit_code == 64
    assert "did you mean 'exporters'" in error_line(result)


def test_choices_of_the_environment_show_in_the_list():
    os.environ["EXPCORE_DISABLE"] = "exporters/best"
    row = next(line for line in invoke("plugins", "list").stdout.splitlines() if "exporters.best:" in line)
    assert row.split()[4] == "blocked"


def test_broken_plugins_leave_the_meta_commands_at_work_even_where_strict(tmp_path):
    for n in range(3):
        info = fake_distribution(
            tmp_path,
            f"cli-broken-{n}",
            "1",
            {
                "expcore.hooks": {f"bad{n}": "not a reference"},
                "expcore.plugins": {f"gone{n}": "no_such_cli_mod"},
            },
        )
    (info / "entry_points.txt").write_text("[expcore.hooks]\nno equals sign\n")
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
        "EXPCORE_STRICT_PLUGINS": "1",
    }
    for args in (["--version"], ["--help"], ["plugins", "list"]):
        done = subprocess.run(
            [sys.executable, "-P", "-c", "from expcore.cli import main; main()", *args],
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    assert "WARNING hooks/bad0 (cli-broken-0 1): declaration failed" in done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    broken = [row[1] for row in rows if "cli-broken" in row[2]]
    assert broken == ["bad0", "bad1", "entry_points.txt", "gone0", "gone1"]
    assert {row[4] for row in rows if "cli-broken" in row[2]} == {"broken"}


# --- starting -----------------------------------------------------------------------------------------


def test_the_version_is_that_of_the_distribution():
    import importlib_metadata

    result = invoke("--version")
    assert (result.exit_code, result.stdout) == (0, f"expcore {importlib_metadata.version('expcore')}\n")


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["run", "--help"], ["plugins", "list"]])
def test_meta_commands_import_nothing_heavy_and_no_plugin(args):
    code = (
        "import sys\n"
        "from expcore.cli import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'pydantic', 'yaml', 'tqdm', 'expcore_plugins'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *args], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []", done.stderr


def test_help_tells_the_exit_codes_and_the_commands():
    text = invoke("--help").stdout
    for part in ("run", "plugins", "124", "143"):
        assert part in text
    assert "--allow-imports" in invoke("run", "--help").stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["manifest", "x.py"], "error: Missing option '--image'; see expcore manifest --help"),
        (["launch"], "error: Missing argument 'FILE[:FUNCTION]'; see expcore launch --help"),
        (["run", "x.py", "--nope"], "error: No such option '--nope'; see expcore run --help"),
        (["nope"], "error: No such command 'nope'; see expcore --help"),
        (["--nope"], "error: No such option '--nope'; see expcore --help"),
    ],
    ids=str,
)
def test_wrong_words_are_told_in_one_line(words, told):
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 64
    assert done.stderr == f"expcore: {told}\n"
    assert done.stdout == ""


def test_without_words_the_help_is_shown():
    done = CliRunner().invoke(main, ["plugins"])
    assert "Commands:" in done.output
