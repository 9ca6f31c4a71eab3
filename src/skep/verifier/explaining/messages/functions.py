"""Functions of the program: callbacks, global functions, exceptions; and programs as a whole."""

from __future__ import annotations

from skep.verifier.explaining import tales_calls, tales_values, telling
from skep.verifier.explaining.case import MessageForm, form

FORMS: tuple[MessageForm, ...] = (
    form(
        r"callback function not static",
        "callbacks",
        "The function passed as a callback is global.",
        "A callback is followed with what its caller knows, which a global function is not.",
        "Declare it static.",
    ),
    form(
        r"callback function not allowed for map",
        "callbacks",
        "bpf_for_each_map_elem() gets a map of a type that it does not walk.",
        "It walks arrays and hashes, per-CPU and LRU ones too.",
        "Keep the data in a hash or an array.",
    ),
    form(
        r"arg(?P<argument>\d+) expected pointer to func",
        "callbacks",
        "Argument {argument} has to be a function.",
        "What is called back has to be known when the program is loaded.",
        "Pass the name of a static function.",
        tales_calls.argument,
    ),
    form(
        r"write to change key R(?P<register>\d+) not allowed",
        "permissions",
        "A callback writes to the key that it is called with.",
        "The key is the map's own: changing it would lose the element.",
        "Copy the key to a local variable, and change that.",
    ),
    form(
        r"At subprogram exit the register R(?P<register>\d+) is not a scalar value \((?P<type>.+)\)",
        "return value",
        "A global function returns a pointer ({type}).",
        "Its callers know nothing of what it returns but that it is a number.",
        "Return a number, and pass data out through a pointer parameter.",
        tales_values.return_value,
    ),
    form(
        r"a non-sleepable BPF program context|global functions that may sleep are not allowed in .*",
        "permissions",
        "A global function that may sleep is called where nothing may.",
        "Neither programs that are not sleepable nor sections without sleeping may wait.",
        "Make the program sleepable, move the call out of the section, or call no function that sleeps there.",
        telling.usual,
    ),
    form(
        r"(?P<call>\S+) (?:kfunc .*)?cannot be called from callback .*|"
        r"insn (?P<slot>\d+) cannot call exception cb directly|exception cb only supports single integer argument|"
        r"multiple exception callback .*|Global function (?P<name>\w+)\(\) doesn't return scalar.*|"
        r"exception callback (?P<what>'\w+'|type id) .*|invalid exception callback .*|"
        r"cannot tail call within exception cb",
        "exceptions",
        "A rule of exceptions, or of the function that handles them, is broken.",
        "The handler is a global function that takes one number and returns one; it is called by bpf_throw() alone, "
        "and a program has one.",
        "Declare it int handler(u64 cookie), name it with __exception_cb(handler) on the main program, and do not "
        "throw from callbacks.",
        telling.usual,
    ),
    form(
        r"program with __ref argument cannot tail call",
        "references",
        "The program is handed something that it has to give back, and makes a tail call.",
        "The kernel gives it to this program alone: the one that a tail call goes on with could neither see it nor "
        "release it.",
        "Call a function of the program's own instead of another program.",
        telling.usual,
    ),
    form(
        r"invalid bpf_context access off=(?P<offset>\d+)\. Reference may already be released",
        "references",
        "An argument is read again (offset {offset} of the context), but what it led to was given back.",
        "The program was handed it with the duty to release it; once that is done the context may no longer be asked "
        "for it. A global function does not see it at all.",
        "Read the argument once, use it before it is released, and pass it to functions that are static.",
        telling.usual,
    ),
    form(
        r"arg#(?P<argument>\d+) (?:is expected to be non-NULL|expects pointer to ctx)|"
        r"R(?P<register>\d+) is not a pointer to arena or scalar\.",
        "arguments",
        "A global function gets an argument that it does not declare.",
        "A global function is verified on its own, for any arguments of its declared types; calls are held to them.",
        "Pass what is declared, check pointers for null first, or make the function static.",
        tales_calls.argument,
    ),
    form(
        r"addr_space_cast insn can only (?P<what>.+)",
        "arenas",
        "An arena's address is cast where it cannot be: such an instruction can only {what}.",
        "Pointers into an arena exist in the program's address space and in the kernel's.",
        "Declare one map of type arena, mark pointers with __arena, and let clang write the casts.",
    ),
)
