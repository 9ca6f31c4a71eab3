"""Calls of kernel functions (kfuncs): who may call, what is held against the prototype, what the call leaves behind.

A call goes through three steps: the function is found in the kernel's types, each register is held against its
parameter (``kfunc_arguments`` says what it has to be, ``_CHECKS`` who looks), and the result is made. What has rules
of its own is named in ``SPECIAL``. Messages, and the order of checks, were observed on Linux 6.18.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from skep.isa.instruction import Instruction
from skep.objects.spec import KfuncReference
from skep.stdlib import prototypes
from skep.stdlib.kfuncs import KFUNCS, Kfunc, KfuncFlag
from skep.verifier.calls import callbacks, dynptr_calls, exceptions, kfunc_checks, kfunc_results
from skep.verifier.calls.effects import PACKET_MOVERS
from skep.verifier.calls.helper_calls import forget_packet
from skep.verifier.calls.kfunc_arguments import Argument, ArgumentKind, arguments_of, kind_of
from skep.verifier.holding import locks, references, sections
from skep.verifier.kernel.kernel_types import Parameters
from skep.verifier.maps import allocated, arenas, lists_and_trees, timers
from skep.verifier.maps.facts import MapFacts
from skep.verifier.rejection import NotCovered, Rejection
from skep.verifier.stack import iterators
from skep.verifier.states.register import NOTHING, Kind, Register
from skep.verifier.steps.step import END

if TYPE_CHECKING:
    from skep.verifier.context import Context
    from skep.verifier.paths.exploration import Explorer


@dataclass(slots=True)
class KfuncCall:
    """One call, and what its arguments turned out to be."""

    kfunc: Kfunc
    function: Parameters
    arguments: tuple[Argument, ...]
    #: The constant passed for ``__k``, and the size of memory that the function returns.
    constant: int | None = None
    returned_size: int | None = None
    returned_read_only: bool = False
    map: MapFacts | None = None
    #: The reference among the arguments, and the register that a releasing function got it in.
    reference: int = 0
    released: int | None = None
    #: The object passed that an allocating, casting or list function is about.
    passed_object: Register | None = None
    #: A subprogram passed as callback.
    callback: int | None = None
    #: Slots of the stack that the call was seen to overwrite, one bit each.
    written: int = 0
    #: What the function leaves of the registers that were passed, by those who check them.
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The function's name."""
        return self.kfunc.name

    @property
    def flags(self) -> KfuncFlag:
        """The function's flags."""
        return self.kfunc.flags

    @property
    def wants_trusted(self) -> bool:
        """Whether kernel objects have to be trusted."""
        return bool(self.flags & (KfuncFlag.TRUSTED_ARGS | KfuncFlag.RELEASE))

    @property
    def wants_rcu(self) -> bool:
        """Whether kernel objects have to be trusted, or protected by RCU."""
        return bool(self.flags & KfuncFlag.RCU)

    def has_size(self, registers: list[Register], argument: Argument) -> bool:
        """Whether the next argument is the size of the memory that this one points to."""
        following = self.after(argument)
        return (
            following is not None
            and bool(following.marks & {"sz", "szk"})
            and registers[following.index].kind is Kind.SCALAR
        )

    def after(self, argument: Argument) -> Argument | None:
        """The argument behind this one."""
        following = argument.position + 1
        return self.arguments[following] if following < len(self.arguments) else None


def call_kfunc(context: Context, slot: int, instruction: Instruction) -> Callable[[Explorer], int]:
    """The step of a call of a kernel function."""
    function, weak = _function(context, slot, instruction)

    def follow(explorer: Explorer) -> int:
        explorer.sources[0] = 0
        explorer.jumps += 1
        if function is None:
            empty = "invalid kernel function call not eliminated in verifier pass"
            raise Rejection(f"invalid func unknown#{_POISONED + slot}" if weak else empty)
        kfunc = KFUNCS.get(function.name)
        check_locked(explorer, function.name)
        if function.table.tags_kfuncs and not function.table.is_kfunc(function.id):
            raise Rejection(f"calling kernel function {function.name} is not allowed", kfunc=function.name)
        if kfunc is None:
            raise NotCovered(f"kernel function {function.name}")
        return _call(explorer, kfunc, function)

    return follow


_CALL: Final = 0x85
_MOST_PARAMETERS: Final = 5


