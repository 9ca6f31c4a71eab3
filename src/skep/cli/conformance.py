"""``skep conformance``: the public bpf_conformance test files on skep's engines."""

from __future__ import annotations

import json
from pathlib import Path

import click

from skep.errors import RequestError


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--engine",
    "names",
    type=click.Choice(["interpreter", "jit", "kernel"]),
    multiple=True,
    default=["interpreter", "jit"],
    show_default=True,
    help="Run on this engine; may be given more than once.",
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line for each file and engine.")
def command(paths: tuple[str, ...], names: tuple[str, ...], as_json: bool) -> int:
    """Run bpf_conformance test files and say which fail.

    PATH is a test file (.data) or a folder of them, as in github.com/Alan-Jowett/bpf_conformance. Each program runs
    over the memory its file gives, and r0 is compared, all 64 bits of it. Exit status 1 if any file fails on any
    engine.
    """
    from skep.engines import engine
    from skep.engines.conformance import cases, run_case

    for path in paths:
        if not Path(path).exists():
            raise RequestError("there is no such file or folder", file=path)
    tests = list(cases([Path(path) for path in paths]))
    failures = 0
    for name in dict.fromkeys(names):
        chosen = engine(name)
        passed = 0
        for case in tests:
            outcome = run_case(case, chosen)
            passed += outcome.passed
            if as_json:
                result = {
                    "kind": "conformance",
                    "file": case.file,
                    "engine": name,
                    "passed": outcome.passed,
                    "result": None if outcome.result is None else f"{outcome.result:#x}",
                    "expected": None if case.expected is None else f"{case.expected:#x}",
                    "message": outcome.difference,
                }
                click.echo(json.dumps(result))
            elif not outcome.passed:
                click.echo(f"{name}: {case.file}: {outcome.difference}")
        if not as_json:
            click.echo(f"{name}: {passed} of {len(tests)} pass")
        failures += len(tests) - passed
    return 1 if failures else 0
