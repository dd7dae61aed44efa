"""The comparison with ``model.fit`` and ``model.evaluate`` that test_keras_like_fit_*.py share."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Mapping
from itertools import count
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

SEED = 7


class Side(NamedTuple):
    """What one way of training and evaluating gave."""

    variables: list[Any]
    optimizer: list[Any]
    metric_states: list[Any]
    metrics: dict[str, float]
    evaluated: dict[str, float]


def values(variables):
    return [v.numpy() for v in variables]


def optimizers(model):
    """The variables of all optimizers that made steps, be they given to ``compile`` or other attributes."""
    import keras

    found = {id(o): o for o in vars(model).values() if isinstance(o, keras.optimizers.Optimizer)}
    return [v for o in found.values() if o.built and int(o.iterations) for v in o.variables]


def flat(logs: Mapping[str, Any]) -> dict[str, float]:
    """Logs as the estimator gives them: floats, and those of an array one by one."""
    import numpy as np

    found = {}
    for name, value in logs.items():
        array = np.asarray(value)
        if array.size == 1:
            found[name] = float(array.item())
        else:
            found |= {f"{name}_{i}": float(v) for i, v in enumerate(array.ravel())}
    return found


class Watcher:
    """Cuts the training into calls of three steps, and reads what there is at the end."""

    def __init__(self):
        self.metrics = self.metric_states = self.raw = None

    def begin(self, run):
        pass

    def next_step(self, step):
        return step + 3

    def after_steps(self, run):
        pass

    def end(self, run):
        self.metrics = dict(run.metrics)
        self.metric_states = values(run.model.metrics_variables)
        self.raw = values(run.model.variables)

    def failed(self, run, error):
        pass


class LikeFit:
    """Trains and evaluates the same seeded model by ``fit`` and by a KerasEstimator, and compares all.

    Args:
        directory: where the model directories are.
        exact: bit for bit; else to floating-point noise.
    """

    def __init__(self, directory, exact):
        self.exact, self.seeded = exact, seeded
        self._directory, self._number = directory, count()

    def __call__(
        self,
        make: Callable[[], Any],
        data: Callable[[], Any],
        steps: int | None = None,
        *,
        other: Callable[[], Any] | None = None,
        eval_data: Callable[[], Any] | None = None,
        evaluate: bool = True,
        fit_data: Callable[[], Any] | None = None,
        instance: bool = False,
        warm: bool = True,
        rtol: float = 1e-5,
        atol: float = 1e-6,
        **options: Any,
    ) -> SimpleNamespace:
        """Compares variables, optimizers, metrics with their states, and the evaluation.

        Args:
            make: returns the compiled model.
            data: returns the training data, of exactly ``steps`` batches where that is not given.
            steps: the steps to make; None: a pass over the data.
            other: makes the model for the estimator, for proving that differences are seen.
            eval_data: data to evaluate; None: the same.
            evaluate: whether to evaluate.
            fit_data: the same data for ``fit``, where it is not to read it in the same way.
            instance: give the estimator a model, not a function.
            warm: make the variables of optimizer and metrics beforehand; else the first trace makes them.
            rtol: relative noise.
            atol: absolute noise.
            options: to ``fit`` and to the estimator.
        """
        held_out = (eval_data or data) if evaluate else None
        first = data if warm else None
        reference = seeded(make, first)
        theirs = by_fit(reference, fit_data or data, steps, held_out, options)
        source = seeded(other or make, first) if instance else lambda: seeded(other or make, first)
        estimator = self.estimator(source, **options)
        ours = by_estimator(estimator, data, steps, held_out)
        self.same(ours, theirs, rtol, atol)
        return SimpleNamespace(reference=reference, estimator=estimator, ours=ours, theirs=theirs)

    def estimator(self, source, number=None, log_step_count_steps=None, **options):
        """Makes an estimator with a virtual clock and metrics over the whole run, in a fresh directory."""
        from expcore import RunConfig
        from expcore.testing import VirtualClock
        from expcore_plugins.estimators.keras import KerasEstimator

        number = next(self._number) if number is None else number
        config = RunConfig(
            log_step_count_steps=log_step_count_steps, save_summary_steps=None, save_checkpoints_secs=None
        )
        return KerasEstimator(
            source, self._directory / f"run{number}", config, clock=VirtualClock(), **options
        )

    def same(self, ours, theirs, rtol=1e-5, atol=1e-6):
        """Raises AssertionError unless all of two sides is equal, or as good as."""
        assert theirs.metrics
        for part in ("variables", "optimizer", "metric_states"):
            self.same_values(getattr(ours, part), getattr(theirs, part), part, rtol, atol)
        for part in ("metrics", "evaluated"):
            mine, other = getattr(ours, part), getattr(theirs, part)
            assert set(mine) == set(other), part
            self.same_values(
                list(mine.values()), [other[k] for k in mine], f"{part} {list(mine)}", rtol, atol
            )

    def same_values(self, ours, theirs, what, rtol=1e-5, atol=1e-6):
        """The same for two lists of arrays."""
        import numpy as np

        assert len(ours) == len(theirs), what
        for i, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            if self.exact:
                np.testing.assert_array_equal(mine, other, err_msg=f"{what} {i}")
            else:
                mine, other = np.asarray(mine, "float64"), np.asarray(other, "float64")
                np.testing.assert_allclose(mine, other, rtol, atol, err_msg=f"{what} {i}")


def seeded(make, data=None):
    """A model that draws the same numbers each time: initial values, dropout masks, noise."""
    import keras

    keras.utils.set_random_seed(SEED)
    model = make()
    kept = (getattr(type(model), n) is getattr(keras.Model, n) for n in ("train_step", "compute_loss"))
    if data is not None and model.built and all(kept):
        warm_up(model, data())
    return model


def warm_up(model, data):
    """Makes the variables of metrics and optimizer: a trace that makes some is made twice, for seconds."""
    import keras
    import tensorflow as tf

    if not isinstance(data, tf.data.Dataset):
        return
    x, y, weights = keras.utils.unpack_x_y_sample_weight(next(iter(data)))
    model.compute_metrics(x, y, model(x), weights)
    model.reset_metrics()
    model.optimizer.build(model.trainable_variables)


def given(data):
    """Data in the way of ``fit``: arrays one by one, all else in the place of features."""
    made = data()
    return dict(zip(("x", "y", "sample_weight"), made, strict=False)) if type(made) is tuple else {"x": made}


def by_fit(model, data, steps, held_out, options):
    before = values(model.variables)
    settings = {"epochs": 1, "steps_per_epoch": steps, "shuffle": False, "verbose": 0, **options}
    history = model.fit(**given(data), **settings).history
    states, trained = values(model.metrics_variables), values(model.variables)
    if len(before) == len(trained):  # else it was built by the first batch
        assert any((a != b).any() for a, b in zip(before, trained, strict=True)), "nothing was trained"
    moved = values(optimizers(model))
    evaluated = {} if held_out is None else model.evaluate(**given(held_out), return_dict=True, verbose=0)
    return Side(trained, moved, states, flat({k: v[0] for k, v in history.items()}), flat(evaluated))


def by_estimator(estimator, data, steps, held_out):
    watcher = Watcher()
    estimator.train(data, hooks=[watcher], max_steps=steps)
    evaluated = {} if held_out is None else estimator.evaluate(held_out)
    evaluated.pop("global_step", None)
    with estimator.restored() as model:
        trained, moved = values(model.variables), values(optimizers(model))
    return Side(trained, moved, watcher.metric_states, watcher.metrics, evaluated)


@pytest.fixture(scope="module")
def collected():
    """Makes it quick to collect the garbage of a test: what was there before is not looked at."""
    gc.collect()
    gc.freeze()
    yield gc.collect
    gc.unfreeze()


@pytest.fixture
def like_fit(tmp_path, collected):
    """Compares a KerasEstimator with ``fit``; bit for bit for test_keras_like_fit_exactly.py."""
    import keras
    import tensorflow as tf

    exact = "EXPCORE_TEST_BIT_FOR_BIT" in os.environ
    if exact:
        tf.config.experimental.enable_op_determinism()
    policy = keras.config.dtype_policy()
    yield LikeFit(tmp_path, exact)
    keras.config.set_dtype_policy(policy)
    # An iterator of tf.data that is freed when it is old waits for its autotuning thread, which sleeps longer
    # and longer: some seconds each, wherever the collector happens to run.
    collected()
