"""The acceptance list of 2017 (1 to 35): an Experiment over an estimator of that time that counts its calls.

Numbers are those of the list. 2 speaks of an argument of contrib's that nothing has any more. Where the
design decides otherwise than TensorFlow did, the docstring says so.
"""

from __future__ import annotations

import os

import pytest

from expcore.cluster import RunConfig, parse_tf_config
from expcore.errors import ClusterError, InvalidArgument, InvalidType
from expcore.experiment import Experiment
from expcore.publish import ExportStrategy
from expcore.testing import PluginSandbox, VirtualClock
from expcore.testing.numpy_estimator import NumpyEstimator

CLUSTER = {"master": ["host0:2222"], "worker": ["host1:2222", "host2:2222"], "ps": ["host3:2222"]}


class Estimator2017:
    """No hooks of ours, no listeners, no files: its step is what it was told to say."""

    def __init__(self, model_dir, config=None, step=100, evaluations=None):
        self.model_dir, self.config, self.step = str(model_dir), config, step
        self.left = evaluations
        self.trains, self.evals = [], []

    def train(self, input_fn, hooks=None, steps=None, max_steps=None):
        self.trains.append({"input_fn": input_fn, "hooks": hooks, "steps": steps, "max_steps": max_steps})
        return self

    def evaluate(self, input_fn, steps=None, hooks=None, checkpoint_path=None, name=None):
        if self.left is not None and len(self.evals) == self.left:
            raise StopIteration
        self.evals.append(
            {"input_fn": input_fn, "steps": steps, "hooks": hooks, "path": checkpoint_path, "name": name}
        )
        return {"global_step": self.step}

    def latest_checkpoint(self):
        return os.path.join(self.model_dir, "model")


class Counter:
    """An exporter that counts."""

    def __init__(self, name="counter"):
        self.name, self.exports = name, []

    def export(self, estimator, export_path, checkpoint_path=None, eval_result=None, **_):
        self.exports.append((export_path, checkpoint_path, eval_result))
        return os.path.join(export_path, str(len(self.exports)))


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def make(tmp_path, clock):
    host = PluginSandbox(builtins=True).host

    def experiment(config=None, step=100, evaluations=None, **arguments):
        estimator = Estimator2017(tmp_path / "model", config, step, evaluations)
        arguments = {"train_input_fn": "train", "eval_input_fn": "eval"} | arguments
        return Experiment(estimator, plugins=host, clock=clock, **arguments)

    return experiment


def worker(task_id, **settings):
    task = parse_tf_config({"cluster": CLUSTER, "task": {"type": "worker", "index": task_id}})
    return RunConfig(model_dir="unused", task=task, **settings)


def test_01_there_are_no_eval_metrics(make):
    with pytest.raises(TypeError, match="eval_metrics"):
        make(eval_metrics={"accuracy": len})


def test_03_train_without_delay_fits_once_up_to_train_steps_and_evaluates_nothing(make, clock):
    hooks = [object()]
    experiment = make(train_steps=77, train_hooks=hooks)
    assert experiment.train(delay_secs=0) is experiment.estimator
    assert experiment.estimator.trains == [
        {"input_fn": "train", "hooks": hooks, "steps": None, "max_steps": 77}
    ]
    assert experiment.estimator.evals == []
    assert clock.time() == 0


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_04_train_waits_exactly_the_delay_that_it_is_given(make, clock, delay):
    make(config=worker(1)).train(delay_secs=delay)
    assert clock.time() == delay


@pytest.mark.parametrize(("task_id", "secs"), [(0, 0), (1, 5), (3, 15), (12, 60), (40, 60)])
def test_05_by_default_a_worker_waits_five_seconds_for_each_one_before_it(make, clock, task_id, secs):
    class Config:
        pass

    config = Config()
    config.task_id = task_id
    make(config=config).train()
    assert clock.time() == secs


def test_06_a_server_starts_before_the_wait_and_its_time_counts(make, clock, monkeypatch):
    from expcore_plugins.schedules import server

    started = []

    def start(cluster, task_type, task_id, address):
        started.append((cluster, task_type, task_id, address, clock.time()))
        clock.sleep(0.25)

    monkeypatch.setattr(server, "_start", start)
    make(config=worker(1, start_server=True)).train(delay_secs=1)
    assert started == [(CLUSTER, "worker", 1, "host2:2222", 0)]
    assert clock.time() == 1


