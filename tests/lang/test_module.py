"""LLVM text: the same in every process, ready to paste; objects that a cache keeps; code for every architecture."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from skep.errors import LanguageError
from skep.lang import BPF, TARGETS, Ptr, compile_host, emit, external, function, i32, u8, u64, variable
from tests.lang import awkward
from tests.lang.generated import from_text

COUNT = variable(u64, symbol="count.of.tests")
getppid = external("getppid", [], i32)


@function(inline="never", cold=True)
def slow(x: u64) -> u64:
    COUNT[0] += 1
    return x * 3


@function(nonnull=True)
def fast(p: Ptr[u64], small: u8) -> u64:
    if p[0] > 5:
        return slow(p[0])
    return p[0] + u64(small)


@function
def parent() -> i32:
    return getppid()


class Cache:
    """Keeps objects in a dict and counts what is asked of it."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.hits = 0

    def get(self, key: str) -> bytes | None:
        self.hits += key in self.objects
        return self.objects.get(key)

    def put(self, key: str, data: bytes) -> None:
        self.objects[key] = data


def test_a_module_says_what_it_holds_and_what_it_needs() -> None:
    module = emit([fast, parent], entry_linkage="external")
    assert module.symbols == {fast: fast.symbol, parent: parent.symbol}
    assert set(module.functions) == {slow, fast, parent}
    assert module.externals == {"getppid"}
    assert list(module.variables) == ["count.of.tests"]
    assert (
        f'define external noundef i64 @"{fast.symbol}"(ptr noundef nonnull %p0, i8 noundef zeroext %p1)'
        in module.text
    )
    assert f'define internal noundef i64 @"{slow.symbol}"(i64 noundef %p0) nounwind cold' in module.text
    assert "noinline" in module.text
    assert all(symbol.startswith("fn.") for symbol in module.symbols.values())
    assert module.definitions in module.text
    assert "getppid" not in module.definitions.split("define")[0]


def test_functions_asked_for_alone_are_internal_unless_told_otherwise() -> None:
    assert f'define internal noundef i64 @"{fast.symbol}"' in emit([fast]).text
    assert f'define linkonce_odr noundef i64 @"{slow.symbol}"' in emit([fast], linkage="linkonce_odr").text


def test_addresses_stay_pointers() -> None:
    assert "inttoptr" not in emit([fast, awkward.copy_structure_fits, awkward.packed_fields_fits]).text


def test_text_is_the_same_in_every_process() -> None:
    script = (
        "from tests.lang import awkward, test_module as here; from skep.lang import emit, BPF;"
        "print(emit([here.fast, here.parent]).text); print(emit([awkward.all_atomics_fits], BPF).text)"
    )
    root = Path(__file__).parents[2]
    runs = []
    for seed in ("1", "2"):
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, cwd=root, capture_output=True, check=True, env={"PYTHONHASHSEED": seed})
        runs.append(done.stdout.decode())
    assert runs[0] == runs[1]
    assert "define" in runs[0]


def test_a_cache_keeps_objects() -> None:
    text = "def made(x: u64) -> u64:\n    return x * 12345\n"
    cache = Cache()
    first, second = from_text(text), from_text(text)
    # The same function under another symbol is another object; the same under the same symbol is not made again.
    second.symbol = first.symbol
    compile_host([first], cache)
    assert (len(cache.objects), cache.hits) == (1, 0)
    compile_host([second], cache)
    assert (len(cache.objects), cache.hits) == (1, 1)
    assert (first(2), second(3)) == (24690, 37035)
    assert first.address != second.address


def test_two_variables_of_one_symbol_are_refused() -> None:
    names = {"one": variable(u64, symbol="same"), "two": variable(u64, symbol="same")}
    with pytest.raises(LanguageError, match="two variables have the symbol same"):
        from_text("def made() -> u64:\n    one[0] = 1\n    return two[0]\n", **names).emit()


@pytest.mark.parametrize("arch", TARGETS)
def test_every_architecture_gets_code(arch: str) -> None:
    from llvmlite import binding

    target = TARGETS[arch]
    functions = [
        function
        for name, function in awkward.AWKWARD.items()
        if (target is not BPF or name.endswith("_fits"))
        and (target.pointer_bits == 64 or "pointer_atomics" not in name)
    ]
    module = binding.parse_assembly(emit(functions, target, entry_linkage="external").text)
    module.verify()
    if target is BPF:
        return
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    machine = binding.Target.from_triple(target.triple).create_target_machine(opt=1, reloc="pic")
    module.triple = target.triple
    module.data_layout = str(machine.target_data)
    assert len(machine.emit_object(module)) > 1000


def test_the_front_end_takes_about_a_millisecond_for_a_function() -> None:
    functions = list(awkward.AWKWARD.values())
    emit(functions)
    spent = []
    for _ in range(5):
        for one in functions:
            one.compiled.clear()
        start = time.perf_counter()
        emit(functions)
        spent.append(time.perf_counter() - start)
    assert min(spent) / len(functions) < 0.001


def test_functions_that_are_apart_are_only_declared() -> None:
    emitted = emit([fast], apart=lambda one: one.inline == "never")
    assert emitted.apart == (slow,)
    declared = f'declare noundef i64 @"{slow.symbol}"(i64 noundef) nounwind cold'
    assert emitted.declarations[slow.symbol] == declared
    assert emitted.functions == (fast,)
    assert not emitted.variables
