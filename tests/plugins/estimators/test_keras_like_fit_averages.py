"""optimizer.use_ema: averages for evaluations and exports, as after fit; training has the raw weights."""

from __future__ import annotations

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


def endless():
    return data().repeat()


def model_with(optimizer, *layers, policy=None):
    def make():
        if policy is not None:
            keras.config.set_dtype_policy(policy)
        made = [layer() for layer in layers]
        network = keras.Sequential([keras.Input((4,)), *made, keras.layers.Dense(1, name="out")])
        network.compile(optimizer(), loss="mse")
        return network

    return make


def averaged(**options):
    return lambda: opt.SGD(0.1, momentum=0.5, use_ema=True, ema_momentum=0.9, **options)


OPTIMIZERS = {
    "plain": averaged(),
    "accumulating": averaged(gradient_accumulation_steps=2),
    "loss scaled, overwriting": lambda: opt.LossScaleOptimizer(averaged(ema_overwrite_frequency=3)()),
    "several": lambda: opt.MultiOptimizer(opt.OptimizerMap(averaged()(), {"out/bias": averaged()()})),
}


class Raw(keras.callbacks.Callback):
    """Reads the variables before fit writes the averages over the weights."""

    def on_epoch_end(self, epoch, logs=None):
        self.raw = [v.numpy() for v in self.model.variables]


class AtEnd:
    """Reads the variables of the training where it ends."""

    def begin(self, run):
        pass

    def next_step(self, step):
        return step + 4

    def after_steps(self, run):
        pass

    def end(self, run):
        self.raw = [v.numpy() for v in run.model.variables]

    def failed(self, run, error):
        pass


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_evaluations_and_the_restored_model_have_the_averages(like_fit, name):
    compared = like_fit(model_with(OPTIMIZERS[name]), data, evaluate=name != "several")
    with compared.estimator.restored(compared.estimator.latest_checkpoint()) as model:
        like_fit.same_values([v.numpy() for v in model.variables], compared.theirs.variables, "by path")


def test_mixed_precision_batch_norm_and_dropout(like_fit):
    layers = keras.layers.BatchNormalization, lambda: keras.layers.Dropout(0.2)
    compared = like_fit(model_with(averaged(), *layers, policy="mixed_float16"), data)
    assert isinstance(compared.reference.optimizer, opt.LossScaleOptimizer)


def test_predictions_are_by_the_averages(like_fit):
    compared = like_fit(model_with(averaged()), data, evaluate=False)
    ours = np.stack(list(compared.estimator.predict(data)))
    like_fit.same_values([ours], [compared.reference.predict(data(), verbose=0)], "predictions")


def by_one_fit(make, seeded, steps):
    model, raw = seeded(make), Raw()
    model.fit(endless(), epochs=1, steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=[raw])
    return model, raw.raw


@pytest.mark.parametrize(
    ("name", "again"),
    [("plain", False), ("plain", True), ("loss scaled, overwriting", True)],
    ids=["same estimator", "new estimator", "new estimator, loss scaled, overwriting"],
)
def test_training_goes_on_from_the_raw_weights(like_fit, name, again):
    """Ten steps, what uses the averages, and ten more are twenty steps of fit in one go."""
    make = model_with(OPTIMIZERS[name])
    reference, raw = by_one_fit(make, like_fit.seeded, 20)
    trained = [v.numpy() for v in reference.variables]
    assert any((a != b).any() for a, b in zip(raw, trained, strict=True))
    estimator = like_fit.estimator(lambda: like_fit.seeded(make), 1)
    estimator.train(endless, max_steps=10)
    estimator.evaluate(data)
    next(iter(estimator.predict(data)))
    with estimator.restored():
        pass
    if again:
        estimator = like_fit.estimator(lambda: like_fit.seeded(make), 1)
    reader = AtEnd()
    estimator.train(endless, hooks=[reader], max_steps=20)
    like_fit.same_values(reader.raw, raw, "raw")
    with estimator.restored() as model:
        like_fit.same_values([v.numpy() for v in model.variables], trained, "averages")
        ours = [v.numpy() for v in model.optimizer.variables]
        like_fit.same_values(ours, [v.numpy() for v in reference.optimizer.variables], "optimizer")


def test_an_older_checkpoint_is_used_with_its_own_averages(like_fit):
    """Of two checkpoints the older one is what a shorter fit gives."""
    make = model_with(averaged())
    shorter, _ = by_one_fit(make, like_fit.seeded, 4)
    estimator = like_fit.estimator(lambda: like_fit.seeded(make), 1)
    older = estimator.train(endless, max_steps=4).latest_checkpoint()
    estimator.train(endless, max_steps=7)
    evaluated = estimator.evaluate(data, checkpoint_path=older)
    assert evaluated.pop("global_step") == 4
    expected = shorter.evaluate(data(), return_dict=True, verbose=0)
    like_fit.same_values([evaluated[k] for k in expected], list(expected.values()), "evaluated")
    with estimator.restored(older) as model:
        ours = [v.numpy() for v in model.variables]
    like_fit.same_values(ours, [v.numpy() for v in shorter.variables], "restored")