@pytest.mark.parametrize(
    ("cluster", "master"), [({}, "grpc://host0:2222"), (CLUSTER, ""), (CLUSTER, "grpc://host0:2222")]
)
def test_07_08_without_cluster_or_master_or_wish_no_server_is_started(make, monkeypatch, cluster, master):
    """A server is started only where the config says start_server=True."""
    from expcore_plugins.schedules import server

    def start(*_):
        raise AssertionError("a server was started")

    monkeypatch.setattr(server, "_start", start)

    class Config:
        task_type, task_id, is_chief = "worker", 0, True

    Config.cluster_spec, Config.master = cluster, master
    make(config=Config()).train(delay_secs=0)


def test_09_a_cluster_without_a_task_type_is_a_value_error():
    with pytest.raises(ClusterError) as caught:
        RunConfig(model_dir="m", task=parse_tf_config({"cluster": CLUSTER}))
    assert isinstance(caught.value, ValueError)


def test_10_evaluate_evaluates_once_with_the_hooks_and_neither_trains_nor_exports(make):
    hooks, counter = [object()], Counter()
    experiment = make(eval_hooks=hooks, eval_steps=7, export_strategies=counter)
    assert experiment.evaluate() == {"global_step": 100}
    (call,) = experiment.estimator.evals
    assert (call["input_fn"], call["steps"], call["hooks"]) == ("eval", 7, hooks)
    assert (experiment.estimator.trains, counter.exports) == ([], [])


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_11_evaluate_waits_the_delay(make, clock, delay):
    make().evaluate(delay_secs=delay)
    assert clock.time() == delay
    make(eval_delay_secs=delay).evaluate()
    assert clock.time() == 2 * delay


def test_12_continuous_eval_goes_on_until_the_estimator_raises(make):
    experiment = make(evaluations=6, continuous_eval_throttle_secs=0)
    with pytest.raises(StopIteration):
        experiment.continuous_eval(evaluate_checkpoint_only_once=False)
    assert len(experiment.estimator.evals) == 6


def test_13_continuous_eval_ends_when_the_step_reaches_train_steps(make):
    experiment = make(train_steps=100)
    experiment.continuous_eval(delay_secs=0, throttle_delay_secs=0)
    assert len(experiment.estimator.evals) == 1


@pytest.mark.parametrize("secs", [0, 1, 2, 7])
def test_14_evaluations_begin_throttle_seconds_apart(make, clock, secs):
    experiment = make(evaluations=5)
    with pytest.raises(StopIteration):
        experiment.continuous_eval(throttle_delay_secs=secs, evaluate_checkpoint_only_once=False)
    assert clock.time() == 5 * secs


def test_15_continuous_eval_goes_on_while_the_predicate_says_so(make):
    experiment = make(continuous_eval_throttle_secs=0)
    experiment.continuous_eval(
        evaluate_checkpoint_only_once=False,
        continuous_eval_predicate_fn=lambda _: len(experiment.estimator.evals) < 3,
    )
    assert len(experiment.estimator.evals) == 3


def test_16_a_predicate_that_names_checkpoint_path_is_given_the_one_that_was_evaluated(make):
    asked = []
    experiment = make(continuous_eval_throttle_secs=0)

    def predicate(eval_result, checkpoint_path=None):
        asked.append((eval_result, checkpoint_path))
        return len(asked) < 3

    experiment.continuous_eval(evaluate_checkpoint_only_once=False, continuous_eval_predicate_fn=predicate)
    path = experiment.estimator.latest_checkpoint()
    assert asked == [(None, None), ({"global_step": 100}, path), ({"global_step": 100}, path)]


def test_17_a_checkpoint_is_evaluated_only_once_however_often_the_predicate_is_asked(make):
    asked = []

    def predicate(eval_result):
        asked.append(eval_result)
        return len(asked) < 300

    experiment = make(continuous_eval_throttle_secs=0)
    experiment.continuous_eval(continuous_eval_predicate_fn=predicate)
    assert len(asked) == 300
    assert len(experiment.estimator.evals) == 1
    assert asked[0] is None
    assert [result for result in asked[1:] if result] == [{"global_step": 100}]
    assert asked[2:] == [{}] * 298