def parameter_counts(context: Context) -> dict[int, int]:
    """How many parameters the kernel functions have that instructions call.

    Linux takes what the program may not call to have as many as there can be.
    """
    found = {}
    program, attach = context.type, context.attach_type
    for slot, instruction in enumerate(context.spec.instructions):
        is_helper = instruction.opcode == _CALL and not instruction.src
        if is_helper and not prototypes.permitted(instruction.imm, program, attach):
            found[slot] = _MOST_PARAMETERS
    for slot, reference in context.spec.references.items():
        if isinstance(reference, KfuncReference):
            function = context.kernel_types.function(reference.name)
            row = KFUNCS.get(reference.name)
            if function is not None and row is not None and row.permitted(program, attach, context.member):
                found[slot] = len(function.parameters)
    return found


#: What a loader calls in place of a missing weak function: this number and the instruction's.
_POISONED = 2_002_000_000


def _function(context: Context, slot: int, instruction: Instruction) -> tuple[Parameters | None, bool]:
    """The function that an instruction calls, and whether the program can do without it."""
    reference = context.spec.references.get(slot)
    if isinstance(reference, KfuncReference):
        found = context.kernel_types.function(reference.name)
        if found is None and not reference.weak:
            raise NotCovered(f"kernel function {reference.name}, which the kernel does not have", instruction=slot)
        return found, reference.weak
    if not instruction.imm:
        # A place that the loader left empty: refused once a path gets there.
        return None, False
    if not context.is_gpl:
        raise Rejection("cannot call kernel function from non-GPL compatible program", instruction=slot)
    if instruction.offset:
        raise Rejection("failed to find BTF for kernel function", instruction=slot)
    number = instruction.imm & 0xFFFFFFFF
    types = context.kernel_types
    found = types.function_of(number) if number < len(types.btf) else None
    if found is None:
        raise Rejection(f"kernel btf_id {number} is not a function", instruction=slot)
    _check_bound(found.name, slot)
    return found, False


def _check_bound(name: str, slot: int) -> None:
    """Refuse a function that asks a network device, of which the program would have to be made for one."""
    if name.startswith("bpf_xdp_metadata_"):
        raise Rejection("metadata kfuncs require device-bound program", instruction=slot, kfunc=name)


def check_functions(context: Context) -> None:
    """Refuse named functions that the program must not call at all, whether a path gets to the call or not."""
    code = context.spec.instructions
    for slot, reference in sorted(context.spec.references.items()):
        if not isinstance(reference, KfuncReference) or code[slot].is_wide:
            continue
        if context.kernel_types.function(reference.name) is None:
            continue
        if not context.is_gpl:
            raise Rejection("cannot call kernel function from non-GPL compatible program", instruction=slot)
        _check_bound(reference.name, slot)


#: Kernel functions that may be called while a spin lock is held.
_UNDER_LOCK = frozenset(
    {
        "bpf_list_push_front_impl",
        "bpf_list_push_back_impl",
        "bpf_list_pop_front",
        "bpf_list_pop_back",
        "bpf_list_front",
        "bpf_list_back",
        "bpf_rbtree_add_impl",
        "bpf_rbtree_remove",
        "bpf_rbtree_first",
        "bpf_rbtree_root",
        "bpf_rbtree_left",
        "bpf_rbtree_right",
        "bpf_refcount_acquire_impl",
        "bpf_iter_num_new",
        "bpf_iter_num_next",
        "bpf_iter_num_destroy",
        "bpf_res_spin_lock",
        "bpf_res_spin_unlock",
        "bpf_res_spin_lock_irqsave",
        "bpf_res_spin_unlock_irqrestore",
    }
)


def check_locked(explorer: Explorer, name: str) -> None:
    """Refuse a function that may not be called while a lock is held."""
    if explorer.state.locks and name not in _UNDER_LOCK:
        raise Rejection("function calls are not allowed while holding a lock")


def _call(explorer: Explorer, kfunc: Kfunc, function: Parameters) -> int:
    context = explorer.context
    if not kfunc.permitted(context.type, context.attach_type, context.member):
        raise Rejection(f"calling kernel function {kfunc.name} is not allowed", kfunc=kfunc.name)
    if kfunc.flags & KfuncFlag.SLEEPABLE and not explorer.sleepable:
        raise Rejection(f"program must be sleepable to call sleepable kfunc {kfunc.name}", kfunc=kfunc.name)
    call = KfuncCall(kfunc, function, arguments_of(function))
    if call.name in BEFORE:
        BEFORE[call.name](explorer)
    skipped = False
    for argument in call.arguments:
        if skipped:
            skipped = False
            continue
        skipped = check_argument(explorer, call, argument)
    explorer.liveness.wrote(explorer.state, explorer.index, call.written)
    sections.check_protected(explorer, call)
    sections.check_kfunc(explorer, call)
    if kfunc.flags & KfuncFlag.RELEASE and call.released is None and "release" not in call.notes:
        raise Rejection(f"release kernel function {call.name} expects refcounted PTR_TO_BTF_ID", kfunc=call.name)
    special = SPECIAL.get(call.name)
    if special is None and kfunc.flags & KfuncFlag.ITER_NEXT:
        special = iterators.next_element
    if call.released is not None and special is None and not references.release(explorer.state, call.reference):
        raise Rejection(f"kfunc {call.name}#{function.id} reference has not been acquired before")
    result = special(explorer, call) if special is not None else kfunc_results.plain_result(explorer, call)
    registers = explorer.registers
    registers[0:6] = (result, *(NOTHING,) * 5)
    if call.name in PACKET_MOVERS:
        forget_packet(explorer.state)
    return END if "ends" in call.notes else explorer.index + 1


