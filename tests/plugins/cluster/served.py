"""An experiment for parameter servers, as ``expcore run`` takes it; what is tried is in WHAT."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import expcore
from expcore_plugins.estimators.keras import KerasEstimator
from expcore_plugins.estimators.keras.partitioned_embedding import PartitionedEmbedding

BATCH = 16
WHAT = os.environ.get("WHAT", "")
STEPS = 400 if WHAT == "kill a worker" else 200


def optimizer():
    if WHAT == "units":  # each step takes exactly 1 away
        return keras.optimizers.SGD(1.0)
    return keras.optimizers.Adam(0.01)


class Units(keras.Model):
    """Has steps of its own, and no loss."""

    def __init__(self):
        super().__init__()
        self.units = keras.layers.Dense(1, use_bias=False, name="units")

    def call(self, x):
        return self.units(x)

    def train_step(self, data):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(self(data[0]))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}

    def test_step(self, data):
        return {"loss": tf.reduce_mean(self(data[0]))}


def model():
    if WHAT == "units":
        built = Units()
        built.compile(optimizer())
        return built
    if WHAT == "a table in parts":
        layers = [keras.Input((), dtype="int32"), PartitionedEmbedding(101, 4, 2), keras.layers.Dense(1)]
        built = keras.Sequential(layers)
        built.compile(optimizer(), "mse", metrics=["mae"])
        return built
    layers = [keras.Input((2,)), keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(1, "sigmoid")]
    built = keras.Sequential(layers)
    metrics = ["accuracy", keras.metrics.AUC(name="auc")] if WHAT == "auc" else ["accuracy"]
    built.compile(optimizer(), "binary_crossentropy", metrics=metrics)
    return built


def rows():
    x = np.random.default_rng(0).normal(size=(160, 2)).astype("float32")
    return (np.ones((160, 2), "float32") if WHAT == "units" else x), (x[:, :1] > 0).astype("float32")


def data():
    if WHAT == "python":
        return tf.data.Dataset.from_generator(
            lambda: iter([rows()]),
            output_signature=tuple(tf.TensorSpec((None, n), tf.float32) for n in (2, 1)),
        )
    if WHAT == "a table in parts":
        ids = np.arange(101, dtype="int32")
        return tf.data.Dataset.from_tensor_slices((ids, ids % 2)).shuffle(101).repeat().batch(BATCH)
    if WHAT == "units":  # as files are read
        files = tf.data.Dataset.range(4)
        each = files.interleave(lambda _: tf.data.Dataset.from_tensor_slices(rows()).shuffle(160, seed=1))
        return each.repeat().batch(BATCH)
    return tf.data.Dataset.from_tensor_slices(rows()).shuffle(160).repeat().batch(BATCH)


def eval_data():
    if WHAT == "a table in parts":
        return data().take(10)
    return tf.data.Dataset.from_tensor_slices(rows()).batch(BATCH)


class Told:
    """Writes down the metrics of every stop, which are over 100 steps at most."""

    def __init__(self, folder):
        self.path = Path(folder, "told.json")
        self.found = []

    def next_step(self, step):
        return (step // 100 + 1) * 100

    def after_steps(self, run):
        self.found.append({"step": run.step, **run.metrics})
        self.path.write_text(json.dumps(self.found))
        if WHAT == "kill the server" and run.step >= 100 and not self.path.with_name("killed").exists():
            self.path.with_name("killed").write_text("")
            kill("ps")
        if WHAT == "kill a worker":
            if run.step == 100:
                kill("worker")
            elif run.step == 200:
                wait_for("worker")
        if WHAT == "a table in parts":
            tables = [v.value for v in run.model.layers[0].tables]
            self.path.with_name("devices.json").write_text(json.dumps([t.device for t in tables]))


def wait_for(kind):
    """Waits until the first process of a kind listens, and TensorFlow has found it out."""
    host, _, port = json.loads(os.environ["TF_CONFIG"])["cluster"][kind][0].rpartition(":")
    for _ in range(120):
        try:
            socket.create_connection((host, int(port))).close()
            time.sleep(5)
            return
        except OSError:
            time.sleep(0.5)
    raise AssertionError("it did not come back")


def kill(kind):
    """Kills the process of this test's cluster that is the first of a kind."""
    cluster = json.loads(os.environ["TF_CONFIG"])["cluster"]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            env = Path("/proc", pid, "environ").read_bytes()
        except OSError:
            continue
        if f'"type": "{kind}", "index": 0'.encode() in env and cluster["chief"][0].encode() in env:
            os.kill(int(pid), signal.SIGKILL)


def experiment(output_dir):
    config = expcore.RunConfig(model_dir=output_dir, save_checkpoints_steps=50, start_timeout_secs=60)
    return expcore.Experiment(
        KerasEstimator(model, config=config),
        data,
        eval_data,
        train_steps=STEPS,
        eval_steps=None,
        eval_every_n_steps=100,
        train_hooks=[Told(output_dir)],
    )
