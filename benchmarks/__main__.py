"""Every benchmark in one run: ``python -m benchmarks [DIRECTORY]`` from the root of the repository.

Prints the tables one after the other and writes the JIT's plot and numbers to DIRECTORY (default: the current one).
Each benchmark is a script of its own in this folder; its docstring says what it compares with what. Close other
programs first: figures are ratios measured side by side, but a crowded machine still blurs them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Run them all; the exit status is that of the first that failed."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    target.mkdir(parents=True, exist_ok=True)
    benchmarks: list[tuple[str, list[str]]] = [
        ("jit", ["--json", str(target / "jit.json"), "--plot", str(target / "jit.png")]),
        ("packets", []),
        ("maps", []),
        ("locks", []),
        ("interpreter", []),
        ("verifier", []),
        ("core", []),
    ]
    status = 0
    for name, options in benchmarks:
        print(f"\n== {name} ==", flush=True)
        ended = subprocess.run([sys.executable, HERE / f"{name}.py", *options], check=False)
        status = status or ended.returncode
    sys.exit(status)


if __name__ == "__main__":
    main()
