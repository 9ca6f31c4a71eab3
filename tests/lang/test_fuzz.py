"""Random functions: native code, BPF code on the interpreter and plain Python agree; what is outside is refused."""

from __future__ import annotations

import ast
import inspect
import random
import textwrap
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skep.engines import Binding, engine
from skep.errors import LanguageError
from skep.lang import BPF, Function, compile_bpf, compile_host
from skep.memory import AddressSpace
from skep.objects.kinds import ProgramType
from skep.objects.spec import ProgramSpec
from tests.lang.generated import Writer, from_text
from tests.lang.wrapped import ORACLE, Wrapped

_SEEDS = st.integers(min_value=0, max_value=2**32)
_ARGUMENTS = st.one_of(st.sampled_from((0, 1, 2**63, 2**64 - 1)), st.integers(min_value=0, max_value=2**64 - 1))


def _python(text: str, a: int, b: int) -> int:
    space: dict[str, Any] = dict(ORACLE)
    exec(compile("from __future__ import annotations\n" + text, "<oracle>", "exec"), space)
    value: int = space["made"](Wrapped(a, 64, False), Wrapped(b, 64, False)).value
    return value


@settings(max_examples=60, deadline=None)
@given(seeds=st.lists(_SEEDS, min_size=1, max_size=4), a=_ARGUMENTS, b=_ARGUMENTS)
def test_native_code_computes_what_python_does(seeds: list[int], a: int, b: int) -> None:
    texts = [Writer(seed).function() for seed in seeds]
    functions = [from_text(text) for text in texts]
    compile_host(functions)
    for text, function in zip(texts, functions, strict=True):
        for x, y in ((a, b), (b, a), (a, a ^ b)):
            assert function(x, y) == _python(text, x, y), text


@settings(max_examples=40, deadline=None)
@given(seed=_SEEDS, a=_ARGUMENTS, b=_ARGUMENTS)
def test_bpf_code_computes_what_python_does(seed: int, a: int, b: int) -> None:
    text = Writer(seed).function()
    code = compile_bpf(from_text(text))
    spec = ProgramSpec("made", "raw", ProgramType.RAW, code.instructions)
    loaded = engine("interpreter").load(spec, Binding(AddressSpace()))
    assert loaded.run(a, b, 0) == _python(text, a, b), text


def _with_types(definition: ast.FunctionDef, seed: int) -> str:
    """The function with types written in, so that the compiler gets past its first line."""
    chosen = random.Random(seed)
    arguments = [*definition.args.posonlyargs, *definition.args.args, *definition.args.kwonlyargs]
    for one in arguments:
        one.annotation = ast.Name(chosen.choice(("u64", "i32", "u8", "bool", "Pair")))
    definition.args = ast.arguments([], arguments, None, [], [], None, [])
    definition.returns = ast.Name(chosen.choice(("u64", "None", "bool")))
    definition.decorator_list = []
    definition.name = "made"
    if chosen.random() < 0.7:
        definition.body = [chosen.choice(definition.body)]
    return "from __future__ import annotations\n" + ast.unparse(ast.fix_missing_locations(definition)) + "\n"


def _definitions(module: ModuleType) -> list[ast.FunctionDef]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(module)))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("module", [ast, inspect, random, textwrap], ids=lambda module: module.__name__)
def test_python_outside_the_language_is_refused_and_nothing_else(module: ModuleType) -> None:
    refused = 0
    for seed, definition in enumerate(_definitions(module)):
        text = _with_types(definition, seed)
        try:
            made: Function[..., Any] = from_text(text)
        except SyntaxError:
            continue
        for attempt in (made.emit, lambda made=made: made.emit(BPF)):
            try:
                attempt()
            except LanguageError as error:
                refused += bool(str(error))
    assert refused > 10
