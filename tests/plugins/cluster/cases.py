"""Models and data that several processes train as one does, and a program that trains them all.

``python cases.py FOLDER``: trains every case in a folder of its own, alone or in the cluster of TF_CONFIG.
"""

from __future__ import annotations

import json
import os
import sys
from functools import partial

STEPS = int(os.environ.get("STEPS", 12))
ONLY = os.environ.get("CASES", "").split("; ")
BATCH = 16
ROWS = 88  # not a multiple of the batch: the last one of a pass has 8, which 3 do not divide

CASES = {}


def case(name, **about):
    def add(make):
        CASES[name] = partial(make, **about)
        return make

    return add


def numbers(rows=ROWS, width=6):
    import numpy as np

    random = np.random.default_rng(3)
    x = random.normal(size=(rows, width)).astype("float32")
    return (
        x,
        (x[:, :1] + 0.3 * x[:, 1:2] > 0).astype("float32"),
        random.uniform(0.1, 3, rows).astype("float32"),
    )


def dataset(*parts, shuffle=True, remainder=False):
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices(parts)
    data = data.shuffle(ROWS) if shuffle else data
    return data.batch(BATCH, drop_remainder=not remainder).repeat()


def dense(*layers, optimizer, loss="binary_crossentropy", metrics=("accuracy",), activation="sigmoid", **how):
    import keras

    model = keras.Sequential([keras.Input((6,)), *layers, keras.layers.Dense(1, activation=activation)])
    model.compile(optimizer=optimizer, loss=loss, metrics=list(metrics), **how)
    return model


def hidden(**about):
    import keras

    return keras.layers.Dense(8, activation="tanh", **about)


def optimizers():
    from keras import optimizers as o

    decay = o.schedules.ExponentialDecay(0.1, 3, 0.8)
    return {
        "sgd": lambda: o.SGD(0.1),
        "momentum": lambda: o.SGD(0.1, momentum=0.9, nesterov=True),
        "adam": lambda: o.Adam(0.05),
        "adamw": lambda: o.AdamW(0.05, weight_decay=0.1),
        "averages": lambda: o.Adam(0.05, use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=5),
        "schedule": lambda: o.SGD(decay),
        "clipnorm": lambda: o.SGD(0.5, clipnorm=0.05),
        "global clipnorm": lambda: o.Adam(0.05, global_clipnorm=0.05),
        "clipvalue": lambda: o.SGD(0.5, clipvalue=0.01),
        "loss scale": lambda: o.LossScaleOptimizer(o.Adam(0.05, clipnorm=0.1), initial_scale=1024.0),
        "accumulation": lambda: o.Adam(0.05, gradient_accumulation_steps=3),
        "accumulation and clipping": lambda: o.SGD(0.5, gradient_accumulation_steps=2, global_clipnorm=0.1),
    }


OPTIMIZERS = (
    "sgd",
    "momentum",
    "adam",
    "adamw",
    "averages",
    "schedule",
    "clipnorm",
    "global clipnorm",
    "clipvalue",
    "loss scale",
    "accumulation",
    "accumulation and clipping",
)

for _name in OPTIMIZERS:

    @case(_name, optimizer=_name)
    def optimizer_case(optimizer):
        x, y, _ = numbers()
        return lambda: dense(hidden(), optimizer=optimizers()[optimizer]()), lambda: dataset(x, y)


@case("a last batch that is short")
def short():
    x, y, _ = numbers()
    return lambda: dense(hidden(), optimizer="adam"), lambda: dataset(x, y, remainder=True)


@case("fewer rows than processes")
def few():
    import tensorflow as tf

    x, y, _ = numbers(17)
    data = lambda: tf.data.Dataset.from_tensor_slices((x, y)).batch(BATCH).repeat()  # noqa: E731
    return lambda: dense(hidden(), optimizer="sgd"), data


@case("weights", reduction="sum_over_batch_size")
@case("weights, their mean", reduction="mean_with_sample_weight")
@case("weights, their sum", reduction="sum")
def weights(reduction):
    import keras

    x, y, w = numbers()
    loss = lambda: keras.losses.BinaryCrossentropy(reduction=reduction)  # noqa: E731
    return (
        lambda: dense(hidden(), optimizer=keras.optimizers.SGD(0.05), loss=loss()),
        lambda: dataset(x, y, w, remainder=True),
    )


