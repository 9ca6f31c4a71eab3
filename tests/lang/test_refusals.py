"""What is outside the language is refused with its place, a caret and what to write instead."""

from __future__ import annotations

import pytest

from skep.errors import LanguageError
from skep.lang import BPF, TARGETS, external, function, i32, make_struct, popcount, table, u8, u32, u64, variable
from tests.lang.generated import from_text

_PAIR = make_struct("Pair", {"first": u32, "second": u64})
_PACKED = make_struct("Packed", {"kind": u8, "count": u64}, packed=True)
_NAMES = {
    "Pair": _PAIR,
    "Packed": _PACKED,
    "STATE": variable(u64),
    "ROW": table(u32, (1, 2, 3)),
    "getpid": external("getpid", [], i32),
    "TEXT": "text",
    "LIST": [1, 2],
}

#: A statement, the text that the caret stands under (its first character), and what the message says.
REFUSED = [
    ("return x + y", "x + y", "u64 and u32 do not mix: convert one of them, as in u64(x)"),
    ("return x + z", "x + z", "u64 and i64 do not mix"),
    ("return u64(x < y)", "x < y", "cannot be compared"),
    ("return y", "y", "the result is a u64, not a u32: write u64(...)"),
    ("y = x", "x", "y is a u32, not a u64"),
    ("return x + 18446744073709551616", "18446744073709551616", "does not fit a u64"),
    ("return x + -1", "-1", "-1 does not fit a u64: write u64(-1) to wrap it"),
    ("n = 3\n    n += 1", "3", "the width of 3 is not known here: write n: u64 = 3"),
    ("n = 1 if flag else 2", "1 if flag", "the width of these literals is not known"),
    ("return x / 2", "x / 2", "write // for the whole part"),
    ("return x ** 2", "x ** 2", "the operator Pow is outside the language"),
    ("return x << 64", "64", "cannot be shifted by 64"),
    ("return x << -1", "-1", "goes the wrong way"),
    ("return x if flag else 1.5", "1.5", "there is no float"),
    ("return 'a'", "'a'", "a str is no value of the language"),
    ("return TEXT", "TEXT", "a str is no value"),
    ("return LIST[0]", "LIST", "a list is no value"),
    ("return None", "None", "a null pointer is null(T)"),
    ("return", "return", "the function returns a u64"),
    ("x = 3", "def made", "can end without returning a u64"),
    ("while flag:\n        return x", "def made", "can end without returning a u64"),
    ("if flag:\n        n: u64 = 3\n    return n", "n", "n may have no value here"),
    ("while flag:\n        n: u64 = 3\n        break\n    return n", "n", "n may have no value here"),
    ("for i in range(3):\n        pass\n    return i", "i", "i may have no value here"),
    ("return unknown", "unknown", "unknown is not defined"),
    ("return len([x])", "[x]", "there are no lists"),
    ("return (lambda: x)()", "lambda", "write a @function and name it"),
    ("print(x)", "print(x)", "print cannot be called in a compiled function"),
    ("x.bit_count()", "x.bit_count", "a u64 has no fields"),
    ("return p.third", "p.third", "structure Pair has no field third: it has first, second"),
    ("return p[0]", "p[0]", "a Pair is no single value"),
    ("q = p[0]\n    return x", "p[0]", "is not copied into a name"),
    ("return p + 1", "p + 1", "a Ptr[Pair] cannot be calculated with: write offset(p, n) or p[n]"),
    ("return u32(p)", "u32(p)", "an address has 64 bits"),
    ("return address_of(x)[0]", "x)", "x is a value without an address"),
    ("return address_of(k.count)[0]", "address_of(k", "may lie at any address, as it is packed"),
    ("q = cast(Ptr[u8], y)", "y)", "an address has 64 bits"),
    ("q = cast(u64, p)", "u64", "a cast makes a pointer"),
    ("q = cast(Ptr[Missing], p)", "Ptr[Missing]", "Missing is not defined"),
    ("q = null(3 + 4)", "3 + 4", "no type of the language"),
    ("n: int = 3", "int", "int has no width"),
    ("n = int(x)", "int(x)", "int has no width"),
    ("a, b = x", "a, b", "as many values as names"),
    ("a = b = x", "a = b", "one assignment a line"),
    ("for i in ROW:\n        pass", "ROW", "write for i in range(n)"),
    ("for i in range(0, 3, x):\n        pass", "x)", "the step of a range is a constant"),
    ("for i in range(x, y):\n        pass", "y)", "the bounds are a u64 and a u32"),
    ("for i in range(3):\n        pass\n    else:\n        pass", "pass", "a loop has no else"),
    ("try:\n        pass\n    finally:\n        pass", "try", "there are no exceptions"),
    ("with p:\n        pass", "with", "there is no with"),
    ("import os", "import", "imports stand at the top"),
    ("global TEXT", "global", "module state is a variable"),
    ("def inner(): pass", "def inner", "a function inside a function"),
    ("match x:\n        case 1: pass", "match", "write if and elif"),
    ("del x", "del", "nothing can be deleted"),
    ("raise ValueError", "raise", "there are no exceptions"),
    ("x", "x", "this does nothing"),
    ("x == 3", "x == 3", "this does nothing"),
    ("if (n := x):\n        return n", "n := x", "an assignment stands on a line of its own"),
    ("if x is None:\n        return x", "None", "a null pointer is null(T)"),
    ("if x in (1, 2):\n        return x", "(1, 2)", "a tuple is no value"),
    ("return ROW[3]", "3]", "index 3 is outside a table of 3"),
    ("a = array(u8, 4)\n    return u64(a[4])", "4]", "index 4 is outside Array[u8, 4]"),
    ("a = array(u8, x)", "x)", "the length of a local array is a constant"),
    ("a = array(u8, 4)\n    a = array(u8, 4)", "a = array", "names memory: assign it once"),
    ("return a[1:2]", "a[1", "a is not defined"),
    ("return STATE[1:2]", "1:2", "there are no slices"),
    ("return getpid(x)", "getpid(x)", "getpid takes 0 arguments, not 1"),
    ("return u64(x, y)", "u64(x, y)", "u64(...) converts one value"),
    ("return atomic_add(p, 1)", "p, 1", "atomic operations work on integers and pointers, not on a Pair"),
    ("return atomic_load(STATE, RELEASE)", "RELEASE", "the order is one of RELAXED, ACQUIRE, SEQ_CST"),
    ("return atomic_load(STATE, 3)", "3)", "a memory order is needed here"),
    ("return fence()", "fence()", "this returns nothing"),
    ("return x and fence()", "fence()", "this returns nothing"),
    ("return x if flag else y", "x if flag", "the two sides are a u64 and a u32"),
    ("return -flag", "-flag", "a bool cannot be calculated with: write not x"),
    ("return not_there.field", "not_there", "not_there is not defined"),
    ("return byte_swap(flag)", "flag", "an integer is needed here, not a bool"),
    ("return Pair(third=3).first", "third=3", "has no scalar field third"),
    ("return multiply_high(z, z)", "multiply_high", "that of unsigned integers"),
    ("ROW[0] = 1", "ROW[0]", "this has no address"),
    ("return made(x, y, z, flag, p, k)", "def made", "a function cannot call itself"),
]


