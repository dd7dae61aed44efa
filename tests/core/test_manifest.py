"""``expcore manifest``: objects that Kubernetes takes, and tasks that know who they are."""

from __future__ import annotations

import json
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from expcore.cli.main import main
from expcore.tf_config import parse_tf_config

VERSION = "1.31"  # the first with podFailurePolicy for good


def made(*words):
    base = ["manifest", "app/digits/experiment.py", "--image", "registry/digits:1", "--claim", "shared"]
    done = CliRunner().invoke(main, [*base, *words])
    assert done.exit_code == 0, done.output
    return list(yaml.safe_load_all(done.stdout))


def jobs(objects):
    return {o["metadata"]["name"]: o["spec"] for o in objects if o["kind"] == "Job"}


def container(job):
    (one,) = job["template"]["spec"]["containers"]
    return one


def task(job, index):
    """What a pod of this index is told, as Kubernetes puts it in."""
    (config,) = (e["value"] for e in container(job)["env"] if e["name"] == "TF_CONFIG")
    return parse_tf_config(config.replace("$(INDEX)", str(index)))


@pytest.mark.parametrize("shape", [[], ["--workers", "8"], ["--workers", "3", "--ps", "2", "--evaluator"]])
@pytest.mark.parametrize("gpus", ["0", "1"])
def test_every_object_is_valid_by_kubernetes_own_schema(shape, gpus):
    for one in made(*shape, "--gpus", gpus):
        kubernetes_validate.validate(one, VERSION, strict=True)


def test_the_schema_finds_what_is_wrong():
    service = made()[0]
    service["spec"]["publishNotReadyAdresses"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(service, VERSION, strict=True)


def test_every_pod_is_told_what_it_is_and_all_the_same_cluster():
    found = jobs(made("--workers", "3", "--ps", "2", "--evaluator"))
    assert {name: job["completions"] for name, job in found.items()} == {
        "digits-chief": 1,
        "digits-worker": 3,
        "digits-ps": 2,
        "digits-evaluator": 1,
    }
    for name, job in found.items():
        kind = name.removeprefix("digits-")
        for index in range(job["completions"]):
            told = task(job, index)
            assert (told.task_type, told.task_id) == (kind, index)
            if kind != "evaluator":
                address = told.cluster_spec[kind][index]
                # The pod's host name, and the Service that names it.
                assert address == f"{name}-{index}.digits:2222"
        assert job["completionMode"] == "Indexed"
        assert job["template"]["spec"]["subdomain"] == "digits"


def test_exit_codes_decide_what_is_tried_again():
    (job,) = jobs(made("--workers", "0")).values()
    rules = job["podFailurePolicy"]["rules"]
    by_codes = {r["action"]: r["onExitCodes"]["values"] for r in rules if "onExitCodes" in r}
    assert by_codes == {"Ignore": [138], "FailJob": [64, 65, 70, 73]}
    assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_only_the_runs_own_pods_reach_its_servers():
    (policy,) = (o for o in made() if o["kind"] == "NetworkPolicy")
    assert policy["spec"]["ingress"] == [{"from": [{"podSelector": policy["spec"]["podSelector"]}]}]
    labels = policy["spec"]["podSelector"]["matchLabels"]
    for job in jobs(made()).values():
        assert labels.items() <= job["template"]["metadata"]["labels"].items()


def test_the_command_of_a_pod_is_the_one_that_runs_everywhere():
    found = container(jobs(made("--output-dir", "/runs/one"))["digits-chief"])
    assert found["command"] == ["expcore", "run", "app/digits/experiment.py", "--output-dir", "/runs/one"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--name", "Digits"], "lower-case"),
        (["--name", "d" * 41], "at most 40"),
        (["--output-dir", "/tmp/x"], "below /runs"),
        (["--output-dir", "/runs/../etc"], "below /runs"),
        (["--output-dir", "/runs/a\nb"], "below /runs"),
        (["--output-dir", ""], "below /runs"),
        (["--name", ""], "at most 40"),
        (["--claim", "a..b"], "--claim"),
        (["--claim", f"{'a' * 63}." * 4 + "a"], "--claim"),
        (["--ps", "1", "--workers", "0"], "no worker"),
        (["--image", "UPPER/a"], "--image"),
        (["--image", "a:b:c"], "--image"),
        (["--image=-rf"], "--image"),
        (["--image", "a b"], "--image"),
        (["--workers", "100000"], "Linux takes 131,061 in a variable"),
        (["--restarts", "2147483648"], "not in the range"),
        (["--gpus", "2"], "use one device each"),
    ],
)
def test_what_kubernetes_would_refuse_is_told_here(words, told):
    base = ["manifest", "experiment.py", "--image", "i", "--claim", "c", "--name", "line"]
    done = CliRunner().invoke(main, [*base, *words])
    assert done.exit_code == 64
    assert told in done.stderr


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("日本.py", "give --name"),
        ("a.txt", "must end with .py"),
        ("", "must end with .py"),
        ("a\tb.py", "file"),
    ],
)
def test_a_file_that_cannot_be_one_is_told_in_a_line(file, told):
    done = CliRunner().invoke(main, ["manifest", file, "--image", "i", "--claim", "c"])
    assert done.exit_code == 64
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert told in line


