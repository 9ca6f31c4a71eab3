"""Programs in C that say themselves what Linux makes of them (``c/*.c``), built by clang when they are asked for.

``python -m tests.verifier.c_programs SOURCE...`` prints what the source, skep and the running kernel say, where they
differ; with ``-v`` of every program.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import skep
from skep.btf import DeclTag
from skep.engines.kernel.running import RUNNING_KERNEL
from skep.objects import ProgramSpec
from skep.objects.fitting import KernelFacts, fit
from skep.verifier import verify
from skep.verifier.kernel.kernel_types import carried_types, default_types
from tests.verifier.programs import ask_kernel, kernel_is_there

FOLDER = Path(__file__).parent / "c"
#: Programs about what the kernels of distributions have, verified by the types that the package carries.
DISTRIBUTION = "distribution"
#: What the sources say of registers and instructions holds for what this version makes of them.
_COMPILER = "clang-19"
_HEADERS = Path("/usr/include/bpf/bpf_helpers.h")


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of a program: ``accept`` or ``reject`` (of skep also ``unsupported``), and the message."""

    verdict: str
    message: str


def missing() -> str | None:
    """What is not here to build the programs, or None."""
    if compiler() is None:
        return f"{_COMPILER}, for which the C programs say what is made of them, is not installed"
    return None if _HEADERS.exists() else "libbpf's headers are not installed"


def compiler() -> str | None:
    """The clang to build with."""
    return _COMPILER if shutil.which(_COMPILER) else None


def names() -> list[str]:
    """The sources, without their endings."""
    return sorted(file.stem for file in FOLDER.glob("*.c"))


def distribution_names() -> list[str]:
    """The sources about what kernels of distributions have."""
    return sorted(f"{DISTRIBUTION}/{file.stem}" for file in (FOLDER / DISTRIBUTION).glob("*.c"))


@functools.cache
def built(name: str) -> bytes:
    """The object of one source."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"{Path(name).name}.o"
        compile_to(target, (FOLDER / f"{name}.c").read_text(), "-O2", "v4")
        return target.read_bytes()


def compile_to(target: Path, source: str, level: str, cpu: str) -> None:
    """Build ``source`` for the instruction set ``cpu``, optimised to ``level``."""
    command = compiler()
    assert command is not None
    triple = subprocess.run([command, "-print-target-triple"], capture_output=True, text=True, check=True).stdout
    headers = triple.strip().replace("-pc-", "-").replace("-unknown-", "-")
    file = target.with_suffix(".c")
    file.write_text(source)
    options = [level, "-g", "-target", "bpf", f"-mcpu={cpu}", f"-I/usr/include/{headers}", "-I", str(FOLDER)]
    subprocess.run(
        [command, *options, "-Wno-everything", "-c", str(file), "-o", str(target)], check=True, capture_output=True
    )


@functools.cache
def programs(name: str) -> Mapping[str, ProgramSpec]:
    """The programs of one source, fitted to the running kernel where they depend on its types."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{Path(name).name}.o"
        file.write_bytes(built(name))
        specs = skep.open(file).programs.values()
        return with_targets({one.name: replace(one, file=f"{name}.o") for one in specs})


def with_targets(specs: Mapping[str, ProgramSpec]) -> Mapping[str, ProgramSpec]:
    """The same, with the program that each says it replaces or watches a function of; that one stands before it."""
    found: dict[str, ProgramSpec] = {}
    for name, spec in specs.items():
        target = _target(spec)
        found[name] = spec if target is None else replace(spec, target_program=found.get(target, specs[target]))
    return found


def _target(spec: ProgramSpec) -> str | None:
    """The name of the program that a program says it replaces or watches a function of."""
    for tag in _tags(spec, spec.functions[0].type_id):
        if tag.startswith("target:"):
            return tag.removeprefix("target:")
    return None


def expected(spec: ProgramSpec) -> Said:
    """What the tag on a program says; ValueError where it has none."""
    assert spec.btf is not None
    for tag in _tags(spec, spec.functions[0].type_id):
        kind, _, rest = tag.partition(":")
        if kind == "verdict":
            verdict, _, message = rest.partition(":")
            return Said(verdict, message)
    raise ValueError(f"{spec.file}: program {spec.name} does not say ACCEPT or REJECT")


def _tags(spec: ProgramSpec, function: int) -> list[str]:
    assert spec.btf is not None
    return [
        one.name
        for one in (spec.btf[index] for index in range(1, len(spec.btf)))
        if isinstance(one, DeclTag) and one.target == function and one.component == -1
    ]


def said_by_skep(spec: ProgramSpec) -> Said:
    """skep's verdict and message, of a program fitted to the running kernel where it has relocations."""
    report = verify(fit(spec, RUNNING_KERNEL).program if spec.core_relocations else spec)
    return Said(report.verdict, report.message)


def said_of_distribution(spec: ProgramSpec) -> Said:
    """skep's verdict and message for a kernel that has what the kernels of distributions have."""
    report = verify(spec, facts=KernelFacts(carried_types))
    return Said(report.verdict, report.message)


def said_by_kernel(spec: ProgramSpec) -> Said | None:
    """The running kernel's, or None where it refuses all programs of the type unseen."""
    answer = ask_kernel(fit(spec, RUNNING_KERNEL).program)
    if answer.verdict == "reject" and not answer.message:
        return None
    return Said(answer.verdict, answer.message)


def has_tables() -> bool:
    """Whether the running kernel has the tables of programs that those of distributions have."""
    return default_types().find("bpf_struct_ops_sched_ext_ops") is not None


def main(arguments: list[str]) -> None:
    """Print where source, skep and kernel differ."""
    loud = "-v" in arguments
    for source in [one for one in arguments if one != "-v"] or [*names(), *distribution_names()]:
        of_distribution = source.startswith(DISTRIBUTION)
        for name, spec in programs(source).items():
            tag = expected(spec)
            skep_says = said_of_distribution(spec) if of_distribution else said_by_skep(spec)
            asks = kernel_is_there() is None and (not of_distribution or has_tables())
            kernel_says = said_by_kernel(spec) if asks else None
            if loud or skep_says != tag or kernel_says not in (None, tag):
                print(f"{source}.c: {name}")
                for who, said in (("source", tag), ("skep", skep_says), ("kernel", kernel_says)):
                    print(f"  {who:7} " + ("-" if said is None else f"{said.verdict} {said.message}"))


if __name__ == "__main__":
    main(sys.argv[1:])