@pytest.mark.parametrize(("statement", "at", "problem"), REFUSED, ids=[row[0].split("\n")[0] for row in REFUSED])
def test_a_statement_is_refused_at_its_place(statement: str, at: str, problem: str) -> None:
    signature = "def made(x: u64, y: u32, z: i64, flag: bool, p: Ptr[Pair], k: Ptr[Packed]) -> u64:"
    made = from_text(f"@function\n{signature}\n    {statement}\n", **_NAMES)
    with pytest.raises(LanguageError) as caught:
        made.emit()
    error = caught.value
    assert problem in error.problem
    sentence, line, caret = str(error).split("\n")
    assert sentence == f"{error.file}: line {error.line}, column {error.column}: {error.problem}"
    under = line[caret.index("^") :]
    # The caret stands on the text that is named, or on the whole of which it is the beginning.
    assert under.startswith(at), str(error)


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        ("def made(x) -> None: pass", "parameter x has no type"),
        ("def made(x: u64): pass", "the result has no type"),
        ("def made(*x: u64) -> None: pass", "parameters are plain names"),
        ("def made(x: u64 = 3) -> None: pass", "a parameter has no default value"),
        ("def made(x: Pair) -> None: pass", r"a Pair cannot be a parameter: pass its address, Ptr\[Pair\]"),
        ("def made(x: int) -> None: pass", "int has no width"),
        ("def made(x: 'Missing') -> None: pass", "cannot be read here"),
        ("def made() -> Pair: pass", "a Pair cannot be returned"),
        ("def made(x: float) -> None: pass", "float is not a type"),
    ],
)
def test_a_signature_is_refused(definition: str, problem: str) -> None:
    with pytest.raises(LanguageError, match=problem):
        from_text(definition + "\n", **_NAMES).emit()


