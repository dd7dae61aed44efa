"""The same numbers as model.fit with every optimizer and what optimizers can do."""

from __future__ import annotations

import inspect
from contextlib import nullcontext

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import optimizers as opt

pytestmark = pytest.mark.tf

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)).astype("float32")
Y = (X @ np.array([[1.0], [-2.0], [3.0], [0.5]])).astype("float32")


def data():
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(12)


def model_with(optimizer, **options):
    def make():
        network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, name="out", **options)])
        network.compile(optimizer(), loss="mse")
        return network

    return make


class SignDescent(opt.Optimizer):
    """Written by a user against the base class."""

    def build(self, variables):
        super().build(variables)
        self.signs = self.add_optimizer_variables(variables, "sign")

    def update_step(self, gradient, variable, learning_rate):
        sign = self.signs[self._get_variable_index(variable)]
        self.assign(sign, keras.ops.sign(gradient) + 0.5 * sign)
        self.assign_sub(variable, keras.ops.multiply(sign, keras.ops.cast(learning_rate, variable.dtype)))


def several():
    return opt.MultiOptimizer(opt.OptimizerMap(opt.SGD(0.05, momentum=0.9), {"out/bias": opt.Adam(0.02)}))


OPTIMIZERS = {
    "Adadelta": lambda: opt.Adadelta(1.0),
    "Adafactor": lambda: opt.Adafactor(0.05),
    "Adagrad": lambda: opt.Adagrad(0.1),
    "Adam": lambda: opt.Adam(0.05, amsgrad=True),
    "AdamW": lambda: opt.AdamW(0.05, weight_decay=0.01),
    "Adamax": lambda: opt.Adamax(0.05),
    "Ftrl": lambda: opt.Ftrl(0.1, l1_regularization_strength=0.01, l2_shrinkage_regularization_strength=0.01),
    "Lamb": lambda: opt.Lamb(0.05),
    "Lion": lambda: opt.Lion(0.01),
    "LossScaleOptimizer": lambda: opt.LossScaleOptimizer(opt.Adam(0.05), dynamic_growth_steps=2),
    "MultiOptimizer": several,
    "Muon": lambda: opt.Muon(0.05),
    "Nadam": lambda: opt.Nadam(0.05),
    "Optimizer": lambda: SignDescent(0.01),
    "RMSprop": lambda: opt.RMSprop(0.02, momentum=0.5, centered=True),
    "SGD": lambda: opt.SGD(0.05, momentum=0.9, nesterov=True),
    "ScheduleFreeAdamW": lambda: opt.ScheduleFreeAdamW(0.05, warmup_steps=3),
}


def test_every_public_optimizer_is_compared():
    public = {name for name, value in vars(opt).items() if inspect.isclass(value)}
    assert public - set(OPTIMIZERS) == {"OptimizerMap"}  # names optimizers, is none


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(like_fit, name):
    """Some are built while a step is traced, as is usual; the others before, for the time of the test."""
    warm = name not in ("Adam", "LossScaleOptimizer", "MultiOptimizer", "Optimizer")
    compared = like_fit(model_with(OPTIMIZERS[name]), data, evaluate=False, warm=warm)
    assert int(compared.reference.optimizer.iterations) == 5


SCHEDULES = {
    "exponential": lambda: opt.schedules.ExponentialDecay(0.1, 2, 0.5),
    "piecewise": lambda: opt.schedules.PiecewiseConstantDecay([1, 3], [0.1, 0.05, 0.01]),
    "warmup and restarts": lambda: opt.schedules.CosineDecayRestarts(0.1, 2),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_of_the_learning_rate(like_fit, name):
    like_fit(model_with(lambda: opt.SGD(SCHEDULES[name]())), data, evaluate=False)


@pytest.mark.parametrize(
    "clip",
    [{"clipnorm": 0.1}, {"clipvalue": 0.05}, {"global_clipnorm": 0.1, "weight_decay": 0.1}],
    ids=["norm", "value", "global norm and decay"],
)
def test_clipping_and_decay(like_fit, clip):
    like_fit(model_with(lambda: opt.SGD(0.5, **clip), kernel_constraint="non_neg"), data, evaluate=False)


@pytest.mark.parametrize("wrap", [lambda o: o, opt.LossScaleOptimizer], ids=["plain", "loss scaled"])
def test_gradient_accumulation(like_fit, wrap):
    """Five steps by twos: the last gradients wait in the accumulator."""

    def accumulating():
        return wrap(opt.Adam(0.05, gradient_accumulation_steps=2, clipnorm=1.0))

    compared = like_fit(model_with(accumulating), data)
    optimizer = compared.reference.optimizer
    waiting = getattr(optimizer, "inner_optimizer", optimizer).variables
    assert any("accumulator" in v.path and np.any(v.numpy()) for v in waiting)


def test_a_loss_scale_that_overflows_and_grows(like_fit):
    def scaled():
        return opt.LossScaleOptimizer(opt.SGD(0.05), initial_scale=3e38, dynamic_growth_steps=2)

    compared = like_fit(model_with(scaled), data, evaluate=False)
    assert 0 < int(compared.reference.optimizer.iterations) < 5  # some steps were skipped


def test_the_comparison_sees_differences(like_fit):
    plain = model_with(lambda: opt.SGD(0.05))
    with pytest.raises(AssertionError, match="optimizer"):
        like_fit(plain, data, other=model_with(lambda: opt.SGD(0.05, momentum=1e-9)), evaluate=False)

    def other_seed():
        keras.utils.set_random_seed(8)
        return plain()

    with pytest.raises(AssertionError, match="variables"):
        like_fit(plain, data, other=other_seed, evaluate=False)
    noise = pytest.raises(AssertionError, match="Mismatched") if like_fit.exact else nullcontext()
    with noise:
        like_fit(plain, data, other=model_with(lambda: opt.SGD(0.05 * (1 + 1e-6))), evaluate=False)
