"""Runs a part of a training in a process of its own, and writes its digest.

``python program.py '{"case": ..., "model_dir": ..., ...}'`` is one run. ``python program.py`` reads such
descriptions line by line and forks a process for each, which saves it the import of TensorFlow: as no
operation was executed before, TensorFlow starts in the child as it does in any process. At its end, however
it comes, the number of the run and its exit code are printed.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import select
import signal
import sys

import digest
import keras  # noqa: F401 - what takes long is done before the fork
import tensorflow as tf

import expcore
from expcore.errors import StoppedBySignal
from expcore_plugins.estimators.keras import KerasEstimator

UNTIL = 200
SAME_TIME = 2  # processes


class Stop:
    """A hook that ends the process or its training at a step, in one of several ways."""

    def __init__(self, by, at):
        self._by, self._at, self._done = by, at, False

    def next_step(self, step):
        return self._at if step < self._at else None

    def after_steps(self, run):
        if run.step < self._at or self._done:
            return
        self._done = True
        if self._by == "hook":
            run.request_stop("the harness")
        if self._by == "sigterm":
            os.kill(os.getpid(), signal.SIGTERM)

    def after_save(self, run, checkpoint_path):
        if self._by == "sigkill" and run.step >= self._at:
            os.kill(os.getpid(), signal.SIGKILL)


def estimator_of(case, job):
    settings = {"random_seed": 11, "log_step_count_steps": None, "save_summary_steps": None, **case.config}
    config = expcore.RunConfig(
        model_dir=job["model_dir"], save_checkpoints_steps=job.get("save_every"), **settings
    )
    return KerasEstimator(case.model, config=config, async_checkpoints=job.get("beside", False))


def run(job):
    """Makes a run and returns its digest, or where and why it stopped.

    A job has a ``case`` and its ``model_dir``. It may have ``until`` (the steps at which train() calls end),
    ``stop`` ("by" what and "at" which step), ``schedule`` with ``settings`` of the experiment and the
    schedules that run ``before`` it, ``evaluate`` (before and after each training), ``save_every`` so many
    steps, ``beside`` (asynchronous checkpoints) and a ``defect``.
    """
    from cases import CASES
    from defects import DEFECTS

    DEFECTS[job.get("defect", "none")]()
    case, stop, end = CASES[job["case"]], job.get("stop"), digest.End()
    estimator = estimator_of(case, job)
    hooks = [Stop(**stop), end] if stop else [end]
    for until in job.get("until", [UNTIL]):
        if job.get("evaluate"):
            _evaluate(estimator, case)
        if "schedule" in job:
            _by_schedule(job, case, estimator, hooks, until)
        else:
            _train(estimator, case, hooks, until)
        if job.get("evaluate"):
            _evaluate(estimator, case)
    if end.step < UNTIL:
        return {"step": end.step, "reason": end.reason}
    return {**end.taken, **digest.following(estimator, case.data)}


def _evaluate(estimator, case):
    if estimator.latest_checkpoint() is not None:
        estimator.evaluate(case.held_out)


def _train(estimator, case, hooks, until):
    """Trains in one call, or in as many as data that end need."""
    end = hooks[-1]
    end.reason = None
    while end.reason is None or (end.reason == "input ended" and end.step < until):
        estimator.train(case.data, hooks=hooks, max_steps=until)


def _by_schedule(job, case, estimator, hooks, until):
    def experiment(output_dir):
        made = expcore.Experiment(
            estimator,
            case.data,
            case.held_out,
            train_steps=until,
            eval_steps=None,
            train_hooks=hooks,
            continuous_eval_throttle_secs=0,
            **job.get("settings", {}),
        )
        for name in job.get("before", ()):
            made.run(name)
        return made

    try:
        expcore.run_experiment(experiment, job["model_dir"], schedule=job["schedule"])
    except StoppedBySignal:
        if job.get("stop", {}).get("by") != "sigterm":
            raise


def serve():
    """Forks a process for each line; returns its description in the child, and None at the end."""
    gc.freeze()  # else each child copies what it only looks at
    waiting, running, is_open = [], {}, True
    lines = os.fdopen(0, "rb", buffering=0)
    while is_open or waiting or running:
        if is_open and select.select([lines], [], [], 0.01)[0]:
            line = lines.readline()
            is_open = bool(line)
            waiting += [json.loads(line)] if line else []
        if waiting and len(running) < SAME_TIME:
            job = waiting.pop(0)
            pid = os.fork()
            if pid == 0:
                return job
            running[pid] = job["number"]
        pid, status = os.waitpid(-1, os.WNOHANG) if running else (0, 0)
        if pid:
            print(running.pop(pid), os.waitstatus_to_exitcode(status), flush=True)
    return None


def main():
    job = json.loads(sys.argv[1]) if len(sys.argv) > 1 else serve()
    if job is None:
        return
    log = os.open(job["out"] + ".log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    logging.basicConfig(level=logging.INFO)
    tf.config.experimental.enable_op_determinism()
    found = run(job)
    with open(job["out"], "w") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main()
