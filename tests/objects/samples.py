"""The objects that these tests read, and the compilers that can build them anew."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import skep.objects
from skep.objects import Spec

DATA = Path(__file__).parent.parent / "data" / "objects"
SAMPLES = tuple(sorted(path.name.removesuffix(".bpf.o") for path in DATA.glob("*.bpf.o")))
VERSIONS = (14, 15, 16, 17, 18, 19, 20, 21, 22)


def sample_bytes(name: str) -> bytes:
    return (DATA / f"{name}.bpf.o").read_bytes()


@functools.cache
def sample(name: str) -> Spec:
    return skep.objects.open(DATA / f"{name}.bpf.o")


def clangs() -> list[str]:
    """The versions of clang that are installed, and the unversioned one where there is no other."""
    found = [name for version in VERSIONS if shutil.which(name := f"clang-{version}")]
    return found or [name for name in ("clang",) if shutil.which(name)]


@functools.cache
def build(name: str, clang: str, *options: str, target: str = "bpf") -> bytes:
    """One of the sources, compiled."""
    with tempfile.TemporaryDirectory() as folder:
        return _compile(DATA / f"{name}.bpf.c", Path(folder) / "built.o", clang, options, target)


def build_text(text: str, clang: str, *options: str, target: str = "bpf") -> bytes:
    """C source as text, compiled; ``bpf.h`` can be included."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.c"
        source.write_text(text)
        return _compile(source, Path(folder) / "built.o", clang, options, target)


def _compile(source: Path, built: Path, clang: str, options: tuple[str, ...], target: str) -> bytes:
    command = [clang, "-O2", "-target", target, "-I", str(DATA), *options, "-c", str(source), "-o", str(built)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return built.read_bytes()
