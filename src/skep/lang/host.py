"""Machine code of this process for functions of the language, by LLVM's ORC.

Functions that are asked for together are compiled in one module. What they refer to outside is resolved before LLVM
links, so that a missing symbol is an error with its name. Code is compiled once a process and never unloaded; it is
kept beyond that in the user's cache of compiled code, or in one that the caller provides.
"""

from __future__ import annotations

import ctypes
import hashlib
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from skep import codecache
from skep.errors import LanguageError
from skep.lang.function import Function
from skep.lang.llvm_options import NATIVE, options_for
from skep.lang.module import EmittedModule, emit
from skep.lang.target import HOST


class ObjectCache(Protocol):
    """Where compiled objects are kept; the key says everything that the object depends on."""

    def get(self, key: str) -> bytes | None:
        """The object kept under ``key``, or None."""

    def put(self, key: str, data: bytes) -> None:
        """Keep ``data`` under ``key``."""


@dataclass(slots=True)
class _Jit:
    """What LLVM needs, made once a process."""

    binding: Any
    machine: Any
    compiler: Any
    identity: str


_lock = threading.RLock()
_jit: _Jit | None = None
_addresses: dict[Function[..., Any], int] = {}
_kept: list[Any] = []


def _start() -> _Jit:
    global _jit
    if _jit is None:
        import llvmlite
        from llvmlite import binding

        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        cpu = binding.get_host_cpu_name()
        features = binding.get_host_cpu_features().flatten()
        # The default code model of a JIT is the large one, which costs a factor of two.
        machine = binding.Target.from_default_triple().create_target_machine(
            cpu=cpu, features=features, opt=2, reloc="pic", codemodel="small"
        )
        version = ".".join(str(part) for part in binding.llvm_version_info)
        identity = f"{llvmlite.__version__} {version} {machine.triple} {cpu} {features} {NATIVE}"
        _jit = _Jit(binding, machine, binding.create_lljit_compiler(machine), identity)
    return _jit


def compile_host(
    functions: Iterable[Function[..., Any]], cache: ObjectCache | None = None
) -> dict[Function[..., Any], int]:
    """The address of the machine code of each function, compiled together if they are not there yet.

    Objects are kept in ``cache``; None means the user's own (:mod:`skep.codecache`), unless that is switched off.
    """
    asked = list(dict.fromkeys(functions))
    with _lock:
        missing = [one for one in asked if one not in _addresses]
        if missing:
            _compile(missing, codecache.default() if cache is None else cache)
        return {one: _addresses[one] for one in asked}


def _compile(functions: list[Function[..., Any]], cache: ObjectCache | None) -> None:
    module = emit(functions, HOST, entry_linkage="external")
    imports = _imports(module)
    jit = _start()
    text = module.text
    key = hashlib.blake2b(f"{jit.identity}\n{text}".encode(), digest_size=20).hexdigest()
    data = cache.get(key) if cache is not None else None
    if data is None:
        data = _object(jit, text)
        if cache is not None:
            cache.put(key, data)
    builder = jit.binding.JITLibraryBuilder()
    builder.add_object_img(data)
    builder.add_current_process()
    for symbol, address in imports.items():
        builder.import_symbol(symbol, address)
    for symbol in module.symbols.values():
        builder.export_symbol(symbol)
    try:
        # A library name cannot be used again, even after its library is gone.
        tracker = builder.link(jit.compiler, f"skep.lang.{len(_kept)}")
    except RuntimeError as error:
        raise LanguageError(f"machine code cannot be linked: {error}") from error
    _kept.append((tracker, module.variables))
    for function, symbol in module.symbols.items():
        _addresses[function] = tracker[symbol]


@options_for(HOST)
def _object(jit: _Jit, text: str) -> bytes:
    try:
        parsed = jit.binding.parse_assembly(text)
        parsed.verify()
    except RuntimeError as error:
        raise LanguageError(
            f"the compiler made LLVM code that LLVM refuses, which is a defect of skep: {error}"
        ) from error
    parsed.triple = jit.machine.triple
    parsed.data_layout = str(jit.machine.target_data)
    options = jit.binding.create_pipeline_tuning_options(speed_level=2)
    passes = jit.binding.create_pass_builder(jit.machine, options)
    passes.getModulePassManager().run(parsed, passes)
    data: bytes = jit.machine.emit_object(parsed)
    return data


def _imports(module: EmittedModule) -> dict[str, int]:
    found = {symbol: variable.address for symbol, variable in module.variables.items()}
    if module.externals:
        process = ctypes.CDLL(None)
        for symbol in sorted(module.externals):
            try:
                address = ctypes.cast(process[symbol], ctypes.c_void_p).value
            except AttributeError:
                raise LanguageError(f"the external function {symbol} is not in this process") from None
            assert address is not None
            found[symbol] = address
    return found
