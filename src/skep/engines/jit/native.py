"""LLVM IR to machine code to addresses, through llvmlite: target, pass pipeline, linking."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import cache
from typing import Any

from skep.errors import LoadError


@cache
def binding() -> Any:  # noqa: ANN401
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
def target_machine(level: int) -> Any:  # noqa: ANN401
    """A target machine for the host. The small code model: the default would be large, and slow."""
    llvm = binding()
    triple, cpu, features = host()
    return llvm.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=features, opt=level, reloc="pic", codemodel="small"
    )


def optimised(text: str, size: int) -> Any:  # noqa: ANN401
    """The module of IR ``text`` after the passes that ``size`` slots of BPF deserve. Raises LoadError if it is bad."""
    llvm = binding()
    machine = target_machine(3 if size < 20000 else 1)
    context = llvm.create_context()
    header = f'target datalayout = "{machine.target_data}"\ntarget triple = "{machine.triple}"\n'
    try:
        module = llvm.parse_assembly(header + text, context)
        module.verify()
    except RuntimeError as error:
        raise LoadError(f"LLVM refuses the code made for this program, which is an error in skep: {error}") from None
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    options.slp_vectorization = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return module


def machine_code(text: str, size: int) -> bytes:
    """The object file of IR ``text``."""
    module = optimised(text, size)
    return bytes(target_machine(3 if size < 20000 else 1).emit_object(module))


@cache
def _linker() -> Any:  # noqa: ANN401
    return binding().create_lljit_compiler()


_numbers = itertools.count()


class Linked:
    """Machine code in memory; it stays until :meth:`close`."""

    def __init__(self, objects: bytes, exports: tuple[str, ...], imports: Mapping[str, int]) -> None:
        builder = binding().JITLibraryBuilder()
        builder.add_object_img(objects)
        for name, address in imports.items():
            builder.import_symbol(name, address)
        for name in exports:
            builder.export_symbol(name)
        builder.add_current_process()
        self._tracker: Any = builder.link(_linker(), f"skep{next(_numbers)}")
        self.addresses = {name: int(self._tracker[name]) for name in exports}

    def close(self) -> None:
        """Give the memory back."""
        if self._tracker is not None:
            self._tracker.close()
            self._tracker = None