def test_18_local_run_is_train_and_evaluate(make):
    """The hook that TensorFlow's added is not there: estimators without listeners are stopped instead."""
    experiment = make(train_steps=100)
    experiment.local_run()
    assert (len(experiment.estimator.trains), len(experiment.estimator.evals)) == (1, 1)


def test_19_extending_hooks_leaves_the_callers_lists_alone(make):
    train_hooks, eval_hooks, more = [object()], [object()], [object()]
    experiment = make(train_hooks=train_hooks, eval_hooks=eval_hooks)
    experiment.extend_train_hooks(more)
    experiment.extend_eval_hooks(more)
    assert (len(train_hooks), len(eval_hooks), len(more)) == (1, 1, 1)
    assert experiment.train_hooks == (*train_hooks, *more)
    assert experiment.eval_hooks == (*eval_hooks, *more)


@pytest.mark.parametrize("wrong", ["not_an_export_strategy", ["not_an_export_strategy"]])
def test_20_what_is_no_export_strategy_is_a_value_error(make, wrong):
    with pytest.raises(ValueError, match="ExportStrategy"):
        make(export_strategies=wrong)


def test_21_resetting_export_strategies_returns_the_old_ones_and_counts_from_then_on(make):
    old = Counter("old")
    experiment = make(train_steps=100, export_strategies=old)
    experiment.train_and_evaluate()
    assert len(old.exports) == 1
    assert experiment.reset_export_strategies() == (old,)
    experiment.train_and_evaluate()
    assert len(old.exports) == 1
    new = [Counter("one"), Counter("two")]
    assert experiment.reset_export_strategies(new) == ()
    experiment.train_and_evaluate()
    assert [len(c.exports) for c in (old, *new)] == [1, 1, 1]


def test_22_train_and_evaluate_fits_evaluates_and_exports_once(make):
    counter, hooks = Counter(), [object()]
    experiment = make(train_steps=100, eval_hooks=hooks, export_strategies=counter)
    result, exports = experiment.train_and_evaluate()
    assert [len(experiment.estimator.trains), len(experiment.estimator.evals)] == [1, 1]
    assert experiment.estimator.trains[0]["hooks"] == []
    assert experiment.estimator.evals[0]["hooks"] == hooks
    base = os.path.join(experiment.model_dir, "export", "counter")
    assert counter.exports == [(base, experiment.estimator.latest_checkpoint(), {"global_step": 100})]
    assert (result, exports) == ({"global_step": 100}, [os.path.join(base, "1")])


@pytest.mark.parametrize("n", [0, None])
def test_23_with_no_evaluation_on_the_way_it_fits_and_evaluates_once(make, n):
    experiment = make(train_steps=100, eval_every_n_steps=n)
    experiment.train_and_evaluate()
    assert [len(experiment.estimator.trains), len(experiment.estimator.evals)] == [1, 1]
    assert experiment.estimator.trains[0]["hooks"] == []


@pytest.mark.parametrize(("given", "kept"), [({}, 1), ({"eval_every_n_steps": 123}, 123)])
def test_24_the_frequency_is_one_unless_given(make, given, kept):
    assert make(**given).eval_every_n_steps == kept


def test_24_a_frequency_of_zero_is_kept_and_buckets_have_no_other_default(make):
    assert make(eval_every_n_steps=0).eval_every_n_steps == 0


def test_25_continuous_train_ends_where_the_evaluation_says_that_train_steps_are_reached(make):
    counter = Counter()
    experiment = make(train_steps=100, export_strategies=counter)
    experiment.continuous_train_and_eval()
    estimator = experiment.estimator
    assert (len(estimator.trains), len(estimator.evals), len(counter.exports)) == (1, 1, 1)


def test_26_a_predicate_that_is_false_at_once_lets_nothing_happen(make):
    counter = Counter()
    experiment = make(train_steps=100, export_strategies=counter)
    assert experiment.continuous_train_and_evaluate(lambda _: False) == (None, [])
    assert (experiment.estimator.trains, experiment.estimator.evals, counter.exports) == ([], [], [])


