"""``expcore manifest``: a cluster as objects of Kubernetes."""

from __future__ import annotations

import os
import re

import click

from expcore.errors import InvalidArgument


@click.command()
@click.argument("file", metavar="FILE[:FUNCTION]")
@click.option("--image", required=True, help="Has expcore, FILE, and what it imports.")
@click.option(
    "--claim", required=True, metavar="NAME", help="A PersistentVolumeClaim for /runs, ReadWriteMany."
)
@click.option("--workers", type=click.IntRange(0), default=1, show_default=True, help="Besides the chief.")
@click.option("--ps", type=click.IntRange(0), default=0, show_default=True, help="Parameter servers.")
@click.option("--evaluator", is_flag=True, help="Evaluate beside the training.")
@click.option("--name", help="Of the run; default: by the file's name.")
@click.option("--output-dir", metavar="DIR", help="The model directory; default: /runs/NAME.")
@click.option("--port", type=click.IntRange(1, 65535), default=2222, show_default=True)
@click.option("--gpus", type=click.IntRange(0), default=0, show_default=True, help="Of each training task.")
@click.option(
    "--restarts", type=click.IntRange(0, 2**31 - 1), default=10, show_default=True, help="After failures."
)
def manifest(
    file: str,
    image: str,
    claim: str,
    workers: int,
    ps: int,
    evaluator: bool,
    name: str | None,
    output_dir: str | None,
    port: int,
    gpus: int,
    restarts: int,
) -> None:
    """Writes a Kubernetes manifest that runs an experiment in a cluster.

    FILE is where the image has it. For each kind of task there is one Indexed Job, and with them a headless
    Service, which names the pods, and a NetworkPolicy, which keeps others from their servers. Apply it with
    kubectl apply -f.
    """
    import yaml

    from expcore.cli.experiment_file import check_name
    from expcore.launch import Shape
    from expcore.launch.kubernetes import Deployment, objects

    check_name(file)
    run = name if name is not None else _named_after(file)
    deployment = Deployment(
        name=run,
        file=file,
        image=image,
        claim=claim,
        output_dir=output_dir if output_dir is not None else f"/runs/{run}",
        port=port,
        gpus=gpus,
        restarts=restarts,
    )
    found = objects(Shape(workers, ps, int(evaluator)), deployment)
    click.echo(yaml.safe_dump_all(found, sort_keys=False, width=100), nl=False)


def _named_after(file: str) -> str:
    """A name that Kubernetes takes: of the folder where the file has the usual name."""
    file = file.partition(".py:")[0]
    stem, folder = os.path.splitext(os.path.basename(file))[0], os.path.basename(os.path.dirname(file))
    word = folder if stem == "experiment" and folder else stem
    found = re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-")
    if not found:
        raise InvalidArgument(f"file {file!r}: no name of letters a to z can be made of it; give --name")
    return found
