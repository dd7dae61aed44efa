"""Typed authoring at run time: decorators give back what they are given, deriving from Hook is harmless."""

from __future__ import annotations

import importlib.util
import inspect
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from expcore import hookimpl, impl, typed
from expcore.errors import InvalidArgument, InvalidType
from expcore.host.contract import SPECS
from expcore.loop import SaveRhythm, TrainingLoop
from expcore.testing import CountingEngine, PluginSandbox
from expcore.types import HOOK_METHODS, Hook, Run, StatefulHook, is_hook

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("estimator", "schedule", "exporter", "hook", "predicate")
SAMPLES = sorted(path.name for path in (ROOT / "tests" / "typing" / "right").glob("*.py"))


# --- the decorators of kinds ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_decorator_returns_a_class_a_function_and_an_object_unchanged(kind):
    class Component:
        def __call__(self):
            return None

    before = dict(vars(Component))
    for given in (Component, Component(), lambda: None, print):
        assert getattr(typed, kind)(given) is given
    assert dict(vars(Component)) == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [None, "train", 3, object()])
def test_what_cannot_be_called_is_an_invalid_type_that_names_the_decorator(kind, value):
    with pytest.raises(InvalidType, match=rf"@typed\.{kind}: {re.escape(repr(value))} cannot be called; dec"):
        getattr(typed, kind)(value)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_right_sample_also_runs(name):
    assert runpy.run_path(str(ROOT / "tests" / "typing" / "right" / name))


def test_types_decorators_and_impl_can_be_imported_where_there_is_no_tensorflow():
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None\n"
        "from expcore import impl, typed\n"
        "from expcore.types import StatefulHook\n"
        "print(typed.exporter(dict) is dict, len(StatefulHook.__mro__) > 1, callable(impl.expcore_failed))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("True True True\n", "")


# --- hooks that derive from Hook --------------------------------------------------------------------------


class Bare(Hook):
    pass


class Derived(Hook):
    every_secs = 1.0

    def __init__(self):
        self.seen = []

    def after_steps(self, run: Run) -> None:
        self.seen.append(run.step)


class Counting(StatefulHook):
    def __init__(self):
        self.saves = 0

    def after_save(self, run: Run, checkpoint_path: str) -> None:
        self.saves += 1

    def get_state(self):
        return {"saves": self.saves}

    def set_state(self, state):
        self.saves = state["saves"]


def train(engine, *hooks, until):
    TrainingLoop(engine, hooks, until=until, save=SaveRhythm(steps=500), clock=engine.clock).run()


def test_every_method_of_a_hook_has_an_inherited_one_that_returns_none():
    hook = Bare()
    arguments = {"next_step": (1,), "after_save": (None, "ckpt"), "failed": (None, OSError())}
    assert [getattr(hook, m)(*arguments.get(m, (None,))) for m in HOOK_METHODS] == [None] * len(HOOK_METHODS)
    assert is_hook(hook)


def test_a_hook_without_methods_of_its_own_changes_nothing_in_a_run():
    alone, watched = CountingEngine(), CountingEngine()
    train(alone, until=1500)
    train(watched, Bare(), until=1500)
    assert (watched.step, watched.calls, watched.saves) == (alone.step, alone.calls, alone.saves)


def test_the_inherited_next_step_does_not_disturb_every_secs():
    class NotDerived:
        every_secs = 1.0
        seen: list[int]
        after_steps = Derived.after_steps

    hook, other = Derived(), NotDerived()
    other.seen = []
    train(CountingEngine(), hook, until=1000)
    train(CountingEngine(), other, until=1000)
    assert hook.seen == other.seen
    assert len(hook.seen) > 5


def test_an_inherited_failed_keeps_the_error():
    class Breaking(Derived):
        def after_steps(self, run):
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        train(CountingEngine(), Bare(), Breaking(), until=1000)


def test_a_stateful_hooks_state_is_kept_with_saves_and_given_back():
    engine, again = CountingEngine(), Counting()
    train(engine, Counting(), until=1000)
    train(engine, again, until=1500)
    assert engine.saves == [500, 1000, 1500]
    assert again.saves == 2  # one of before the last save of the first run, and its own


def test_a_stateful_hook_that_lacks_a_method_cannot_be_made():
    class Half(StatefulHook):
        def get_state(self):
            return {}

    with pytest.raises(TypeError, match="set_state"):
        Half()


# --- expcore.impl -------------------------------------------------------------------------------------------


def implementation(name, arguments):
    """Returns a new function of that name and with those arguments."""
    namespace = {}
    exec(f"def {name}({', '.join(arguments)}): pass", namespace)
    return namespace[name]


def test_impl_is_current_with_the_specs():
    spec = importlib.util.spec_from_file_location("make_impl", ROOT / "tools" / "make_impl.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert Path(impl.__file__).read_text() == module.module(), "run: python tools/make_impl.py"


@pytest.mark.parametrize("name", SPECS)
def test_each_hook_has_a_decorator_that_marks_as_hookimpl_does(name):
    offered = list(inspect.signature(SPECS[name]).parameters)
    for arguments in ([], offered, ["self", *offered], ["self", *offered[:1]]):
        function = implementation(name, arguments)
        assert getattr(impl, name)(function) is function
        assert function.expcore_impl == hookimpl(implementation(name, arguments)).expcore_impl


def test_a_marked_method_is_called_with_what_it_names():
    class Notebook:
        told = None

        @impl.expcore_after_schedule
        def expcore_after_schedule(self, schedule: str) -> None:
            self.told = schedule

    notebook = Notebook()
    box = PluginSandbox().observe(notebook)
    box.host.ask("expcore_after_schedule", experiment=None, schedule="train", result=None)
    assert notebook.told == "train"


def test_the_order_that_hookimpl_gives_stays_above_and_below():
    def function():
        return implementation("expcore_failed", ["error"])

    below = impl.expcore_failed(hookimpl(tryfirst=True)(function()))
    above = hookimpl(trylast=True)(impl.expcore_failed(function()))
    assert below.expcore_impl["tryfirst"]
    assert above.expcore_impl["trylast"]


@pytest.mark.parametrize(
    ("name", "arguments", "rule"),
    [
        (
            "expcore_after_evaluates",
            ["evaluation"],
            "is called 'expcore_after_evaluates', and hooks are told",
        ),
        ("tell", ["evaluation"], "call it 'expcore_after_evaluate'"),
        ("expcore_after_evaluate", ["evaluatoin"], "'evaluatoin' .* did you mean 'evaluation'"),
        (
            "expcore_after_evaluate",
            ["self", "step"],
            "'step' .* is not the hook's.*; it has 'experiment', 'eva",
        ),
        ("expcore_after_evaluate", ["evaluation=None"], "'evaluation' .* has a default"),
        ("expcore_after_evaluate", ["*args"], "'args' .* is not the hook's"),
        ("expcore_after_evaluate", ["cls", "evaluation"], "'cls' .* is not the hook's"),
    ],
)
def test_what_pluggy_would_not_call_as_meant_is_an_error_at_once(name, arguments, rule):
    with pytest.raises(InvalidArgument, match=rf"^@impl\.expcore_after_evaluate: .*{rule}"):
        impl.expcore_after_evaluate(implementation(name, arguments))


@pytest.mark.parametrize("value", [dict, None, "expcore_failed", staticmethod(lambda error: None), print])
def test_what_is_not_a_function_is_an_invalid_type(value):
    with pytest.raises(
        InvalidType, match=r"@impl\.expcore_failed: .* is not a function; put it on a plain def"
    ):
        impl.expcore_failed(value)
