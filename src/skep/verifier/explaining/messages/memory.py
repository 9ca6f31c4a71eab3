"""Accesses to memory: the packet, map values, the stack, the context; bounds, alignment, rights."""

from __future__ import annotations

from skep.verifier.explaining import tales_calls, tales_memory, telling
from skep.verifier.explaining.case import REGISTER, MessageForm, form

FORMS: tuple[MessageForm, ...] = (
    form(
        r"invalid bpf_context access off=(?P<offset>-?\d+) size=(?P<size>\d+)",
        "context",
        "The program accesses {size} bytes at offset {offset} of its context, where it may not.",
        "Each program type shows some fields of its context, each in certain sizes, and few of them for writing.",
        "Use a field that this program type has, as a whole and with its declared type; if the compiler narrowed the "
        "access, read the field into a volatile variable first.",
        tales_memory.context_field,
    ),
    form(
        rf"{REGISTER} invalid mem access 'scalar'",
        "memory",
        "Register {register} is used as a pointer, but it holds a number.",
        "A number cannot be followed: it never was a pointer, or it stopped being one by arithmetic, by a partial "
        "store to the stack or by a call that moves the packet.",
        "Keep the pointer itself, load it again after such a call, and use bpf_probe_read_kernel() for addresses of "
        "kernel memory.",
        tales_memory.number_followed,
    ),
    form(
        rf"{REGISTER} invalid mem access '(?P<type>\w+)_or_null_?'",
        "null",
        "Register {register} may be null and is followed without a check.",
        "It comes from a call that may fail, and is not compared with null between that call and this instruction.",
        "Check the pointer: if (!pointer) return 0; before it is used.",
        tales_memory.null,
    ),
    form(
        rf"{REGISTER} invalid mem access 'pkt_end'",
        "packet bounds",
        "The end of the packet itself is followed.",
        "data_end is there to be compared with; nothing lies behind it.",
        "Read through data, or a pointer made from it, and only compare with data_end.",
    ),
    form(
        rf"{REGISTER} invalid mem access '(?P<type>[\w ]+)'",
        "memory",
        "Memory of the kind {type}, which register {register} points to, cannot be accessed like this.",
        "Loads and stores go to the stack, the context, packets, map values and memory that a helper returned.",
        "Pass the pointer to a helper that takes it, or read the memory with the helper made for it.",
    ),
    form(
        rf"{REGISTER} offset is outside of the packet",
        "packet bounds",
        "Bytes of the packet are accessed that no comparison has shown to be there.",
        "A packet pointer may be followed only as far as a comparison with data_end has covered on this path.",
        "Compare before the access: if (data + offset + size > data_end) return ...; with the very pointer that is "
        "followed, and bound any variable part (& 0x3f) before it is added.",
        tales_memory.packet,
    ),
    form(
        rf"{REGISTER} (?P<end>min|max) value is outside of the allowed memory range",
        "bounds",
        "At its {end}imum the access through register {register} lies outside the memory it points to.",
        "What is known of the offset here allows values that leave the map value or memory region.",
        "Compare the index with the number of elements right before the access, in the same unsigned variable, or "
        "mask it: index & (SIZE - 1).",
        tales_memory.outside,
    ),
    form(
        rf"{REGISTER} unbounded memory access, make sure to bounds check any such access",
        "bounds",
        "Nothing bounds the offset in register {register} from above.",
        "An offset that may be arbitrarily large cannot be shown to stay inside.",
        "Add a comparison with the size, or a mask, before the offset is added to the pointer.",
        tales_memory.unbounded,
    ),
    form(
        rf"{REGISTER} min value is negative, either use unsigned index or do a if \(index >=0\) check\.",
        "bounds",
        "The offset in register {register} may be negative.",
        "The variable is signed, or a subtraction may have made it so, and only its upper end was compared.",
        "Make the index unsigned, or compare it with 0 as well.",
        tales_memory.negative,
    ),
    form(
        rf"{REGISTER} min value is negative, either use unsigned or 'var &= const'",
        "bounds",
        "The size in register {register} may be negative.",
        "Helpers take sizes as unsigned numbers; what may be negative may be huge.",
        "Use an unsigned variable, or size &= MAXIMUM; before the call.",
        tales_calls.size,
    ),
    form(
        rf"{REGISTER} unbounded memory access, use 'var &= const' or 'if \(var < const\)'",
        "bounds",
        "Nothing bounds the size in register {register} from above.",
        "The call would be allowed to touch any amount of memory.",
        "Compare the size with that of the buffer, or mask it, right before the call.",
        tales_calls.size,
    ),
    form(
        rf"{REGISTER} invalid zero-sized read(: u64=\[.*\])?|invalid zero-sized read",
        "bounds",
        "The size of a buffer may be 0, which this call does not take.",
        "The lower end of the size was never compared with 0.",
        "Skip the call where the size is 0: if (size == 0) return 0;.",
        tales_calls.size,
    ),
    form(
        rf"{REGISTER} is bpf_array invalid negative access: off=(?P<offset>-?\d+)|"
        r"R(?P<second>\d+) invalid (rdonly|rdwr|negative)? ?(?P<what>[\w ]*)(buffer )?access: off=.*|"
        r"R(?P<third>\d+) invalid variable buffer offset: .*|R(?P<fourth>\d+) invalid .*buffer access: off=.*",
        "bounds",
        "A buffer or structure of the kernel is accessed outside its bounds.",
        "Its size is fixed, and offsets into it have to be constants within it.",
        "Check the offset against the size of the structure.",
    ),
    form(
        rf"{REGISTER} invalid (?P<type>\w+) access off=(?P<offset>-?\d+) size=(?P<size>\d+)",
        "context",
        "{size} bytes at offset {offset} of a {type} cannot be read.",
        "Sockets show some fields only, each in certain sizes.",
        "Read a field of struct bpf_sock (or bpf_tcp_sock, bpf_xdp_sock) as a whole; some are behind bpf_tcp_sock() "
        "and bpf_sk_fullsock().",
    ),
    form(
        r"invalid (?P<way>read from|write to|indirect access to) stack R(?P<register>\d+) off=(?P<offset>-?\d+) .*",
        "stack",
        "An access to the stack through register {register} starts at offset {offset}, outside its 512 bytes.",
        "The stack of a function reaches from -512 to 0 below the frame pointer.",
        "Check array sizes and indices of local variables; keep large buffers in a per-CPU array map.",
        tales_memory.stack,
    ),
    form(
        r"invalid (unbounded )?variable-offset (?P<way>.*) stack R(?P<register>\d+).*|"
        r"variable offset stack pointer cannot be passed into helper function; .*",
        "stack",
        "An access to a local array may leave the stack.",
        "The index is not bounded tightly enough for the array it is used with.",
        "Compare or mask the index right before the access.",
        tales_memory.variable_stack,
    ),
    form(
        r"invalid read from stack (R(?P<register>\d+) )?(?:off|var_off) (?P<offset>.+)\+(?P<byte>\d+) "
        r"size (?P<size>\d+)",
        "stack",
        "{size} bytes of the stack at offset {offset} are read, of which byte {byte} was never written.",
        "Memory that was not initialised may hold what a program must not see; an iterator, lock flag or dynptr that "
        "lies there cannot be read as plain bytes either.",
        "Initialise the whole variable where it is declared (= {{}}), padding included.",
    ),
    form(
        r"invalid access to flow keys off=(?P<offset>-?\d+) size=(?P<size>\d+)",
        "context",
        "{size} bytes at offset {offset} of the flow keys are accessed, outside them.",
        "struct bpf_flow_keys has 56 bytes.",
        "Use the members of struct bpf_flow_keys.",
    ),
    form(
        r"misaligned (?P<what>[\w ]*)access off .* size (?P<size>\d+)",
        "alignment",
        "An access of {size} bytes is not aligned to its size.",
        "Accesses to the stack and the context, atomic ones, and all under strict alignment have to be.",
        "Align the variable or field (__attribute__((aligned(8)))), do not pack the structure, or copy byte by byte.",
    ),
    form(
        r"(?P<way>write into|read from) map forbidden.*",
        "permissions",
        "A map is accessed in a way that its flags forbid.",
        "Constants (.rodata) and maps made with BPF_F_RDONLY_PROG are read-only to programs; BPF_F_WRONLY_PROG ones "
        "cannot be read.",
        "Copy the data to a variable or map of your own first, or make the map without that flag; a const volatile "
        "variable cannot be changed by the program.",
    ),
    form(
        r"cannot write into packet",
        "permissions",
        "The program writes into a packet that it may only read.",
        "Socket filters, cgroup programs and some others see packets that are not theirs to change.",
        "Do this in a tc or XDP program, or use bpf_skb_store_bytes() where the type has it.",
    ),
    form(
        r"the prog does not allow writes to packet data",
        "permissions",
        "The call would give the program packet data to write, which its type may only read.",
        "Only types that may change packets get pointers to write them.",
        "Read through bpf_dynptr_slice(), or do this in a tc or XDP program.",
    ),
    form(
        rf"{REGISTER} cannot write into (?P<type>\w+)",
        "permissions",
        "The program writes memory of the kind {type}, which it may only read.",
        "Keys passed to callbacks, sockets and memory that a helper returned for reading are not to be changed.",
        "Copy what is to be changed to a local variable, and change that.",
    ),
    form(
        r"only read(?: from (?P<type>\w+))? is supported|write access to this struct is not supported",
        "permissions",
        "An object of the kernel is written, which can only be read.",
        "What the kernel keeps there is its own.",
        "Use the helper or kernel function that changes it, if there is one.",
    ),
    form(
        r"write access for struct (?P<whole>\w+) at off (?P<behind>-?\d+) with size .*|"
        r"no write support to (?P<type>\w+) at off (?P<offset>\d+)|only access to .* is supported|"
        r"write access at off (?P<at>-?\d+) with size .*",
        "permissions",
        "A member of a kernel structure is written (offset {offset}{at}{behind}), which may only be read.",
        "Few members of kernel structures may be written, those that are meant for programs.",
        "Use the kernel function that changes it, if there is one.",
    ),
    form(
        r"same insn cannot be used with different pointers",
        "pointers",
        "One instruction is reached with two kinds of pointer.",
        "Accesses to a context or socket are rewritten for their kind, which can only be done for one.",
        "Keep the compiler from merging the two branches, with barrier_var() or separate functions.",
        telling.usual,
    ),
    form(
        r"BPF_ATOMIC (?:stores into|loads from) R(?P<register>\d+) (?P<type>\w+) is not allowed",
        "memory",
        "An atomic instruction works on memory of the kind {type}.",
        "Atomic updates go to the stack, map values and memory that is the program's own.",
        "Load, change and store it with plain instructions, or keep the counter in a map value.",
    ),
    form(
        rf"{REGISTER} does not point to a readonly map'?|R(?P<second>\d+) is not a constant address'?|"
        r"string is not zero-terminated",
        "arguments",
        "A constant string is needed here, and this is none.",
        "The kernel reads the format when it loads the program: it has to be constant data that ends in a zero byte.",
        'Use static const char text[] = "..."; so that it lies in .rodata, and pass it as it is.',
    ),
)
