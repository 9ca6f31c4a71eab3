"""LLVM IR to machine code to addresses, through llvmlite: target, pass pipeline, linking."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import cache
from typing import Any

from skep.errors import LoadError
from skep.lang.llvm_options import options_for
from skep.lang.target import HOST


@cache
def binding() -> Any:
    """llvmlite's binding, initialised; imported late because that takes 80 ms."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


@cache
def host() -> tuple[str, str, str]:
    """Triple, CPU name and features of this machine."""
    llvm = binding()
    return llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


@cache
def target_machine(level: int, *, for_passes: bool = False) -> Any:
    """A target machine for the host. The small code model: the default would be large, and slow.

    It has the host's features. Passes are tuned for the host's processor, which says how wide vectors should be. Code
    generation on x86-64 is tuned for none: the order of instructions that LLVM chooses for one AMD processor ran
    a program of dependent rotations a sixth slower there.
    """
    llvm = binding()
    triple, cpu, features = host()
    if triple.startswith("x86_64") and not for_passes:
        cpu = "x86-64"
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=features, opt=level, reloc="pic", codemodel="small"
    )


def identity() -> str:
    """What machine code depends on besides its IR: versions, CPU and features."""
    import llvmlite

    llvm = binding()
    return f"{llvmlite.__version__} {llvm.llvm_version_info} {host()}"


#: The level that functions of up to so many slots deserve: the time that passes take grows faster than size.
#: Measured on functions made of loads, arithmetic and branches (milliseconds on one core): 3,700 slots take 1,200 at
#: level 3, 9,200 take 2,200 at level 1, 64,000 take 8,000 at level 0, where level 1 would take 60,000.
LEVELS = ((4_000, 3), (16_000, 1), (1 << 62, 0))


def level_for(size: int) -> int:
    """How much to do for a module whose largest function has ``size`` slots."""
    return next(level for slots, level in LEVELS if size <= slots)


@options_for(HOST)
def optimised(text: str, level: int) -> Any:
    """The module of IR ``text`` after the passes of a level. Raises LoadError where LLVM refuses the text.

    3 and 2 are LLVM's own pipelines. 1 simplifies function by function, after inlining what has to be. 0 makes
    registers of memory and clears up; -1 does the same without inlining, and its machine code is made in haste: for
    what runs once.
    """
    llvm = binding()
    machine = target_machine(max(level, 1), for_passes=True)
    header = f'target datalayout = "{machine.target_data}"\ntarget triple = "{machine.triple}"\n'
    try:
        module = llvm.parse_assembly(header + text, llvm.create_context())
        module.verify()
    except RuntimeError as error:
        raise LoadError(f"LLVM refuses the code made for this program, which is a defect of skep: {error}") from None
    options = llvm.create_pipeline_tuning_options(speed_level=max(level, 1))
    options.loop_vectorization = options.slp_vectorization = level > 1
    builder = llvm.create_pass_builder(machine, options)
    if level > 1:
        builder.getModulePassManager().run(module, builder)
        return module
    passes = llvm.create_new_module_pass_manager()
    if level >= 0:
        passes.add_always_inliner_pass()
    passes.add_global_dead_code_eliminate_pass()
    if level <= 0:
        passes.add_sroa_pass()
        passes.add_simplify_cfg_pass()
    passes.run(module, builder)
    if level == 1:
        simplification = builder.getFunctionPassManager()
        for function in module.functions:
            if not function.is_declaration:
                simplification.run(function, builder)
    return module


@options_for(HOST)
def machine_code(text: str, level: int) -> bytes:
    """The object file of IR ``text``."""
    return bytes(_machine_for(level).emit_object(optimised(text, level)))


@options_for(HOST)
def assembly(text: str, level: int) -> str:
    """The assembly of IR ``text``."""
    return str(_machine_for(level).emit_assembly(optimised(text, level)))


def _machine_for(level: int) -> Any:
    # Levels of code generation from 1 on make code of the same speed; 0 costs the running code more than it saves.
    return target_machine(max(level, 1) if level >= 0 else 0)


@cache
def _linker() -> Any:
    return binding().create_lljit_compiler()


_numbers = itertools.count()


class Linked:
    """Machine code in memory; it stays until each of its ``users`` has released it."""

    def __init__(
        self, objects: bytes, exports: tuple[str, ...], imports: Mapping[str, int], *, users: int = 1
    ) -> None:
        builder = binding().JITLibraryBuilder()
        builder.add_object_img(objects)
        for name, address in imports.items():
            builder.import_symbol(name, address)
        for name in exports:
            builder.export_symbol(name)
        builder.add_current_process()
        try:
            self._tracker: Any = builder.link(_linker(), f"skep.jit.{next(_numbers)}")
        except RuntimeError as error:
            raise LoadError(f"machine code cannot be linked: {error}") from None
        self._users = users
        self.addresses = {name: int(self._tracker[name]) for name in exports}

    def release(self) -> None:
        """One user needs it no more."""
        self._users -= 1
        if not self._users:
            self._tracker.close()