@case("regularizers and constraints")
def regularized():
    import keras

    x, y, _ = numbers()
    layer = lambda: hidden(  # noqa: E731
        kernel_regularizer=keras.regularizers.L2(0.1),
        activity_regularizer=keras.regularizers.L1(0.05),
        bias_constraint=keras.constraints.MaxNorm(0.1),
    )
    return lambda: dense(layer(), optimizer="adam"), lambda: dataset(x, y, remainder=True)


@case("batch normalisation")
def normalized():
    import keras

    x, y, _ = numbers()
    return (
        lambda: dense(hidden(), keras.layers.BatchNormalization(momentum=0.7), optimizer="adam"),
        lambda: dataset(x, y, remainder=True),
    )


@case("layer normalisation")
def normalized_by_row():
    import keras

    x, y, _ = numbers()
    layers = keras.layers

    def model():
        normal = (
            layers.LayerNormalization(dtype="float64"),
            layers.LayerNormalization(axis=[1, 2], scale=False),
        )
        return dense(hidden(), layers.Reshape((4, 2)), *normal, layers.Flatten(), optimizer="adam")

    return model, lambda: dataset(x, y, remainder=True)


@case("class weights")
def classes():
    x, y, _ = numbers()
    return lambda: dense(hidden(), optimizer="adam"), lambda: dataset(x, y)


@case("a loss function that takes the mean itself")
def own_loss():
    import keras

    x, y, _ = numbers()

    def loss(true, given):
        return keras.ops.mean(keras.ops.square(true - given))

    return lambda: dense(hidden(), optimizer="adam", loss=loss), lambda: dataset(x, y, remainder=True)


