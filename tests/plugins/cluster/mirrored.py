"""Trains the cases of cases.py on two virtual devices of one process: ``python mirrored.py FOLDER``."""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path

import tensorflow as tf

import expcore


def main(folder):
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    config = expcore.RunConfig
    expcore.RunConfig = lambda **given: config(train_distribute=strategy, **given)
    cases = runpy.run_path(str(Path(__file__).with_name("cases.py")))
    found = {}
    only = cases["ONLY"]
    for name in [n for n in cases["CASES"] if n in only] or cases["ON_DEVICES"]:
        try:
            found[name] = cases["train"](name, folder)
        except Exception as error:  # told to the test, which fails with it
            found[name] = {"error": f"{type(error).__name__}: {error}"}
    Path(folder, "mirrored.json").write_text(json.dumps(found))


if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True)
    main(sys.argv[1])