def test_functions_cannot_call_each_other_in_a_ring() -> None:
    text = "def one(x: u64) -> u64:\n    return two(x)\ndef two(x: u64) -> u64:\n    return one(x)\n"
    made = from_text(text + "one = function(one)\nmade = two = function(two)\n")
    with pytest.raises(LanguageError, match="two calls one calls two"):
        made.emit()


def test_a_lambda_and_a_builtin_are_no_functions() -> None:
    with pytest.raises(LanguageError, match="write a def"):
        function(lambda x: x).emit()
    with pytest.raises(LanguageError, match="not a function written in Python"):
        function(len)


def test_a_function_without_source_is_refused() -> None:
    space: dict[str, object] = {"u64": u64}
    exec("def made(x: u64) -> u64:\n    return x\n", space)
    made = space["made"]
    assert callable(made)
    with pytest.raises(LanguageError, match="is written in a file"):
        function(made).emit()


def test_a_missing_c_function_is_named() -> None:
    made = from_text("def made() -> u32:\n    return nowhere()\n", nowhere=external("no_such_function_here", [], u32))
    assert "no_such_function_here" in made.emit()
    with pytest.raises(LanguageError, match="no_such_function_here is not in this process"):
        made()


def test_specialisation_refuses_what_does_not_fit() -> None:
    made = from_text("def made(x: u8, f: Fn[[u64], u64]) -> u64:\n    return f(u64(x))\n")
    other = from_text("def made(x: u64) -> u64:\n    return x\n")
    wrong = from_text("def made(x: u32) -> u64:\n    return u64(x)\n")
    assert made.specialise(x=3, f=other)() == 3
    for constants in ({"y": 3}, {"x": 256}, {"x": other}, {"f": 3}, {"f": wrong}):
        with pytest.raises(LanguageError):
            made.specialise(**constants)
    with pytest.raises(LanguageError, match="no parameter x to make constant"):
        made.specialise(x=3).specialise(x=4)


def test_operations_mean_nothing_outside_a_compiled_function() -> None:
    with pytest.raises(LanguageError, match="popcount works inside a compiled function: decorate the function"):
        popcount(3)


def test_narrow_processors_refuse_addresses_in_memory() -> None:
    made = from_text("def made(p: Ptr[Ptr[u8]]) -> u8:\n    return p[0][0]\n")
    made.emit(BPF)
    with pytest.raises(LanguageError, match="arm has narrower ones"):
        made.emit(TARGETS["arm"])


def test_arguments_from_python_are_checked() -> None:
    made = from_text("def made(x: u64, p: Ptr[u8]) -> u64:\n    return x\n")
    assert made(3, None) == 3
    assert made(p=0, x=4) == 4
    for arguments in ((1,), (1, 2, 3), ("a", 2), (1, 2.5)):
        with pytest.raises(TypeError):
            made(*arguments)