@case("masks", normalized=False)
@case("masks and batch normalisation", normalized=True)
def masked(normalized):
    import keras
    import numpy as np

    random = np.random.default_rng(5)
    x = random.integers(1, 9, (ROWS, 7))
    for i, row in enumerate(x):
        row[1 + i % 7 :] = 0
    y = (x % 2).astype("float32")[..., None]

    def model():
        layers = [
            keras.Input((7,), dtype="int32"),
            keras.layers.Embedding(9, 4, mask_zero=True),
            *([keras.layers.BatchNormalization()] if normalized else []),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
        built = keras.Sequential(layers)
        built.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        return built

    return model, lambda: dataset(x, y)


@case("two outputs")
def outputs():
    import keras

    x, y, _ = numbers()

    def model():
        given = keras.Input((6,))
        shared = hidden()(given)
        one = keras.layers.Dense(1, activation="sigmoid", name="one")(shared)
        two = keras.layers.Dense(6, name="two")(shared)
        built = keras.Model(given, {"one": one, "two": two})
        built.compile(
            "adam",
            {"one": "binary_crossentropy", "two": "mse"},
            loss_weights={"one": 0.3, "two": 2.0},
            metrics={"one": [keras.metrics.AUC(name="auc")]},
        )
        return built

    def data():
        import tensorflow as tf

        both = (x, {"one": y, "two": x[:, ::-1].copy()})
        return tf.data.Dataset.from_tensor_slices(both).shuffle(ROWS).batch(BATCH).repeat()

    return model, data


@case("sparse and ragged")
def sparse():
    import keras
    import numpy as np
    import tensorflow as tf

    words = tf.ragged.constant([[1 + (i * k) % 8 for k in range(i % 4)] for i in range(ROWS)], dtype=tf.int32)
    y = (np.arange(ROWS) % 3 == 0).astype("float32")[:, None]

    class Bag(keras.Model):
        def __init__(self):
            super().__init__()
            self.table = keras.layers.Embedding(9, 4)  # Adam squares each of its slices, SGD adds them up
            self.last = keras.layers.Dense(1, activation="sigmoid")

        def call(self, x):
            return self.last(tf.reduce_sum(tf.ragged.map_flat_values(self.table, x), 1))

    def model():
        built = Bag()
        built.compile(keras.optimizers.SGD(0.1), "binary_crossentropy", metrics=["accuracy"])
        return built

    return model, lambda: dataset(words, y, remainder=True)


def two_layers(train_step, metrics=(), between=None, **compiled):
    """A model with a training step of its own, a function of the model, features and labels.

    ``between`` makes a layer between the two.
    """
    import keras

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.one, self.two = hidden(), keras.layers.Dense(1)
            self.between = between() if between else lambda x: x
            self.scale = self.add_weight(shape=(), initializer=keras.initializers.Constant(0.3), name="scale")
            self.tracker = keras.metrics.Mean("told")
            self.weighed = keras.metrics.Mean("weighed")

        def call(self, x):
            return self.two(self.between(self.one(x)))

        def train_step(self, data):
            return train_step(self, *data)

    built = Own()
    built.compile(loss="mse", metrics=list(metrics) or None, **{"optimizer": "adam", **compiled})
    return built


def gradients(model, loss):
    """Gradients of ``loss(given)`` after a tape, the loss, and what the model gives."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        given = model(model.seen, training=True)
        value = loss(given)
    return tape.gradient(value, model.trainable_variables), value, given


def apply(model, found):
    model.optimizer.apply_gradients(zip(found, model.trainable_variables, strict=True))


def plain(model, x, y):
    import tensorflow as tf

    model.seen = x
    found, loss, given = gradients(model, lambda given: model.compute_loss(y=y, y_pred=given))
    apply(model, found)
    return {"mean": tf.reduce_mean(tf.abs(given)), "whole": loss, "norm": tf.linalg.global_norm(found)}


def clipped(model, x, y):
    import tensorflow as tf

    model.seen = x
    found, *_ = gradients(model, lambda given: model.compute_loss(y=y, y_pred=given))
    found, norm = tf.clip_by_global_norm(found, 0.1)
    apply(model, found)
    return {"norm": norm}


def by_hand(model, x, y):
    """Means and sums, of examples and of batches, weights, and what does not hang on the data."""
    import keras
    import tensorflow as tf

    model.seen = x

    def loss(given):
        squares = tf.square(given - y)
        mean = keras.ops.mean(keras.ops.sum(squares, axis=1))
        average = tf.reduce_sum(squares) / tf.cast(tf.shape(squares)[0], tf.float32)
        total = 0.01 * keras.ops.sum(squares) - tf.nn.l2_loss(given) / 90.0
        weights = tf.add_n([tf.nn.l2_loss(v) for v in model.trainable_variables])
        return 2.0 * mean + 0.3 * average + total + 0.05 * weights

    found, value, given = gradients(model, loss)
    apply(model, found)
    model.tracker.update_state(value)
    model.weighed.update_state(tf.reduce_mean(given), sample_weight=tf.shape(x)[0])
    return {
        "told": model.tracker.result(),
        "weighed": model.weighed.result(),
    }


def weighed(model, x, y):
    """Losses that learn what they weigh, as TensorFlow's own functions for replicas reduce them."""
    import keras
    import tensorflow as tf

    model.seen = x

    def loss(given):
        squares = tf.reduce_sum(tf.square(given - y), axis=1)
        learned = tf.exp(-model.scale) * tf.reduce_mean(squares) + 0.5 * model.scale
        divided = keras.losses.MeanSquaredError()(y, given) / (2.0 * model.scale**2 + 1.0)
        own = tf.nn.compute_average_loss(tf.abs(given - y)[:, 0])
        regular = tf.nn.scale_regularization_loss(
            [0.01 * tf.nn.l2_loss(v) for v in model.trainable_variables]
        )
        return learned + divided + own + regular

    found, value, _ = gradients(model, loss)
    apply(model, found)
    for metric in model.metrics:  # as Keras's guide does it
        if metric.name == "loss":
            metric.update_state(value)
    model.tracker.update_state(value, sample_weight=tf.shape(x)[0])
    return {"total": model.tracker.result(), "loss": model._loss_tracker.result()}


def of_products(model, x, y):
    """Sums over the rows of products, as tf.einsum writes them."""
    import tensorflow as tf

    model.seen = x

    def loss(given):
        error, rows = given - y, tf.cast(tf.shape(given)[0], tf.float32)
        together = tf.einsum("bi,bj->ij", x, error) / rows
        return tf.einsum("bi,bi->", error, error) / rows + tf.reduce_sum(together**2)

    found, value, _ = gradients(model, loss)
    apply(model, found)
    return {"whole": value}


def made_of_means(model, x, y):
    """Numbers of the whole batch that are neither sums nor means, but made of them."""
    import keras
    import tensorflow as tf

    model.seen = x
    positive = y[:, 0]

    def loss(given):
        error = given[:, 0] - positive
        squares = error**2
        mean, learned = tf.reduce_mean(squares), tf.sigmoid(given[:, 0])
        masked = tf.reduce_sum(squares * positive) / tf.maximum(tf.reduce_sum(positive), 1.0)
        weighed = tf.reduce_sum(squares * learned) / (tf.reduce_sum(learned) + 1e-6)
        features = model.one(x)
        covariance = tf.matmul(features, features, transpose_a=True) / tf.cast(tf.shape(x)[0], tf.float32)
        centre = tf.square(tf.reduce_mean(features, axis=0))
        dice = keras.losses.Dice()(y, tf.sigmoid(given))
        stopped = tf.stop_gradient(2.0 * mean) * tf.reduce_mean(error)
        whole = mean * tf.cast(tf.shape(x)[0], tf.float32)
        return (
            tf.sqrt(mean) * tf.exp(-model.scale)
            + masked
            + weighed
            + 0.1 * tf.reduce_sum(covariance[0] ** 2)
            + tf.reduce_max(centre)
            + dice
            + stopped
            + 0.01 * tf.where(mean > 0.1, tf.math.log(whole), whole)
        )

    found, value, given = gradients(model, loss)
    apply(model, found)
    model.tracker.update_state(value)
    return {"told": model.tracker.result(), "value": value, "rmse": tf.sqrt(tf.reduce_mean(given**2))}


def of_inputs(model, x, y):
    """Gradients with regard to inputs: examples made harder by a loss, and a penalty on the steepness."""
    import tensorflow as tf

    model.seen = x
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = tf.reduce_mean((model(x) - y) ** 2) + model.compute_loss(y=y, y_pred=model(x))
    harder = x + 2.0 * tape.gradient(value, x)
    with tf.GradientTape() as tape:
        with tf.GradientTape() as inner:
            inner.watch(x)
            given = model(x)
            mean = tf.reduce_mean(given)
        steep = inner.gradient([mean, 0.1 * given], x)
        loss = tf.reduce_mean(tf.reduce_sum(steep**2, axis=1)) + model.compute_loss(y=y, y_pred=model(harder))
    apply(model, tape.gradient(loss, model.trainable_variables))
    return {"loss": loss, "steep": tf.reduce_mean(steep)}


def of_some(model, x, y):
    """A mean of some of the rows, as many as there are."""
    import tensorflow as tf

    model.seen = x
    found, *_ = gradients(model, lambda given: tf.reduce_mean(tf.boolean_mask((given - y) ** 2, y[:, 0] > 0)))
    apply(model, found)
    return {}


def assigned(model, x, y):
    model.seen = x
    found, loss, _ = gradients(model, lambda given: model.compute_loss(y=y, y_pred=given))
    for variable, grad in zip(model.trainable_variables, found, strict=True):
        if grad is not None:
            variable.assign_sub(0.1 * grad)
    return {"whole": loss}


OWN_STEPS = {
    "a training step of its own": plain,
    "gradients that it clips itself": clipped,
    "a loss written by hand": by_hand,
    "losses with learned weights": weighed,
    "a mean of some rows": of_some,
    "numbers made of sums and means": made_of_means,
    "sums of products": of_products,
    "gradients with regard to inputs": of_inputs,
    "weights that it assigns": assigned,
}

for _name in OWN_STEPS:

    @case(_name, step=OWN_STEPS[_name])
    def own_step(step):
        import keras

        x, y, _ = numbers()
        how = {"optimizer": "sgd"} if step is assigned else {}
        if step is of_inputs:
            how["between"] = keras.layers.LayerNormalization
        return lambda: two_layers(step, **how), lambda: dataset(x, y, remainder=True)


@case("two optimizers")
def adversaries():
    import keras
    import tensorflow as tf

    x, _, _ = numbers()

    class Adversaries(keras.Model):
        def __init__(self):
            super().__init__()
            self.maker, self.judge = keras.layers.Dense(6), keras.layers.Dense(1)
            self.seen = keras.metrics.Mean("judged")
            self.other = keras.optimizers.SGD(0.05)

        def train_step(self, data):  # and no call()
            (x,) = data
            cross = keras.losses.BinaryCrossentropy(from_logits=True)
            made = self.maker(x[:, ::-1])
            ones, zeros = tf.ones_like(x[:, :1]), tf.zeros_like(x[:, :1])
            with tf.GradientTape() as tape:
                judged = cross(tf.concat([ones, zeros], 0), self.judge(tf.concat([x, made], 0)))
            found = tape.gradient(judged, self.judge.trainable_variables)
            self.optimizer.apply(found, self.judge.trainable_variables)
            with tf.GradientTape() as tape:
                fooled = cross(ones, self.judge(self.maker(x[:, ::-1])))
            found = tape.gradient(fooled, self.maker.trainable_variables)
            self.other.apply(found, self.maker.trainable_variables)
            self.seen.update_state(judged)
            return {"judged": self.seen.result(), "fooled": fooled}

    def model():
        built = Adversaries()
        built.compile(keras.optimizers.SGD(0.05))
        return built

    return model, lambda: dataset(x, remainder=True)


@case("losses of layers")
def added():
    import keras

    x, y, _ = numbers()

    class Penalty(keras.layers.Layer):
        def call(self, x):
            self.add_loss(0.01 * keras.ops.sum(x**2))
            self.add_loss(0.1 * keras.ops.mean(keras.ops.sum(x**2, axis=1)))
            self.add_loss(0.02 * keras.ops.sum(keras.ops.abs(x), axis=1))
            return x

    return lambda: dense(hidden(), Penalty(), optimizer="adam"), lambda: dataset(x, y, remainder=True)


@case("a loss function that takes the sum itself")
def own_sum():
    import keras

    x, y, _ = numbers()

    def loss(true, given):
        return keras.ops.sum(keras.ops.square(true - given))

    sgd = keras.optimizers.SGD
    return lambda: dense(hidden(), optimizer=sgd(0.01), loss=loss), lambda: dataset(x, y, remainder=True)


@case("a recurrent layer", layer="GRU")
@case("another recurrent layer", layer="LSTM")
@case("a simple recurrent layer", layer="SimpleRNN")
def recurrent(layer):
    import keras

    x, y, _ = numbers()

    def model():
        built = keras.Sequential(
            [keras.Input((2, 3)), getattr(keras.layers, layer)(4), keras.layers.Dense(1)]
        )
        built.compile(keras.optimizers.SGD(0.1), "mse")
        return built

    return model, lambda: dataset(x.reshape(-1, 2, 3), y, remainder=True)


@case("normalisation that build() makes")
def built_normalized():
    import keras

    x, y, _ = numbers()

    class Late(keras.Model):
        def build(self, shape):
            self.one, self.last = keras.layers.Dense(8), keras.layers.Dense(1)
            self.normal = keras.layers.BatchNormalization(momentum=0.7)

        def call(self, x, training=False):
            return self.last(self.normal(self.one(x), training=training))

    def model():
        built = Late()
        built.compile(keras.optimizers.SGD(0.1), "mse")
        return built

    return model, lambda: dataset(x, y, remainder=True)


@case("optimizers in a dict")
def kept_optimizers():
    import keras

    x, y, _ = numbers()

    def step(model, x, y):
        model.seen = x
        found, loss, _ = gradients(model, lambda given: model.compute_loss(y=y, y_pred=given))
        model.others["one"].apply(found, model.trainable_variables)
        return {"whole": loss}

    def model():
        built = two_layers(step)
        built.others = {"one": keras.optimizers.SGD(0.1)}
        return built

    return model, lambda: dataset(x, y, remainder=True)


@case("a loss of the whole batch", loss="dice")
@case("a masked mean as a loss function", loss="masked")
def of_batch(loss):
    import keras

    x, y, _ = numbers()

    def masked(true, given):
        there = keras.ops.cast(true > 0.5, "float32")
        squares = keras.ops.square(true - given) * there
        return keras.ops.sum(squares) / keras.ops.maximum(keras.ops.sum(there), 1.0)

    def root(true, given):
        return keras.ops.sqrt(keras.ops.mean(keras.ops.square(true - given)))

    made = {"dice": keras.losses.Dice, "masked": lambda: masked}[loss]
    sgd = keras.optimizers.SGD
    return (
        lambda: dense(hidden(), optimizer=sgd(0.1), loss=made(), metrics=[root]),
        lambda: dataset(x, y, remainder=True),
    )


@case("gradients that are computed anew")
def recomputed():
    import keras
    import tensorflow as tf

    x, y, _ = numbers()

    class Recomputed(keras.layers.Layer):
        def build(self, shape):
            self.inner = hidden()
            self.inner.build(shape)

        def call(self, x):
            return tf.recompute_grad(self.inner)(x)

    return lambda: dense(Recomputed(), optimizer="sgd"), lambda: dataset(x, y, remainder=True)


@case("metrics of its own")
def own_metrics():
    import keras

    x, y, _ = numbers()

    class PerBatch(keras.metrics.Metric):
        """The mean over batches of a batch's mean."""

        def __init__(self):
            super().__init__(name="per_batch")
            self.total = self.add_weight(name="total", initializer="zeros")
            self.count = self.add_weight(name="count", initializer="zeros")

        def update_state(self, true, given, sample_weight=None):
            self.total.assign_add(keras.ops.mean(keras.ops.abs(true - given)))
            self.count.assign(self.count + 1.0)

        def result(self):
            return self.total / self.count

    class Wrong(keras.metrics.Metric):
        """A whole number that is computed of others."""

        def __init__(self):
            super().__init__(name="wrong")
            self.count = self.add_weight(name="count", initializer="zeros", dtype="int32")

        def update_state(self, true, given, sample_weight=None):
            right = keras.ops.equal(true, keras.ops.round(given))
            self.count.assign_add(keras.ops.shape(true)[0] - keras.ops.sum(keras.ops.cast(right, "int32")))

        def result(self):
            return self.count

    class OfNumbers(keras.metrics.Mean):
        def update_state(self, true, given, sample_weight=None):
            return super().update_state(keras.ops.mean(keras.ops.abs(true - given)))

    class OfColumns(keras.metrics.Mean):
        def update_state(self, true, given, sample_weight=None):
            both = keras.ops.concatenate([true - given, 2 * given], axis=1)
            return super().update_state(keras.ops.mean(keras.ops.abs(both), axis=0))

    class SumOfNumbers(keras.metrics.Sum):
        def update_state(self, true, given, sample_weight=None):
            return super().update_state(keras.ops.mean(given), sample_weight=sample_weight)

    def mean(true, given):
        return keras.ops.mean(keras.ops.square(true - given))

    def metrics():
        of_keras = [OfNumbers(name="a"), OfColumns(name="b"), SumOfNumbers(name="c")]
        return [
            *of_keras,
            PerBatch(),
            Wrong(),
            mean,
            keras.metrics.AUC(),
            keras.metrics.RootMeanSquaredError(),
        ]

    return (
        lambda: dense(hidden(), optimizer="adam", metrics=metrics()),
        lambda: dataset(x, y, remainder=True),
    )


@case("dropout")
def dropped():
    import keras

    x, y, _ = numbers()
    return lambda: dense(hidden(), keras.layers.Dropout(0.5, seed=3), optimizer="adam"), lambda: dataset(x, y)


@case("data of its own")
def own_data():
    import tensorflow as tf

    x, y, _ = numbers()

    def data(input_context):
        n, i = input_context.num_input_pipelines, input_context.input_pipeline_id
        part = tf.data.Dataset.from_tensor_slices((x, y)).shard(n, i)
        return part.batch(input_context.get_per_replica_batch_size(BATCH)).repeat()

    return lambda: dense(hidden(), optimizer="adam"), data


@case("data of its own, without end")
def own_endless():
    import tensorflow as tf

    x, y, _ = numbers()

    def data(input_context):
        n, i = input_context.num_input_pipelines, input_context.input_pipeline_id
        part = tf.data.Dataset.from_tensor_slices((x, y)).shard(n, i).repeat()
        return part.batch(input_context.get_per_replica_batch_size(BATCH), drop_remainder=True)

    return lambda: dense(hidden(), optimizer="adam"), data


def written(rows):
    """A file for each eighth of some rows, one number a line; the same in every process."""
    folder = os.path.join(sys.argv[1], "files")
    os.makedirs(folder, exist_ok=True)
    names = []
    for i in range(8):
        names.append(os.path.join(folder, f"{i}.txt"))
        beside = f"{names[-1]}-{os.getpid()}"
        with open(beside, "w") as file:
            file.writelines(f"{value:.6f}\n" for value in rows[i::8])
        os.replace(beside, names[-1])
    return names


def read(names, batch):
    import tensorflow as tf

    lines = tf.data.Dataset.from_tensor_slices(names).interleave(tf.data.TextLineDataset, cycle_length=1)
    numbers = lines.map(lambda line: tf.strings.to_number(line))
    return numbers.map(lambda x: (x * tf.ones(6), tf.cast(x > 0, tf.int32))).repeat().batch(batch)


@case("data by files")
def by_files():
    import tensorflow as tf

    names = written(numbers()[0][:, 0])
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.FILE
    return lambda: dense(hidden(), optimizer="adam"), lambda: read(names, BATCH).with_options(options)


@case("data by files, dealt by hand")
def by_files_by_hand():
    names = written(numbers()[0][:, 0])

    def data(input_context):
        n, i = input_context.num_input_pipelines, input_context.input_pipeline_id
        return read(names[i::n], input_context.get_per_replica_batch_size(BATCH))

    return lambda: dense(hidden(), optimizer="adam"), data


@case("data of its own, of different lengths")
def own_lengths():
    import tensorflow as tf

    x, y, _ = numbers()

    def data(input_context):
        rows = 80 if input_context.input_pipeline_id else 48
        return tf.data.Dataset.from_tensor_slices((x[:rows], y[:rows])).batch(8)

    return lambda: dense(hidden(), optimizer="adam"), data


@case("numbers drawn by the layers")
def drawn():
    import keras
    import tensorflow as tf

    x, y, _ = numbers()

    class Drawing(keras.Model):
        def __init__(self):
            super().__init__()
            self.one, self.drop = keras.layers.Dense(1), keras.layers.Dropout(0.5, seed=3)
            # Whole numbers, of which no mean is taken.
            self.seen = self.add_weight(shape=(8,), dtype="int32", trainable=False, name="seen")
            self.raw = self.add_weight(shape=(8,), dtype="int32", trainable=False, name="raw")

        def call(self, x, training=False):
            if training:
                self.seen.assign(tf.cast(self.drop(tf.ones(8), training=True), tf.int32))
                self.raw.assign(tf.random.uniform((8,), maxval=1000, dtype=tf.int32))
            return self.one(x)

    def model():
        built = Drawing()
        built.compile("sgd", "mse")
        return built

    return model, lambda: dataset(x, y)


@case("a running mean of its own")
def running():
    import keras
    import tensorflow as tf

    x, y, _ = numbers()

    class Centred(keras.layers.Layer):
        """Keeps a running mean of what it sees, and does not use it in training."""

        def build(self, shape):
            self.mean = self.add_weight(shape=(shape[-1],), trainable=False, name="mean")
            self.frozen = self.add_weight(shape=(3,), initializer="ones", trainable=False, name="frozen")

        def call(self, x, training=False):
            if training:
                self.mean.assign(0.9 * self.mean + 0.1 * tf.reduce_mean(x, axis=0))
            return x

    return lambda: dense(Centred(), hidden(), optimizer="adam"), lambda: dataset(x, y)


@case("what layers keep and steps use")
def remembered():
    """A running mean that is used at once, one of the loss by which that is scaled, and a count of rows."""
    import keras
    import tensorflow as tf

    x, y, _ = numbers(rows=ROWS - 3)

    class Centred(keras.layers.Layer):
        def build(self, shape):
            self.mean = self.add_weight(shape=(shape[-1],), trainable=False, name="mean")
            self.spread = self.add_weight(
                shape=(shape[-1],), initializer="ones", trainable=False, name="spread"
            )
            self.seen = self.add_weight(dtype="int64", initializer="zeros", trainable=False, name="seen")
            self.steps = self.add_weight(
                initializer="zeros", trainable=False, aggregation="sum", name="steps"
            )

        def call(self, x, training=False):
            mean = self.mean
            if training:
                # What it returns has the gradient of what is kept.
                mean = self.mean.assign(0.5 * self.mean + 0.5 * tf.reduce_mean(x, axis=0))
                squares = tf.reduce_mean((x - self.mean) ** 2, axis=0)
                self.spread.assign_add(0.1 * (squares - self.spread))
                self.seen.assign_add(tf.cast(tf.shape(x)[0], tf.int64))
                self.steps.assign_add(1.0)
            self.add_loss(0.1 * tf.reduce_mean(x**2))  # while the other devices are waited for
            return (x - mean) / tf.sqrt(self.spread)

    class Scaled(keras.Model):
        def __init__(self):
            super().__init__()
            self.centred, self.first, self.last = Centred(), hidden(), keras.layers.Dense(1)
            self.level = self.add_weight(initializer="ones", trainable=False, name="level")

        def call(self, x, training=False):
            return self.last(self.centred(self.first(x), training=training))

        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True))
                self.level.assign(0.9 * self.level + 0.1 * loss)
                scaled = loss / tf.stop_gradient(self.level.value + 0.1)
            self.optimizer.apply(tape.gradient(scaled, self.trainable_variables), self.trainable_variables)
            return {"loss": loss, "level": self.level.value, "rounded": tf.round(10 * loss)}

    def make():
        model = Scaled()
        model.compile("adam", "mse")
        return model

    return make, lambda: dataset(x, y, remainder=True)


