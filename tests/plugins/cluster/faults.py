"""Programs for what goes wrong in a cluster: ``python faults.py NAME FOLDER``; the exit code tells."""

from __future__ import annotations

import json
import os
import socket
import sys
import time


def model():
    import keras

    built = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    built.compile("sgd", "mse")
    return built


def data(random_rows=False, remainder=True):
    import numpy as np
    import tensorflow as tf

    rows = np.random.default_rng(os.getpid() if random_rows else 0).normal(size=(64, 3)).astype("float32")
    return (
        tf.data.Dataset.from_tensor_slices((rows, rows[:, :1]))
        .batch(8, drop_remainder=not remainder)
        .repeat()
    )


def estimator(folder, make=model, **options):
    import expcore
    from expcore_plugins.estimators.keras import KerasEstimator

    options = {"start_timeout_secs": 60, "random_seed": 1, **options}
    return KerasEstimator(make, config=expcore.RunConfig(model_dir=folder, **options))


def in_turn(folder):
    """What does not end a process, and what each says of it."""
    from expcore.errors import ExpcoreError

    for program in (other_data, other_model, mixed, stop_of_one, late_chief):
        try:
            told = program(os.path.join(folder, program.__name__))
        except ExpcoreError as error:
            told = f"{error.exit_code}: {error}"
        print(f"{program.__name__}: {told}", flush=True)


def other_data(folder):
    estimator(folder).train(lambda: data(random_rows=True), max_steps=5)


def other_model(folder):
    """The worker's model has a layer more."""

    def deeper():
        import keras

        built = model()
        built.add(keras.layers.Dense(1))
        built.compile("sgd", "mse")
        return built

    estimator(folder, make=model if run_is_chief() else deeper).train(data, max_steps=5)


def used_before(folder):
    import tensorflow as tf

    tf.constant(1) + 1
    estimator(folder).train(data, max_steps=5)


def mixed(folder):
    """The chief reads all, the worker a part of its own."""
    whole = lambda: data(remainder=False)  # noqa: E731 (rows that are always as many are agreed on as well)
    estimator(folder).train(whole if run_is_chief() else (lambda input_context: whole()), max_steps=5)


def taken_port(folder):
    """The worker's port is another program's, and so it never comes."""
    with socket.socket() as other:
        if not run_is_chief():
            other.bind(
                ("", int(json.loads(os.environ["TF_CONFIG"])["cluster"]["worker"][0].rpartition(":")[2]))
            )
        estimator(folder, start_timeout_secs=3).train(data, max_steps=5)


def lost_peer(folder):
    class Die:
        every_secs = 0.0

        def after_steps(self, run):
            if not run_is_chief() and run.step >= 3:
                os.kill(os.getpid(), 9)

    estimator(folder, save_checkpoints_steps=2).train(data, hooks=[Die()], max_steps=10_000_000)


def late_chief(folder):
    """The workers are long gone when the chief makes its last evaluation, and makes more of it."""
    one = estimator(folder)
    one.train(data, max_steps=5)
    if run_is_chief():
        time.sleep(5)
        with one.restored() as native:
            assert native(__import__("numpy").ones((1, 3))).shape == (1, 1)
        return one.evaluate(data, steps=3)["global_step"]
    return None


def stop_of_one(folder):
    """A worker's hook asks for the end: all stop at the same step, and the chief saves it."""

    class Stop:
        def next_step(self, step):
            return step + 1

        def after_steps(self, run):
            if not run_is_chief() and run.step == 4:
                run.request_stop("enough")

    found = estimator(folder).train(data, hooks=[Stop()], max_steps=100).latest_checkpoint()
    return os.path.basename(found) if run_is_chief() else None


def run_is_chief():
    import expcore

    return expcore.RunConfig().is_chief


def main(name, folder):
    from expcore.errors import ExpcoreError

    try:
        globals()[name](folder)
    except ExpcoreError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main(*sys.argv[1:])
