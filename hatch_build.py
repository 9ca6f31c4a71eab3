"""Builds the wheel; with ``SKEP_COMPILE=1`` the verifier's hot modules are compiled to machine code by mypyc.

Everything works without: the compiled modules are the plain ones, translated (which stay in the wheel beside them),
and ``tests/verifier/test_compiled.py`` holds the answers of both against each other. A C compiler is needed, nothing
else: mypy is fetched for the build alone. Editable installs are never compiled.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: What a verification spends its time in. Modules that use each other's classes gain by being compiled together.
MODULES = (
    "numbers/tnum",
    "numbers/scalar",
    "states/register",
    "states/slots",
    "states/state",
    "paths/checkpoint",
    "paths/counts",
    "paths/exploration",
    "paths/precision",
    "paths/stack_liveness",
    "numbers/comparison",
    "steps/step",
    "steps/branches",
    "numbers/arithmetic",
    "steps/arithmetic_steps",
    "steps/nullness",
    "stack/object_slots",
    "stack/stack_access",
    "steps/checks",
    "steps/accesses",
    "answers/liveness_log",
    "steps/memory",
    "steps/returns",
    "calls/functions",
    "calls/helper_arguments",
    "calls/helper_calls",
    "calls/effects",
    "calls/stack_depth",
    "structure",
    "paths/flow",
    "steps/reserved",
    "steps/instructions",
)


def _is_wanted() -> bool:
    return os.environ.get("SKEP_COMPILE", "0") not in ("", "0")


class CompiledModules(BuildHookInterface[Any]):
    """Adds the compiled modules to the wheel."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What the build needs beyond hatchling."""
        return ["mypy>=1.18", "setuptools>=65"] if _is_wanted() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and name the results to hatch."""
        if not _is_wanted() or self.target_name != "wheel" or version == "editable":
            return
        place = Path(self.root, "build", "compiled")
        for file in _compiled(Path(self.root), place):
            build_data["force_include"][str(file)] = str(file.relative_to(place / "lib"))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True


def _compiled(root: Path, place: Path) -> list[Path]:
    """Compile the modules into ``place``/lib, laid out as in site-packages; what is newer than them is left.

    A front end may ask twice, for the metadata and for the wheel.
    """
    sources = [root / "src" / "skep" / "verifier" / f"{module}.py" for module in MODULES]
    made = sorted((place / "lib").rglob("*.so"))
    newest = max(source.stat().st_mtime for source in sources)
    if len(made) > len(MODULES) and min(file.stat().st_mtime for file in made) > newest:
        return made
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    before = Path.cwd()
    os.chdir(root)
    try:
        extensions = mypycify(
            [
                "--config-file=",
                "--follow-imports=silent",
                "--ignore-missing-imports",
                *(str(source.relative_to(root)) for source in sources),
            ],
            opt_level="2",
            debug_level="0",
            group_name="skep_verifier",
            target_dir=str(place / "build"),
        )
        command = build_ext(Distribution({"name": "skep", "ext_modules": extensions}))
        command.build_lib = str(place / "lib")
        command.build_temp = str(place / "build")
        command.ensure_finalized()
        command.run()
    finally:
        os.chdir(before)
    return sorted((place / "lib").rglob("*.so"))