# Steps are treated alike between processes and on the devices of one: the short set tries what it can in one
# of both ways, ``make campaign`` (EXPCORE_LONG) all in both. There is one input for all devices of a process.
LONG = bool(os.environ.get("EXPCORE_LONG"))
IN_THE_CAMPAIGN_ONLY = (
    *("momentum", "adamw", "schedule", "clipvalue"),
    *("another recurrent layer", "a simple recurrent layer"),
    "masks",  # those with batch normalisation are in the short set
    "adam",
    "weights",
    "a running mean of its own",
    "a loss function that takes the sum itself",
    "a loss of the whole batch",
    "a mean of some rows",
    "gradients that are computed anew",
    "losses with learned weights",
    "optimizers in a dict",
    "sums of products",
    "averages",
    "weights, their sum",
    "accumulation and clipping",
    "class weights",
    "regularizers and constraints",
    "a loss function that takes the mean itself",
    "two outputs",
)
BETWEEN_PROCESSES_ONLY = (
    "sgd",
    "clipnorm",
    "accumulation",
    "dropout",
    "a last batch that is short",
    "weights, their mean",
    "sparse and ragged",
    "a training step of its own",
)
ON_DEVICES_ONLY = (
    "batch normalisation",
    "layer normalisation",
    "fewer rows than processes",
    "loss scale",
    "global clipnorm",
    "gradients that it clips itself",
    "normalisation that build() makes",
    "a loss written by hand",
    "a masked mean as a loss function",
    "losses of layers",
    "metrics of its own",
    "numbers made of sums and means",  # and between three processes
    "weights that it assigns",
    "gradients with regard to inputs",
    "two optimizers",
    "a recurrent layer",
)
CHOSEN = [name for name in CASES if LONG or name not in IN_THE_CAMPAIGN_ONLY]
BETWEEN_PROCESSES = [name for name in CHOSEN if LONG or name not in ON_DEVICES_ONLY]
ON_DEVICES = [
    name for name in CHOSEN if not name.startswith("data") and (LONG or name not in BETWEEN_PROCESSES_ONLY)
]
# 16 rows of a batch are not the same number for each of three.
BETWEEN_THREE = ["clipnorm", "fewer rows than processes", "numbers made of sums and means"]
if LONG:
    BETWEEN_THREE += ["a last batch that is short", "weights, their mean", "masks and batch normalisation"]