@pytest.mark.parametrize(
    "image",
    ["digits", "digits:1.0-rc_1", "host.example/p/digits", "host:5000/digits:1", f"a/b@sha256:{'0f' * 32}"],
)
def test_names_of_images_are_taken_as_they_are(image):
    done = CliRunner().invoke(main, ["manifest", "line.py", "--image", image, "--claim", "c"])
    for job in jobs(list(yaml.safe_load_all(done.stdout))).values():
        assert container(job)["image"] == image


@pytest.mark.parametrize(("workers", "code"), [(3884, 0), (3885, 64)])
def test_as_many_workers_as_the_page_says_fit_into_tf_config(workers, code):
    words = ["manifest", "digits.py", "--image", "i", "--claim", "c", "--workers", str(workers)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == code
    assert f"{3884:,} workers" in (Path(__file__).parents[2] / "docs" / "clusters.md").read_text()


def test_no_variable_is_put_into_the_command():
    words = ["manifest", "a$(INDEX)/experiment.py", "--image", "i", "--claim", "c", "--name", "line"]
    done = CliRunner().invoke(main, [*words, "--output-dir", "/runs/$(TF_CONFIG)"])
    command = container(jobs(list(yaml.safe_load_all(done.stdout)))["line-chief"])["command"]
    assert command == ["expcore", "run", "a$$(INDEX)/experiment.py", "--output-dir", "/runs/$$(TF_CONFIG)"]


def test_several_devices_are_for_a_chief_alone_and_for_workers_of_parameter_servers():
    for shape in (["--workers", "0"], ["--workers", "2", "--ps", "1"]):
        found = jobs(made(*shape, "--gpus", "2"))
        assert container(found["digits-chief"])["resources"]["limits"] == {"nvidia.com/gpu": 2}


@pytest.mark.parametrize(
    ("file", "name"),
    [("a/digits/experiment.py", "digits"), ("My_Model.py:build", "my-model"), ("x/line.yaml", "line")],
)
def test_a_run_is_called_after_its_file(file, name):
    done = CliRunner().invoke(main, ["manifest", file, "--image", "i", "--claim", "c"])
    assert next(yaml.safe_load_all(done.stdout))["metadata"]["name"] == name


def test_tf_config_stays_json_when_the_index_is_put_in():
    (config,) = (
        e["value"] for e in container(jobs(made())["digits-worker"])["env"] if e["name"] == "TF_CONFIG"
    )
    assert json.loads(config.replace("$(INDEX)", "0"))["task"] == {"type": "worker", "index": 0}
