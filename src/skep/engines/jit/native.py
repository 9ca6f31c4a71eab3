"""LLVM IR to machine code to addresses, through llvmlite: target, pass pipeline, linking."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from skep.errors import LoadError


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
def target_machine(level: int) -> Any:
    """A target machine for the host. The small code model: the default would be large, and slow."""
    llvm = binding()
    triple, cpu, features = host()
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=features, opt=level, reloc="pic", codemodel="small"
    )


def identity() -> str:
    """What machine code depends on besides its IR: versions, CPU and features."""
    import llvmlite

    llvm = binding()
    return f"{llvmlite.__version__} {llvm.llvm_version_info} {host()}"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """How much to do for programs of up to ``slots`` slots: levels of LLVM's own pipelines, 0 for a short list."""

    slots: int
    passes: int
    codegen: int
    vectorise: bool


#: Time grows faster than size, so large programs get less.
PIPELINES = (
    Pipeline(4_000, passes=3, codegen=3, vectorise=True),
    Pipeline(12_000, passes=1, codegen=1, vectorise=False),
    Pipeline(1 << 62, passes=0, codegen=1, vectorise=False),
)


def pipeline_for(size: int, level: int | None) -> Pipeline:
    """The row for a module of ``size`` slots, or the first one of the level asked for."""
    if level is not None:
        return Pipeline(size, passes=level, codegen=min(max(level, 1), 3), vectorise=level > 1)
    return next(row for row in PIPELINES if size <= row.slots)


def optimised(text: str, size: int, level: int | None = None) -> Any:
    """The module of IR ``text`` after the passes that ``size`` slots of BPF deserve; LoadError if it is bad."""
    llvm = binding()
    row = pipeline_for(size, level)
    machine = target_machine(row.codegen)
    context = llvm.create_context()
    header = f'target datalayout = "{machine.target_data}"\ntarget triple = "{machine.triple}"\n'
    try:
        module = llvm.parse_assembly(header + text, context)
        module.verify()
    except RuntimeError as error:
        raise LoadError(f"LLVM refuses the code made for this program, which is a defect of skep: {error}") from None
    options = llvm.create_pipeline_tuning_options(speed_level=row.passes)
    options.loop_vectorization = row.vectorise
    options.slp_vectorization = row.vectorise
    builder = llvm.create_pass_builder(machine, options)
    if row.passes:
        passes = builder.getModulePassManager()
    else:
        passes = llvm.create_new_module_pass_manager()
        passes.add_always_inliner_pass()
        passes.add_sroa_pass()
        passes.add_instruction_combine_pass()
        passes.add_simplify_cfg_pass()
    passes.run(module, builder)
    return module


def machine_code(text: str, size: int, level: int | None = None) -> bytes:
    """The object file of IR ``text``."""
    module = optimised(text, size, level)
    return bytes(target_machine(pipeline_for(size, level).codegen).emit_object(module))


def assembly(text: str, size: int, level: int | None = None) -> str:
    """The assembly of IR ``text``."""
    module = optimised(text, size, level)
    return str(target_machine(pipeline_for(size, level).codegen).emit_assembly(module))


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
