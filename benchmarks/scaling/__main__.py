"""The command: simulates, and writes docs/scaling.md."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.scaling.runs import DAY, Costs, evaluator_lag, first_steps, useful

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scaling.md"
WORKERS = [2**i for i in range(13)]
RHYTHMS = (60.0, 600.0, 3600.0)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns the lines of a Markdown table."""
    return [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows)]


def chart(title: str, axis: str, lines: dict[str, Sequence[float]]) -> list[str]:
    """Returns a Mermaid chart over the numbers of workers."""
    numbers = ", ".join(f'"{n}"' for n in WORKERS)
    drawn = [f"  line [{', '.join(f'{v:.3g}' for v in values)}]" for values in lines.values()]
    head = ["```mermaid", "xychart-beta", f'  title "{title}"', f"  x-axis [{numbers}]", f'  y-axis "{axis}"']
    return [*head, *drawn, "```"]


def delays() -> list[str]:
    """Workers of the 2017 kind: when they start."""
    rows = []
    for n in WORKERS:
        found = first_steps(n)
        most = max(Counter(int(at) for at in found).values())
        rows.append([str(n), f"{found[-1]:.0f} s", str(most)])
    return table(["workers", "the last one starts after", "most that start in one second"], rows)


def lags() -> list[str]:
    """How evaluators follow."""
    rows = []
    for part in (0.25, 0.5, 1.0, 2.0, 4.0):
        cells = [f"{part:g}"]
        for evaluators in (1, 2, 4):
            lag = evaluator_lag(evaluators, 60.0, 60.0 * part)
            cells.append(f"{lag.median / 60:.2f}, {lag.longest / 60:.2f}; {lag.evaluated:.0%}")
        rows.append(cells)
    head = ["evaluation, in save intervals", *(f"{n} evaluator{'s' * (n > 1)}" for n in (1, 2, 4))]
    return table(head, rows)


def losses(costs: Costs) -> list[str]:
    """What is left of the time where workers are lost."""
    lines = {f"{every:g}": [useful(n, every, costs) for n in WORKERS] for every in RHYTHMS}
    head = ["workers", "a loss every", *(f"saving every {float(e):g} s" for e in lines)]
    rows = [
        [str(n), f"{costs.between_losses_secs / n / 3600:.2g} h", *(f"{v[i]:.0%}" for v in lines.values())]
        for i, n in enumerate(WORKERS)
    ]
    return [*table(head, rows), "", *chart("Useful part of the time", "part", lines)]


def traffic(costs: Costs) -> list[str]:
    """What a start and a step move."""
    size = 3 * costs.gradient_bytes  # weights, and two moments of Adam
    rows = [
        [
            str(n),
            f"{n * size / 1e9:.3g} GB",
            f"{size / 1e9:.3g} GB",
            f"{n * (n - 1):,}",
            f"{n - 1:,}",
            f"{costs.compute_secs / costs.step_secs(n):.0%}",
        ]
        for n in WORKERS
    ]
    head = ["workers", "read at a start, if all read", "as it is", "connections, all with all", "as it is"]
    return table([*head, "part of a step that computes"], rows)


def page() -> str:
    """Returns the page."""
    costs = Costs()
    text = (Path(__file__).parent / "page.md").read_text()
    parts = {
        "delays": delays(),
        "lags": lags(),
        "losses": losses(costs),
        "traffic": traffic(costs),
        "costs": table(
            ["what", "value"],
            [
                ["a step on one worker", f"{costs.compute_secs:g} s"],
                ["gradients that are summed in each step", f"{costs.gradient_bytes / 1e6:g} MB"],
                [
                    "network between two workers",
                    f"{costs.network / 1e9:g} GB/s, {costs.latency_secs * 1e6:g} µs",
                ],
                ["a save holds up training for", f"{costs.save_secs:g} s"],
                ["from a loss to the first step after it", f"{costs.restart_secs:g} s"],
                ["a worker is lost, on average, once in", f"{costs.between_losses_secs / DAY:g} days"],
            ],
        ),
    }
    for name, lines in parts.items():
        text = text.replace(f"<!-- {name} -->", "\n".join(lines))
    return text


if __name__ == "__main__":
    logging.getLogger("expcore").setLevel(logging.ERROR)
    PAGE.write_text(page())
    sys.stdout.write(f"{PAGE}\n")
