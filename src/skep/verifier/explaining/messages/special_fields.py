"""Fields of map values and allocations with rules of their own: locks, timers, kernel pointers, lists and trees."""

from __future__ import annotations

from skep.verifier.explaining import tales_calls, tales_values, telling
from skep.verifier.explaining.case import REGISTER, MessageForm, form

FORMS: tuple[MessageForm, ...] = (
    form(
        r"(?P<field>\w+) cannot be accessed directly by load/store|direct access to (?P<other>\w+) is disallowed",
        "special fields",
        "A field that is not plain data ({field}{other}) is touched by a load or store.",
        "Locks, timers, lists, trees and reference counts belong to the functions that work on them.",
        "Copy the other members one by one instead of the whole structure, and leave this one out.",
        telling.usual,
    ),
    form(
        r"tracing progs cannot use (?P<what>\S+) yet|socket filter progs cannot use (?P<other>\S+) yet",
        "permissions",
        "The program uses a map with a field ({what}{other}) that its type must not use.",
        "Programs of this type run where the locks of such fields could deadlock.",
        "Use a map without that field: atomic instructions instead of a lock, or a program of another type.",
    ),
    form(
        r"off (?P<offset>\d+) doesn't point to '(?P<type>struct \w+)' that is at (?P<at>\d+)",
        "special fields",
        "The pointer passed leads to offset {offset}, and the {type} of this map value lies at {at}.",
        "Each call works on the one field of its type.",
        "Pass the address of that field: &value->field, of the same value.",
        tales_calls.first_argument,
    ),
    form(
        rf"{REGISTER} doesn't have constant offset\. (?P<field>\w+) has to be at the constant offset",
        "special fields",
        "The place of the {field} within the value is not constant.",
        "Which field is meant has to be known when the program is loaded.",
        "Pass the address of the field itself, with no computed index in it.",
        tales_calls.argument,
    ),
    form(
        r"map '(?P<map>[^']*)' has to have BTF in order to use (?P<field>\w+)",
        "special fields",
        "Map {map} does not say the type of its value.",
        "Where a {field} lies in the value is found by its type.",
        'Define the map in SEC(".maps") with __type(value, struct ...), and build with -g.',
    ),
    form(
        r"map '(?P<map>[^']*)' has no valid (?P<field>\w+)|(?P<other>bpf_\w+) not found at offset=(?P<offset>\d+)|"
        r"R(?P<register>\d+) has no valid (?P<kptr>kptr)",
        "special fields",
        "There is no {field}{other}{kptr} where the call expects one.",
        "The type of the value (or allocation) does not have such a field at this offset.",
        "Pass the address of the field of that type; check that the right map or object is used.",
        telling.usual,
    ),
    form(
        r"\w+ access size must be BPF_DW|\w+ access misaligned expected=\d+ off=\d+|"
        r"\w+ access cannot have variable offset|\w+ cannot be accessed indirectly by helper|"
        r"kptr in map can only be accessed using BPF_MEM instruction mode",
        "special fields",
        "A kernel pointer in a map value is accessed in part, or by a helper as bytes.",
        "It is loaded and stored whole, 8 bytes at its own constant offset, and by nothing else.",
        "Access the member by name; copy structures without the pointer.",
        telling.usual,
    ),
    form(
        r"store to referenced kptr disallowed|BPF_ST imm must be 0 when storing to kptr at off=\d+|"
        r"store to uptr disallowed",
        "special fields",
        "A pointer is written into a kernel pointer field with a plain store.",
        "A referenced pointer carries the duty to release it, which a store would lose.",
        "Exchange it: old = bpf_kptr_xchg(&value->field, new); and release what comes back.",
        telling.usual,
    ),
    form(
        rf"invalid kptr access, {REGISTER} type=(?P<type>\S+) expected=(?P<expected>.+)",
        "special fields",
        "A pointer of type {type} is put into a field for {expected}.",
        "A kernel pointer field holds pointers of its declared type only.",
        "Store a pointer of the field's type, unmodified; check for null before it is stored.",
        tales_calls.argument,
    ),
    form(
        r"off=(?P<offset>\d+) (?:kptr isn't referenced kptr|doesn't point to kptr)",
        "special fields",
        "There is no referenced kernel pointer at offset {offset}.",
        "Only fields with __kptr hold references that can be exchanged; __kptr_untrusted ones do not.",
        "Declare the member with __kptr, or load it with a plain load.",
        tales_calls.argument,
    ),
    form(
        rf"{REGISTER} doesn't have constant offset\. kptr has to be at the constant offset",
        "special fields",
        "The place of the kernel pointer is not constant.",
        "Which field is meant has to be known when the program is loaded.",
        "Pass the address of the member itself.",
    ),
    form(
        r"(?:\S+ )?expected pointer to allocated object|allocated object must be referenced|"
        r"\S+ is neither owning or non-owning ref|\S+ expected for bpf_(?:percpu_)?obj_drop_impl\(\)|"
        r"\S+ doesn't point to a type with bpf_refcount field|"
        r"arg#(?P<other>\d+) expected pointer to (?P<what>allocated|map value|ctx|hash|list|rbtree|rb_node).*",
        "arguments",
        "The argument is no pointer of the kind that this call works on.",
        "It takes what bpf_obj_new() returned, or the field made for it, and nothing else.",
        "Pass the pointer that the allocation returned, after a null check.",
        tales_calls.argument,
    ),
    form(
        r"operation on (?P<root>\w+) expects arg#(?P<argument>\d+) (?P<node>\w+) at offset=(?P<offset>\d+) in struct "
        r"(?P<type>\w+), but arg is at offset=(?P<at>\d+) in struct (?P<other>\w+)|"
        r"arg#(?P<second>\d+) offset=(?P<is>-?\d+), but expected (?P<wanted>\w+) at offset=(?P<should>\d+) in struct "
        r"(?P<of>\w+)",
        "lists and trees",
        "The node that is passed is not the member that this list or tree links by.",
        "The root says with __contains() which structure it holds, and by which member.",
        "Pass the address of that member: &object->node.",
        tales_calls.argument,
    ),
    form(
        r"bpf_rbtree_remove can only take non-owning or refcounted bpf_rb_node pointer|"
        r"(?P<kfunc>\w+) can only take non-owning .*",
        "lists and trees",
        "A node that is not in the tree is removed from it.",
        "What the program owns is in no tree; a node of the tree comes from bpf_rbtree_first() or a refcounted copy.",
        "Remove a node that was found in the tree, under the same lock.",
        tales_calls.argument,
    ),
    form(
        r"(?P<kfunc>\w+) not allowed in rbtree cb|can't spin_\{lock,unlock\} in rbtree cb",
        "lists and trees",
        "The comparison function of a tree does what it must not.",
        "It runs in the middle of an insertion, with the lock held: it may compare and no more.",
        "Compare two nodes and return which is less; do everything else outside.",
    ),
    form(
        r"(?P<what>timer|workqueue|wq|task_work|task work) pointer in R(?P<register>\d+) map_uid=\d+ doesn't match "
        r"map pointer in R\d+ map_uid=\d+",
        "special fields",
        "The {what} and the map passed do not belong together.",
        "It lies in a value of one map, and the map argument names another, or another inner map.",
        "Pass the map that the value was looked up in.",
        tales_calls.argument,
    ),
    form(
        r"bpf_list_head not found .*|bpf_rb_root not found .*|(?P<node>bpf_(?:list|rb)_node) not found .*",
        "lists and trees",
        "There is no list head, tree root or node where the call expects one.",
        "Offset and type of the argument have to be those of the field.",
        "Pass the address of the member of that type.",
        tales_calls.argument,
    ),
    form(
        r"local type ID argument must be in range \[0, U32_MAX\]|"
        r"bpf_obj_new/bpf_percpu_obj_new (?:type ID argument must be of a struct|requires prog BTF)|"
        r"bpf_percpu_obj_new type (?:size .*|ID argument must .*)|"
        r"(?P<kfunc>kfunc \w+) type ID argument must be of a struct(?: or void)?|"
        r"Unknown type ID \d+ passed to kfunc \w+",
        "arguments",
        "A type that is passed to a function is none that fits.",
        "What is allocated has to be a structure, known when the program is loaded.",
        "Use bpf_obj_new(typeof(*object)) with a structure of the program's own.",
        tales_calls.argument,
    ),
    form(
        r"R(?P<register>\d+) (?:must be|is not) a known constant'?",
        "arguments",
        "Argument {register} has to be a constant, and is none.",
        "The size of what is returned has to be known when the program is loaded.",
        "Give the size as a constant (sizeof).",
        tales_values.constant,
    ),
)