RESUMED = ["what layers keep and steps use", "dropout", "data of its own"]
if LONG:
    RESUMED += ["a last batch that is short", "adam", "batch normalisation"]


def digest(arrays):
    import hashlib

    found = hashlib.sha256()
    for array in arrays:
        found.update(array.tobytes())
    return found.hexdigest()


def train(name, folder):
    """Trains a case and returns what came of it: the last checkpoint and the metrics."""
    import expcore
    from expcore_plugins.estimators.keras import KerasEstimator

    model, data = CASES[name]()
    config = expcore.RunConfig(
        model_dir=os.path.join(folder, name.replace(" ", "_")),
        random_seed=7,
        save_checkpoints_steps=5,
        start_timeout_secs=60,
    )
    told = {}

    class Look:
        def after_steps(self, run):
            told.update(run.metrics)

    os.makedirs(config.model_dir, exist_ok=True)
    options = {"class_weight": {0: 0.2, 1: 3.0}} if name == "class weights" else {}
    estimator = KerasEstimator(model, config=config, **options)
    estimator.train(data, hooks=[Look()], max_steps=STEPS)
    with estimator.restored() as native:
        trained = [v.numpy() for v in native.trainable_variables]
    live = estimator._state.trainable.native  # what this process itself has, not what the chief saved
    return {
        "metrics": told,
        "checkpoint": estimator.latest_checkpoint(),
        "step": told_step(estimator),
        "trained": digest(trained),
        "live": digest([v.numpy() for v in live.trainable_variables]),
        "others": [part.numpy().tolist() for v in live.non_trainable_variables for part in parts(v)],
    }


def parts(variable):
    """What a variable is on each device of this process."""
    return getattr(variable.value, "values", None) or [variable]


def told_step(estimator):
    return int(estimator.latest_checkpoint().rpartition("-")[2])


def main(folder):
    found = {}
    for name in [n for n in CASES if n in ONLY] or CHOSEN:
        try:
            found[name] = train(name, folder)
        except Exception as error:  # told to the test, which fails with it
            import traceback

            traceback.print_exc()
            found[name] = {"error": f"{type(error).__name__}: {error}"}
            break  # the others would wait for this process
    task = json.loads(os.environ.get("TF_CONFIG") or "{}").get("task", {"type": "alone", "index": 0})
    with open(os.path.join(folder, f"{task['type']}-{task['index']}.json"), "w") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main(sys.argv[1])
