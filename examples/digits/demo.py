"""The demo: trains the digits, then loads the best export in a new process and says where everything lies."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
GOOD = 0.97


def main() -> int:
    """Runs both commands as a user would type them; 0 if the served accuracy is good enough."""
    output = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/digits")
    expcore = str(Path(sys.executable).with_name("expcore"))
    run = [expcore, "run", str(HERE / "experiment.py"), "--output-dir", str(output)]
    print("$ expcore run examples/digits/experiment.py --output-dir", output, flush=True)
    code = subprocess.run(run, check=False).returncode
    if code:
        return code
    versions = [path for path in (output / "export" / "best").iterdir() if path.name.isdigit()]
    best = max(versions, key=lambda path: int(path.name))
    print(f"$ python examples/digits/serve.py {best}", flush=True)
    served = subprocess.run(
        [sys.executable, str(HERE / "serve.py"), str(best)], check=False, capture_output=True, text=True
    )
    print(served.stdout.strip() or served.stderr.strip())
    if served.returncode:
        return served.returncode
    found = re.search(r"accuracy ([0-9.]+)", served.stdout)
    accuracy = float(found.group(1)) if found else 0.0
    print(
        f"""
the best model     {best}
the latest model   {output / "export" / "latest"}
checkpoints        {output}/ckpt-*
what happened      {output / "expcore"}/events-*.jsonl
curves             tensorboard --logdir {output}"""
    )
    if accuracy < GOOD:
        print(f"the accuracy {accuracy} is below {GOOD}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