def check_argument(explorer: Explorer, call: KfuncCall, argument: Argument) -> bool:
    """Hold one register against its parameter; True if the next one was looked at with it."""
    passed = explorer.registers[argument.index]
    kind = kind_of(explorer, call, argument)
    kfunc_checks.check_pointer(explorer, call, argument, kind)
    _CHECKS[kind](explorer, call, argument, passed)
    return kind is ArgumentKind.MEMORY_AND_SIZE


def _not_covered(explorer: Explorer, call: KfuncCall, argument: Argument, passed: Register) -> None:
    kind = kind_of(explorer, call, argument)
    raise NotCovered(f"kernel function {call.name}, which takes {kind.value}")


def _ignored(explorer: Explorer, call: KfuncCall, argument: Argument, passed: Register) -> None:
    """Nothing is asked of it."""


_Check = Callable[["Explorer", KfuncCall, Argument, Register], None]

#: Who looks at an argument of each kind.
_CHECKS: dict[ArgumentKind, _Check] = {
    **dict.fromkeys(ArgumentKind, _not_covered),
    ArgumentKind.IGNORED: _ignored,
    ArgumentKind.NULL: _ignored,
    ArgumentKind.SCALAR: kfunc_checks.check_number,
    ArgumentKind.CONSTANT: kfunc_checks.check_constant,
    ArgumentKind.RETURNED_SIZE: kfunc_checks.check_returned_size,
    ArgumentKind.CONTEXT: kfunc_checks.check_context,
    ArgumentKind.OBJECT: kfunc_checks.check_object,
    ArgumentKind.MEMORY: kfunc_checks.check_plain_memory,
    ArgumentKind.MEMORY_AND_SIZE: kfunc_checks.check_memory_and_size,
    ArgumentKind.STRING: kfunc_checks.check_constant_string,
    ArgumentKind.DYNPTR: dynptr_calls.check_argument,
    ArgumentKind.ITERATOR: iterators.check_argument,
    ArgumentKind.IRQ_FLAG: sections.check_irq_flag,
    ArgumentKind.ALLOCATED: allocated.check_allocated,
    ArgumentKind.REFCOUNTED: allocated.check_counted,
    ArgumentKind.CALLBACK: callbacks.check_function,
    ArgumentKind.LIST_HEAD: lists_and_trees.check_owner,
    ArgumentKind.RB_ROOT: lists_and_trees.check_owner,
    ArgumentKind.LIST_NODE: lists_and_trees.check_node,
    ArgumentKind.RB_NODE: lists_and_trees.check_node,
    ArgumentKind.RES_SPIN_LOCK: locks.check_resilient,
    ArgumentKind.WORKQUEUE: timers.check_holder,
    ArgumentKind.TASK_WORK: timers.check_holder,
    ArgumentKind.MAP: timers.check_map,
    ArgumentKind.MAP_OBJECT: kfunc_checks.check_map_object,
}

#: Functions with rules of their own, by name: called once the arguments were checked, they do what the call does to
#: the state and give the result (r0).
SPECIAL: dict[str, Callable[[Explorer, KfuncCall], Register]] = {
    **dynptr_calls.SPECIAL,
    **sections.SPECIAL,
    **arenas.SPECIAL,
    "bpf_throw": exceptions.throw,
    **allocated.SPECIAL,
    **lists_and_trees.SPECIAL,
    **locks.SPECIAL,
    **timers.SPECIAL,
    **kfunc_results.SPECIAL,
}

#: What is done before the arguments of a function are looked at.
BEFORE: dict[str, Callable[[Explorer], None]] = dict.fromkeys(
    ("bpf_res_spin_lock", "bpf_res_spin_lock_irqsave"), locks.fork_failure
)
