"""Random programs that call kernel functions: objects acquired, passed on, read and given back, mostly rightly.

Every function that the running kernel has is called, in program types that may call it, with arguments that lean
towards what it asks for.
"""

from __future__ import annotations

import random

from skep.btf.types import Pointer
from skep.isa import Instruction, assemble
from skep.objects import AttachType, FunctionSpec, KfuncReference, MapReference, MapSpec, MapType, ProgramSpec
from skep.objects import ProgramType as P
from skep.objects.spec import Reference
from skep.stdlib.kfuncs import KFUNCS, KfuncFlag
from skep.verifier.kernel.kernel_types import Parameters, TypeTable, default_modules, default_types, kernel_table

_MAPS = {
    "values": MapSpec("values", MapType.ARRAY, 4, 64, 4),
    "text": MapSpec(
        "text", MapType.ARRAY, 4, 16, 1, contents=b"text %d\0".ljust(16, b"\0"), frozen=True, flags=1 << 7
    ),
}
#: Program types with attach type, target, and whether they sleep.
_HOSTS: list[tuple[P, AttachType | None, str | None, bool]] = [
    (P.XDP, None, None, False),
    (P.SCHED_CLS, None, None, False),
    (P.SYSCALL, None, None, True),
    (P.TRACING, AttachType.TRACE_RAW_TP, "sched_switch", False),
    (P.TRACING, AttachType.TRACE_ITER, "task", True),
    (P.TRACEPOINT, None, None, False),
    (P.CGROUP_SOCK_ADDR, AttachType.CGROUP_UNIX_CONNECT, None, False),
    (P.KPROBE, AttachType.TRACE_KPROBE_SESSION, None, False),
    (P.SOCKET_FILTER, None, None, False),
]
_GET_CURRENT_TASK_BTF = 158
_CONTEXTS = frozenset({"__sk_buff", "xdp_md", "bpf_user_pt_regs_t"})


def types() -> TypeTable:
    """The types of the running kernel and its modules."""
    return kernel_table(default_types(), default_modules)


def names() -> list[str]:
    """The functions that the running kernel has."""
    found = {name: types().function(name) for name in KFUNCS}
    return [name for name, one in found.items() if one is not None and one.table.is_kfunc(one.id)]


class Writer:
    """One program as it is written: code, references, and by register the type of the object that it holds."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.code: list[Instruction] = []
        self.references: dict[int, Reference] = {}
        self.objects: dict[int, str] = {}
        self.free = [7, 8, 9]

    def text(self, lines: str) -> None:
        self.code.extend(assemble(lines).instructions)

    def likely(self, share: float) -> bool:
        return self.chance.random() < share

    def map(self, register: int, name: str, *, value: bool) -> None:
        self.references[len(self.code)] = MapReference(name, 0 if value else None)
        self.code += [Instruction(0x18, register, 2 if value else 1), Instruction(0)]

    def call(self, name: str) -> None:
        """Call a function with what it may take; keep the object that it returns."""
        function = types().function(name)
        assert function is not None
        table = function.table
        for index, parameter in enumerate(function.parameters, 1):
            pointer = isinstance(table.btf.resolve(parameter.type), Pointer)
            target = table.pointee(parameter.type)
            self._argument(index, parameter.name, target.name if pointer and target is not None else None)
        self.references[len(self.code)] = KfuncReference(name)
        self.code.append(Instruction(0x85, 0, 2, 0, -1))
        self._keep(function)

    def _argument(self, index: int, name: str, target: str | None) -> None:
        choose = self.chance
        held = [register for register, type in self.objects.items() if type == target]
        if target is None:
            self.text(
                choose.choice([f"r{index} = {choose.choice((0, 1, 8, 12, 16, 32, -1))}"] * 8 + [f"r{index} = r10"])
            )
        elif self.likely(0.06):
            self.text(f"r{index} = 0")
        elif held and self.likely(0.9):
            self.text(f"r{index} = r{choose.choice(held)}")
        elif target in _CONTEXTS:
            self.text(f"r{index} = r6")
        elif name.endswith("__map") or target == "bpf_map":
            self.map(index, "values", value=False)
        elif name.endswith("__str"):
            self.map(index, "text", value=True)
        elif self.likely(0.2):
            self.map(index, "values", value=True)
        elif self.likely(0.97):
            self.text(f"r{index} = r10\nr{index} += {choose.choice((-8, -16, -24, -32, -64))}")

    def _keep(self, function: Parameters) -> None:
        target = function.table.pointee(function.result)
        if target is None or not self.free:
            return
        register = self.free.pop()
        self.text(f"r{register} = r0")
        if self.likely(0.85):
            self.text(f"if r{register} != 0 goto +2\nr0 = 0\nexit")
        self.objects[register] = target.name


def random_program(seed: int, known: list[str]) -> ProgramSpec:
    """The program of that seed, around one of the functions ``known``."""
    chance = random.Random(seed)
    writer = Writer(chance)
    hosts: list[tuple[P, AttachType | None, str | None, bool]] = []
    while not hosts:
        name = chance.choice(known)
        hosts = [host for host in _HOSTS if KFUNCS[name].permitted(host[0], host[1])]
    type, attach, target, sleepable = chance.choice(hosts)
    allowed = [one for one in known if KFUNCS[one].permitted(type, attach)]
    writer.text(
        "r6 = r1\n" + "\n".join(f"*(u64 *)(r10 - {at}) = {chance.choice((0, 0, 1))}" for at in range(8, 72, 8))
    )
    function = types().function(name)
    assert function is not None
    for parameter in function.parameters:
        wanted = function.table.pointee(parameter.type)
        if wanted is None or not wanted.name or writer.likely(0.15):
            continue
        if wanted.name == "task_struct" and writer.likely(0.6):
            register = writer.free.pop() if writer.free else 7
            writer.code.append(Instruction(0x85, 0, 0, 0, _GET_CURRENT_TASK_BTF))
            writer.text(f"r{register} = r0")
            writer.objects[register] = "task_struct"
        elif makers := [one for one in allowed if _makes(one, wanted.name) and one != name]:
            writer.call(chance.choice(makers))
    writer.call(name)
    if writer.objects and writer.likely(0.4):
        size = chance.choice((8, 32, 64))
        writer.text(f"r1 = *(u{size} *)(r{chance.choice([*writer.objects])} + {chance.choice((0, 8, 16))})")
    for register, held in writer.objects.items():
        ways = [one for one in allowed if KFUNCS[one].flags & KfuncFlag.RELEASE and _takes(one, held)]
        if ways and writer.likely(0.9):
            writer.text(f"r1 = r{register}")
            writer.references[len(writer.code)] = KfuncReference(ways[0])
            writer.code.append(Instruction(0x85, 0, 2, 0, -1))
    writer.text("r0 = 0\nexit")
    maps = {one.map: _MAPS[one.map] for one in writer.references.values() if isinstance(one, MapReference)}
    return ProgramSpec(
        "test",
        "test",
        type,
        tuple(writer.code),
        attach,
        target,
        sleepable,
        functions=(FunctionSpec("test", 0),),
        references=writer.references,
        maps=maps,
        license="GPL",
    )


def _makes(name: str, type: str) -> bool:
    function = types().function(name)
    made = None if function is None else function.table.pointee(function.result)
    return made is not None and made.name.removesuffix("___init") == type.removesuffix("___init")


def _takes(name: str, type: str) -> bool:
    function = types().function(name)
    if function is None or len(function.parameters) != 1:
        return False
    taken = function.table.pointee(function.parameters[0].type)
    return taken is not None and taken.name == type
