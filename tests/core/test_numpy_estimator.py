"""The NumPy estimator: learns, resumes exactly, and keeps the promises that schedules build on."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from expcore.cluster import RunConfig
from expcore.errors import (
    CannotWrite,
    CheckpointCorrupt,
    InvalidArgument,
    InvalidHook,
    InvalidInput,
    NotTrained,
)
from expcore.testing.clock import VirtualClock
from expcore.testing.numpy_estimator import BATCH, LinearModel, NumpyEstimator, batches, read_checkpoint
from expcore.types import Estimator

X = np.random.default_rng(0).normal(size=(BATCH * 4, 2))
LINE = X @ [2.0, -1.0] + 0.5
SIDE = (LINE > 0).astype(float)


def line() -> Any:
    return X, LINE


def side() -> Any:
    return X, SIDE


def forever() -> Any:
    while True:
        yield from batches(line)


class Numbered:
    """An input of numbered batches that remembers which were used."""

    def __init__(self, n: int = 10) -> None:
        self.n, self.calls, self.given = n, 0, []

    def __call__(self) -> Any:
        self.calls += 1
        for i in range(self.n):
            self.given.append(i)
            yield np.full((1, 1), float(i)), np.zeros(1)


class Seen:
    """A hook that writes down what the model was trained on, by the gradient that it left."""

    def __init__(self) -> None:
        self.count = 0

    def next_step(self, step: int) -> int:
        return step + 1

    def after_steps(self, run: Any) -> None:
        self.count += 1

    def get_state(self) -> dict[str, Any]:
        return {"count": self.count, "pair": (1, 2)}

    def set_state(self, state: dict[str, Any]) -> None:
        assert state["pair"] == [1, 2]  # JSON, also within one process
        self.count = state["count"]


def estimator(path: Any, **kwargs: Any) -> NumpyEstimator:
    return NumpyEstimator(str(path), clock=VirtualClock(), **kwargs)


def weights(est: NumpyEstimator, path: str | None = None) -> np.ndarray:
    with est.restored(path) as model:
        return model.weights


def test_it_learns_a_line_and_a_boundary(tmp_path):
    linear = estimator(tmp_path / "linear").train(forever, max_steps=200)
    np.testing.assert_allclose(weights(linear), [2.0, -1.0, 0.5], atol=1e-3)
    assert linear.evaluate(line)["loss"] < 1e-5
    logistic = estimator(tmp_path / "logistic", kind="logistic", learning_rate=1.0)
    first = logistic.train(side, steps=1).evaluate(side)
    for _ in range(40):
        logistic.train(side)
    last = logistic.evaluate(side)
    assert last["accuracy"] > 0.95
    assert last["loss"] < first["loss"]
    assert set(last) == {"loss", "accuracy", "global_step"}


def test_a_step_goes_down_the_gradient_of_the_mean_loss(tmp_path):
    x, y = np.array([[1.0], [3.0]]), np.array([1.0, 0.0])
    linear = estimator(tmp_path / "linear", learning_rate=0.5).train(lambda: (x, y), steps=1)
    assert weights(linear).tolist() == [0.5, 0.5]
    logistic = estimator(tmp_path / "logistic", kind="logistic").train(lambda: (x, y), steps=1)
    np.testing.assert_allclose(weights(logistic), [-0.05, 0.0])
    assert linear.evaluate(lambda: (x, y))["loss"] == pytest.approx((0.0 + 4.0) / 2)
    sure = np.log(1 + np.exp([0.05, -0.15]))
    assert logistic.evaluate(lambda: (x, y))["loss"] == pytest.approx(sure.mean())


def test_it_is_an_estimator_whose_train_returns_itself(tmp_path):
    est = estimator(tmp_path)
    assert isinstance(est, Estimator)
    assert est.train(line, steps=1) is est
    assert est.evaluate(line)["global_step"] == 1


def test_trained_in_parts_by_several_processes_it_has_the_same_weights_as_in_one_go(tmp_path):
    straight = estimator(tmp_path / "straight").train(forever, max_steps=11)
    for stop in (2, 7, 7, 11):
        parts = estimator(tmp_path / "parts").train(forever, max_steps=stop)
    assert weights(parts).tolist() == weights(straight).tolist()
    assert parts.evaluate(line) == straight.evaluate(line)


def test_trained_in_parts_by_one_process_it_has_the_same_weights_too(tmp_path):
    straight = estimator(tmp_path / "straight").train(forever, max_steps=11)
    parts = estimator(tmp_path / "parts")
    for steps in (2, 5, 4):
        parts.train(forever, steps=steps)
    assert weights(parts).tolist() == weights(straight).tolist()


def test_the_same_input_goes_on_where_it_was_and_another_begins_anew(tmp_path):
    data, other = Numbered(), Numbered()
    est = estimator(tmp_path)
    est.train(data, steps=3).train(data, steps=2)
    assert (data.calls, data.given[:5]) == (1, [0, 1, 2, 3, 4])
    est.train(other, steps=2)
    assert other.given == [0, 1]
    est.train(data, steps=1)
    assert data.calls == 2


def position(est: NumpyEstimator) -> int:
    return read_checkpoint(est.latest_checkpoint())["taken"]


def test_a_restart_goes_on_with_the_input_where_the_checkpoint_was(tmp_path):
    estimator(tmp_path).train(Numbered(), steps=3)
    data = Numbered()
    est = estimator(tmp_path).train(data, steps=2)
    assert (position(est), data.given) == (5, [0, 1, 2, 3, 4])
    assert estimator(tmp_path).train(Numbered(7)).evaluate(Numbered(1))["global_step"] == 7


@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_input_that_ended_or_was_left_at_its_end_begins_anew(tmp_path, restart, known):
    data = Numbered(4)
    est = estimator(tmp_path).train(data, steps=5 if known else 4)
    assert est.evaluate(data)["global_step"] == 4
    est = estimator(tmp_path) if restart else est
    est.train(data, steps=3)
    assert (est.evaluate(data)["global_step"], position(est)) == (7, 3)


def test_input_that_ends_between_two_calls_ends_the_training_also_of_one_that_goes_on(tmp_path):
    data = Numbered(4)
    est = estimator(tmp_path).train(data, steps=2).train(data, [Seen()], max_steps=9)
    assert est.evaluate(data)["global_step"] == 4


def test_input_that_became_shorter_than_the_checkpoints_place_begins_anew(tmp_path):
    estimator(tmp_path).train(Numbered(10), steps=8)
    est = estimator(tmp_path).train(Numbered(5), steps=2)
    assert (est.evaluate(line_of_one)["global_step"], position(est)) == (10, 2)


def line_of_one() -> Any:
    return np.zeros((1, 1)), np.zeros(1)


def test_input_without_a_batch_makes_no_step_and_no_checkpoint(tmp_path):
    est, data = estimator(tmp_path), Numbered(0)
    assert est.train(data).latest_checkpoint() is None
    assert data.calls == 1
    data.n = 2  # there is some now
    assert est.train(data).evaluate(Numbered(1))["global_step"] == 2


def test_hooks_states_go_through_restarts_and_further_trainings(tmp_path):
    hook = Seen()
    est = estimator(tmp_path).train(forever, [hook], steps=3)
    hook.count = 99  # what a hook does after the last save is not in it
    again, restarted = Seen(), Seen()
    est.train(forever, [again], steps=2)
    estimator(tmp_path).train(forever, [restarted], steps=1)
    assert (again.count, restarted.count) == (5, 6)


def test_a_failed_training_goes_on_from_its_last_checkpoint(tmp_path):
    class Failing(Seen):
        def __init__(self, at: int | None = None) -> None:
            super().__init__()
            self.at = at

        def after_steps(self, run: Any) -> None:
            super().after_steps(run)
            if run.step == self.at:
                raise RuntimeError("a bug")

    config = RunConfig(save_checkpoints_steps=2)
    est = estimator(tmp_path / "a", config=config)
    with pytest.raises(RuntimeError, match="a bug"):
        est.train(forever, [Failing(at=5)], max_steps=8)
    assert est.evaluate(line)["global_step"] == 4
    hook = Failing()
    est.train(forever, [hook], max_steps=8)
    straight = estimator(tmp_path / "b").train(forever, max_steps=8)
    assert weights(est).tolist() == weights(straight).tolist()
    assert hook.count == 8


def test_steps_are_more_steps_and_max_steps_a_limit_that_may_be_reached_already(tmp_path):
    est = estimator(tmp_path).train(forever, steps=3).train(forever, steps=3)
    hook = Seen()
    est.train(forever, [hook], max_steps=6)
    assert (est.evaluate(line)["global_step"], hook.count) == (6, 0)
    with pytest.raises(InvalidArgument, match="steps=1 and max_steps=9: give only one"):
        est.train(forever, steps=1, max_steps=9)


def test_checkpoints_are_saved_by_the_configs_rhythm_and_listeners_are_told(tmp_path):
    class Listener:
        def __init__(self) -> None:
            self.saves: list[int] = []

        def after_save(self, session: None, global_step: int) -> None:
            self.saves.append(global_step)

    by_steps, by_secs = Listener(), Listener()
    config = RunConfig(save_checkpoints_steps=4)
    estimator(tmp_path / "a", config=config).train(forever, max_steps=10, saving_listeners=[by_steps])
    est = NumpyEstimator(
        str(tmp_path / "b"), RunConfig(save_checkpoints_secs=30), clock=(clock := VirtualClock())
    )

    def slow() -> Any:
        for batch in forever():
            clock.sleep(10)
            yield batch

    est.train(slow, max_steps=8, saving_listeners=[by_secs])
    assert by_steps.saves == [4, 8, 10]
    assert by_secs.saves == [3, 6, 8]


def test_as_many_checkpoints_are_kept_as_the_config_says_oldest_first(tmp_path):
    config = RunConfig(save_checkpoints_steps=1, keep_checkpoint_max=3)
    est = estimator(tmp_path, config=config).train(forever, max_steps=12)
    assert [Path(p).name for p in est.checkpoints()] == ["ckpt-10.json", "ckpt-11.json", "ckpt-12.json"]
    assert est.latest_checkpoint() == str(tmp_path / "ckpt-12.json")
    for keep in (0, None):
        everything = RunConfig(save_checkpoints_steps=1, keep_checkpoint_max=keep)
        est = estimator(tmp_path / str(keep), config=everything).train(forever, max_steps=7)
        assert len(est.checkpoints()) == 7


def test_an_evaluation_is_of_the_checkpoint_asked_for_over_so_many_batches(tmp_path):
    config = RunConfig(save_checkpoints_steps=1)
    est = estimator(tmp_path, config=config).train(forever, max_steps=5)
    first, last = est.checkpoints()[0], est.latest_checkpoint()
    assert est.evaluate(line, checkpoint_path=first)["global_step"] == 1
    assert est.evaluate(line) == est.evaluate(line, checkpoint_path=last)
    assert est.evaluate(line, checkpoint_path=first)["loss"] > est.evaluate(line)["loss"]
    w = weights(est)
    assert weights(est, first).tolist() != w.tolist() == weights(est, last).tolist()
    errors = (X @ w[:-1] + w[-1] - LINE) ** 2
    assert est.evaluate(line)["loss"] == pytest.approx(errors.mean())
    assert est.evaluate(line, steps=1)["loss"] == pytest.approx(errors[:BATCH].mean())
    assert est.evaluate(line, steps=99, hooks=[], name="x") == est.evaluate(line)


def test_hooks_of_an_evaluation_see_its_step_and_its_metrics_once(tmp_path):
    class Noting:
        def __init__(self) -> None:
            self.told: list[Any] = []

        def begin(self, run: Any) -> None:
            self.told.append(("begin", run.step, dict(run.metrics), run.ending))

        def after_steps(self, run: Any) -> None:
            self.told.append(("after_steps", run.step, dict(run.metrics), run.ending))

        def end(self, run: Any) -> None:
            self.told.append(("end", run.model_dir, run.model.kind))

        def failed(self, run: Any, error: BaseException) -> None:
            self.told.append(error)

    est, hook = estimator(tmp_path).train(forever, steps=3), Noting()
    loss = est.evaluate(line, hooks=[hook, object()])["loss"]
    assert hook.told == [
        ("begin", 3, {}, False),
        ("after_steps", 3, {"loss": loss}, True),
        ("end", str(tmp_path), "linear"),
    ]
    hook = Noting()
    with pytest.raises(InvalidInput) as caught:
        est.evaluate(list, hooks=[hook])
    assert hook.told[1:] == [caught.value]


def test_an_evaluation_or_a_prediction_leaves_the_training_as_it_is(tmp_path):
    config = RunConfig(save_checkpoints_steps=1)
    est = estimator(tmp_path / "a", config=config).train(forever, max_steps=3)
    est.evaluate(line, checkpoint_path=est.checkpoints()[0])
    list(est.predict(line, est.checkpoints()[0]))
    with est.restored(est.checkpoints()[0]) as model:
        model.weights[:] = math.nan
    est.train(forever, max_steps=6)
    straight = estimator(tmp_path / "b").train(forever, max_steps=6)
    assert weights(est).tolist() == weights(straight).tolist()


def test_predictions_are_one_an_example_and_probabilities_of_a_logistic_model(tmp_path):
    linear = estimator(tmp_path / "linear").train(forever, max_steps=200)
    np.testing.assert_allclose(list(linear.predict(line)), LINE, atol=1e-2)
    logistic = estimator(tmp_path / "logistic", kind="logistic").train(side)
    found = list(logistic.predict(side))
    assert len(found) == len(X)
    assert all(isinstance(p, float) and 0 < p < 1 for p in found)
    with logistic.restored() as model:
        np.testing.assert_allclose(found, model.predict(X))
        assert model.losses(X, SIDE).shape == (len(X),)
    first = logistic.checkpoints()[0]
    assert list(logistic.predict(side, first)) == list(logistic.predict(side))


def test_a_copy_in_another_directory_shares_nothing(tmp_path):
    config = RunConfig(save_checkpoints_steps=3, model_dir=str(tmp_path / "a"))
    est = NumpyEstimator(config=config, kind="logistic", learning_rate=0.5, clock=VirtualClock())
    est.train(side, max_steps=2)
    copy = est.with_model_dir(str(tmp_path / "b"))
    assert (copy.model_dir, copy.config.model_dir) == (str(tmp_path / "b"), str(tmp_path / "b"))
    assert (copy.config.save_checkpoints_steps, copy.kind, copy.learning_rate) == (3, "logistic", 0.5)
    copy.train(side, max_steps=4)
    assert est.evaluate(side)["global_step"] == 2
    assert len(est.checkpoints()) == 1
    foreign = NumpyEstimator(str(tmp_path / "c"), SimpleNamespace(save_checkpoints_steps=7))
    assert foreign.with_model_dir(str(tmp_path / "d")).config.model_dir == str(tmp_path / "d")


def test_the_model_directory_is_the_given_one_or_the_configs_or_a_new_one(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.mkdtemp", lambda prefix: str(tmp_path / f"{prefix}1"))
    config = RunConfig(model_dir=str(tmp_path / "b"))
    assert NumpyEstimator(tmp_path / "a", config).model_dir == str(tmp_path / "a")
    assert NumpyEstimator(config=config).model_dir == str(tmp_path / "b")
    new = NumpyEstimator()
    assert new.model_dir == new.config.model_dir == str(tmp_path / "expcore-1")


def test_before_training_there_is_nothing_to_evaluate_predict_or_restore(tmp_path):
    est = estimator(tmp_path)
    assert (est.checkpoints(), est.latest_checkpoint()) == ([], None)
    with pytest.raises(NotTrained, match="train first"):
        est.evaluate(line)
    with pytest.raises(NotTrained):
        list(est.predict(line))
    with pytest.raises(NotTrained), est.restored():
        pytest.fail("restored")
    with pytest.raises(NotTrained, match="no weights yet"):
        LinearModel("linear").predict(X)


@pytest.mark.parametrize("content", [None, "", "{", "[]", "3", '{"step": 1}', '{"step": 1, "taken": "x"}'])
def test_a_checkpoint_that_is_gone_or_damaged_is_corrupt(tmp_path, content):
    est = estimator(tmp_path).train(line, steps=1)
    path = Path(est.latest_checkpoint())
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(CheckpointCorrupt, match=r"ckpt-1\.json: it cannot be read"):
        est.evaluate(line, checkpoint_path=str(path))
    if content is not None:
        with pytest.raises(CheckpointCorrupt):
            estimator(tmp_path).train(line, steps=1)


def test_a_damaged_newest_checkpoint_is_set_aside_and_training_goes_on_from_the_one_before(tmp_path, caplog):
    config = RunConfig(save_checkpoints_steps=2)
    estimator(tmp_path, config=config).train(forever, max_steps=6)
    for step in (4, 6):
        (tmp_path / f"ckpt-{step}.json").write_text("{")
    again = estimator(tmp_path, config=config).train(forever, steps=1)
    assert [Path(path).name for path in again.checkpoints()] == ["ckpt-2.json", "ckpt-3.json"]
    assert again.evaluate(line)["global_step"] == 3
    assert sorted(path.name for path in tmp_path.glob("*.damaged")) == [
        "ckpt-4.json.damaged",
        "ckpt-6.json.damaged",
    ]
    assert "set aside" in caplog.text


def test_where_no_checkpoint_can_be_read_training_is_refused_and_nothing_is_set_aside(tmp_path):
    estimator(tmp_path, config=RunConfig(save_checkpoints_steps=2)).train(forever, max_steps=4)
    for path in tmp_path.iterdir():
        path.write_text("{")
    with pytest.raises(CheckpointCorrupt, match="none of the 2 checkpoints"):
        estimator(tmp_path).train(forever, steps=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ckpt-2.json", "ckpt-4.json"]


def test_as_many_checkpoints_are_kept_also_while_it_trains_and_when_that_fails(tmp_path):
    config = RunConfig(save_checkpoints_steps=1, keep_checkpoint_max=2)
    est = estimator(tmp_path, config=config)

    class Failing:
        def after_save(self, run: Any, checkpoint_path: str) -> None:
            assert len(est.checkpoints()) <= 2
            if run.step == 4:
                raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        est.train(forever, [Failing()], max_steps=8)
    assert [Path(p).name for p in est.checkpoints()] == ["ckpt-3.json", "ckpt-4.json"]


def test_a_checkpoint_that_cannot_be_written_is_an_error_and_leaves_the_last_one(tmp_path, monkeypatch):
    est, write = estimator(tmp_path).train(line, steps=1), Path.write_text

    def cut(path: Path, text: str) -> None:
        write(path, text[:10])
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", cut)
        with pytest.raises(CannotWrite, match=r"ckpt-2\.json: the checkpoint cannot be written \(No space"):
            est.train(line, steps=1)
    assert est.checkpoints() == [str(tmp_path / "ckpt-1.json")]
    assert est.train(line, steps=2).evaluate(line)["global_step"] == 3


def test_a_kind_is_linear_or_logistic():
    with pytest.raises(InvalidArgument, match="kind is 'cubic'; it must be 'linear' or 'logistic'"):
        NumpyEstimator("m", kind="cubic")


def test_it_takes_hooks_that_need_nothing_of_another_library(tmp_path):
    est, needy = estimator(tmp_path), Seen()
    needy.requires = "tensorflow"
    assert [est.supports_hook(h) for h in (Seen(), needy, object(), Seen)] == [True, False, False, False]
    with pytest.raises(InvalidHook):
        est.train(line, [object()], steps=1)
