"""A found difference as a text file: what differed, the inputs, the program as assembly. It can be read and replayed.

    # kernel and jit differ: return value of input 0
    type xdp
    level 3
    seed 4711
    input 00000000...
    function callback0 callback
    program
        r0 = 2
        exit

Lines that start with # are for people. ``level`` is the JIT's; ``seed`` is the number that the whole program was made
from, before it was made smaller; ``function`` gives a subprogram its type.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from skep.diff.text import listing_of
from skep.errors import RequestError
from skep.fuzz.maps import MAPS, TYPE_IDS, TYPES
from skep.isa import assemble, row_of
from skep.isa.meaning import Call, WideLoad
from skep.objects import ProgramSpec, ProgramType
from skep.objects.spec import FunctionReference, FunctionSpec, MapReference, Reference

#: What a case is about, as its file is called: what engines do, or what verifiers say.
DIFFERENCE, DISPUTE = "level", "verdict"


@dataclass(frozen=True, slots=True)
class Case:
    """A program with its inputs, and how it was compiled; ``remarks`` are sentences for people.

    ``kind`` is what engines or verifiers disagree on; it is not in the text, which shows both when it is replayed.
    """

    spec: ProgramSpec
    inputs: tuple[bytes, ...]
    level: int
    seed: int
    remarks: tuple[str, ...] = ()
    kind: str = DIFFERENCE

    def text(self) -> str:
        """The case as a file."""
        assert self.spec.type is not None
        names = {number: name for name, number in TYPE_IDS.items()}
        lines = [f"# {line}" for remark in self.remarks for line in remark.splitlines()]
        lines += [f"type {self.spec.type.label}", f"level {self.level}", f"seed {self.seed}"]
        lines += [f"input {data.hex()}" for data in self.inputs]
        lines += [f"function {one.name} {names[one.type_id]}" for one in self.spec.functions[1:]]
        return "\n".join([*lines, "program", listing_of(self.spec)])


def read_case(text: str, file: str | None = None) -> Case:
    """A case from the text of a file. Raises RequestError, and AssemblyError for its program."""
    head, found, body = text.partition("\nprogram\n")
    if not found:
        raise RequestError("the file is no case of skep fuzz: it has no line 'program'", file=file)
    given: dict[str, str] = {}
    inputs: list[bytes] = []
    functions: dict[str, str] = {}
    for number, line in enumerate(head.splitlines(), 1):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        match words:
            case ["type" | "level" | "seed", value]:
                given[words[0]] = value
            case ["input", *data]:
                try:
                    inputs.append(bytes.fromhex("".join(data)))
                except ValueError:
                    raise RequestError(f"line {number}: the input is not hexadecimal", file=file) from None
            case ["function", name, kind] if kind in TYPE_IDS:
                functions[name] = kind
            case _:
                raise RequestError(f"line {number} says nothing known: {line[:60]}", file=file)
    try:
        (type,) = [one for one in ProgramType if one.label == given["type"]]
        level, seed = int(given.get("level", "1")), int(given.get("seed", "0"))
    except (KeyError, ValueError):
        raise RequestError("type, level or seed is missing or is nothing known", file=file) from None
    # The lines in front keep their places, so that messages name the line in the file.
    blank = "\n" * (head.count("\n") + 2)
    return Case(_program(blank + body, type, functions, file), tuple(inputs), level, seed)


def _program(text: str, type: ProgramType, types: dict[str, str], file: str | None) -> ProgramSpec:
    assembly = assemble(text, file=file)
    code = assembly.instructions
    names = {slot: name for name, slot in assembly.labels.items()}
    starts = {0: "main"}
    references: dict[int, Reference] = {}
    for slot, instruction in enumerate(code):
        row = row_of(instruction)
        match row.meaning if row is not None else None:
            case Call(target="subprogram"):
                start = slot + 1 + instruction.imm
                starts.setdefault(start, names.get(start, f"function{start}"))
            case WideLoad(refers="function"):
                start = slot + 1 + instruction.imm
                starts.setdefault(start, names.get(start, f"function{start}"))
                references[slot] = FunctionReference(starts[start])
    for slot, symbol in assembly.symbols.items():
        if symbol.name not in MAPS:
            raise RequestError(f"the program names {symbol.name!r}; there are {', '.join(MAPS)}", file=file)
        references[slot] = MapReference(symbol.name, symbol.offset if symbol.kind == "map value" else None)
    used = {one.map for one in references.values() if isinstance(one, MapReference)}
    return ProgramSpec(
        "fuzz",
        "",
        type,
        code,
        functions=tuple(
            FunctionSpec(name, start, TYPE_IDS["main" if start == 0 else types.get(name, "subprogram5")])
            for start, name in sorted(starts.items())
        ),
        references=MappingProxyType(references),
        maps=MappingProxyType({name: MAPS[name] for name in MAPS if name in used}),
        license="GPL",
        file=file,
        btf=TYPES,
    )