@pytest.mark.parametrize(
    ("per_iteration", "train_steps", "steps"),
    [(None, 1000, 100), (1234, 10000, 1234), (None, None, 1000), (1234, None, 1234), (None, 7, 1)],
)
def test_27_28_29_steps_of_an_iteration(make, per_iteration, train_steps, steps):
    """Fewer than ten train_steps were iterations of no step, an error."""
    experiment = make(step=3, train_steps=train_steps, train_steps_per_iteration=per_iteration)
    experiment.continuous_train_and_evaluate(lambda result: result is None)
    assert experiment.estimator.trains == [
        {"input_fn": "train", "hooks": [], "steps": steps, "max_steps": None}
    ]


@pytest.mark.parametrize(
    "schedule", ["continuous_eval", "continuous_eval_on_train_data", "continuous_train_and_evaluate"]
)
def test_30_a_predicate_that_cannot_be_called_is_a_value_error(make, schedule):
    with pytest.raises(
        InvalidArgument, match="`continuous_eval_predicate_fn` is 'no'; it must be a callable"
    ):
        getattr(make(), schedule)(continuous_eval_predicate_fn="no")


@pytest.mark.parametrize("wrong", ["123", 1.5, 0, -1, True])
def test_31_steps_of_an_iteration_that_are_no_positive_integer_are_a_value_error(make, wrong):
    with pytest.raises(ValueError, match="`train_steps_per_iteration` must be a positive integer"):
        make(train_steps_per_iteration=wrong)


def test_32_run_std_server_starts_the_server_of_its_task_and_serves(make, clock, monkeypatch):
    """It ends by the rule of end markers instead of never."""
    from expcore_plugins.schedules import server

    started = []

    class Server:
        target = "grpc://host2:2222"

    monkeypatch.setattr(server, "_start", lambda *args: started.append(args) or Server())
    experiment = make(config=worker(1))

    def sleep(secs, wait=clock.sleep):
        wait(secs)
        if clock.time() == 3:
            make(train_steps=100).train()

    monkeypatch.setattr(clock, "sleep", sleep)
    assert experiment.run_std_server() is None
    assert started == [(CLUSTER, "worker", 1, "host2:2222")]
    assert clock.time() == 5


def test_33_run_std_server_without_a_cluster_is_a_value_error(make):
    with pytest.raises(ValueError, match="the config lacks 'cluster_spec', 'task_type', 'master'"):
        make().run_std_server()


def test_34_test_fits_evaluates_and_exports_once_without_eval_hooks(make):
    counter = Counter()
    experiment = make(train_hooks=["train hook"], eval_hooks=["eval hook"], export_strategies=counter)
    assert experiment.test() == {"global_step": 100}
    estimator = experiment.estimator
    assert [(call["steps"], call["hooks"]) for call in estimator.trains] == [(1, ["train hook"])]
    assert [(call["steps"], call["hooks"]) for call in estimator.evals] == [(1, [])]
    assert len(counter.exports) == 1


def test_35_with_an_evaluation_at_every_checkpoint_each_one_is_exported(tmp_path, clock):
    """Steps 3, 6 and 8: there is no checkpoint of the state before the first step any more."""
    counter = Counter()
    config = RunConfig(model_dir=str(tmp_path), save_checkpoints_steps=3)
    experiment = Experiment(
        NumpyEstimator(config=config, clock=clock),
        lambda: [([[1.0]], [1.0])] * 8,
        lambda: [([[1.0]], [1.0])],
        train_steps=8,
        export_strategies=counter,
        plugins=PluginSandbox(builtins=True).host,
        clock=clock,
    )
    experiment.train_and_evaluate()
    assert [result["global_step"] for _, _, result in counter.exports] == [3, 6, 8]
    assert [e.step for e in experiment.history.evaluations] == [3, 6, 8]


def test_an_export_strategy_of_2017_is_one_as_it_stands(make):
    calls = []

    def export_fn(estimator, export_path, checkpoint_path=None, eval_result=None):
        calls.append((export_path, eval_result))
        return b"written"

    experiment = make(train_steps=100, export_strategies=[ExportStrategy("Servo", export_fn)])
    assert experiment.train_and_evaluate()[1] == ["written"]
    assert calls == [(os.path.join(experiment.model_dir, "export", "Servo"), {"global_step": 100})]
    with pytest.raises(InvalidType):
        ExportStrategy("Servo", None)
