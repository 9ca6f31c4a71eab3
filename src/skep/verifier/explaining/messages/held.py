"""What is held on a path: references, locks, and sections that have to be ended."""

from __future__ import annotations

from skep.verifier.explaining import tales_calls, tales_held, telling
from skep.verifier.explaining.case import REGISTER, MessageForm, form

FORMS: tuple[MessageForm, ...] = (
    form(
        r"(?P<place>BPF_EXIT instruction in main prog|.*) would lead to reference leak",
        "references",
        "A reference that was acquired is still held.",
        "What bpf_sk_lookup_...(), bpf_ringbuf_reserve(), bpf_obj_new() and kin return has to be given back on every "
        "path, before the program ends, tail-calls or throws.",
        "Release it (bpf_sk_release(), bpf_ringbuf_submit() or bpf_ringbuf_discard()) before each return, also on "
        "the paths of errors.",
        tales_held.leak,
    ),
    form(
        rf"{REGISTER} must be referenced when passed to release function|"
        r"arg (?P<argument>\d+) is an unacquired reference",
        "references",
        "Something is released that was not acquired.",
        "It was given back before, is not what the acquiring call returned, or belongs to someone else.",
        "Release exactly the pointer that was acquired, once.",
        tales_calls.argument,
    ),
    form(
        r"func (?P<helper>\w+)#\d+ reference has not been acquired before|"
        r"release kernel function (?P<kfunc>\w+) expects refcounted PTR_TO_BTF_ID|"
        r"cannot release unowned const bpf_dynptr",
        "references",
        "Something is released that the program does not own.",
        "Only what a call acquired for the program is the program's to give back, and once.",
        "Release the pointer that the acquiring call returned, before it is given away otherwise.",
        telling.usual,
    ),
    form(
        r"bpf_(?:res_)?spin_unlock of different lock|bpf_(?:res_)?spin_unlock cannot be out of order",
        "locks",
        "The lock that is released is not the one that was taken last.",
        "Pointers that come from two lookups are two values to the verifier, even with the same key; several "
        "resilient locks are released in the reverse order.",
        "Unlock through the same pointer that was used to lock.",
        tales_held.other_lock,
    ),
    form(
        r"bpf_(?:res_)?spin_unlock without taking a lock",
        "locks",
        "A lock is released that is not held.",
        "On this path no lock was taken, or it was released before.",
        "Pair each lock with one unlock on every path.",
        tales_held.locked,
    ),
    form(
        r"Locking two bpf_spin_locks are not allowed|Acquiring the same lock again, AA deadlock detected",
        "locks",
        "A second lock is taken while one is held.",
        "Only one bpf_spin_lock may be held at a time, so that no two programs can wait for each other.",
        "Release the first lock before the second is taken; copy what is needed between the two, or use "
        "bpf_res_spin_lock(), which may be nested.",
        tales_held.locked,
    ),
    form(
        r"function calls are not allowed while holding a lock|use static function instead",
        "locks",
        "A function is called while a lock is held.",
        "What runs under a spin lock must be short and must not sleep or lock: only the unlock and few others may be "
        "called.",
        "Do lookups and other calls before the lock is taken or after it is released.",
        tales_held.locked,
    ),
    form(
        r"(?P<place>.*) cannot be used inside (?P<section>bpf_spin_lock|bpf_res_spin_lock|bpf_rcu_read_lock|"
        r"bpf_preempt_disable|bpf_local_irq_save)-ed region",
        "sections",
        "The path leaves a section ({section}) without ending it.",
        "Locks, RCU sections and sections without preemption or interrupts end before the program does, before it "
        "tail-calls, throws or loads from the packet the old way.",
        "Put the end of the section on every path, also those of errors.",
        tales_held.section,
    ),
    form(
        r"unmatched (?P<what>rcu read unlock|attempt to enable preemption|.*) \(kernel function (?P<kfunc>\w+)\)|"
        r"nested rcu read lock .*",
        "sections",
        "Begin and end of a section do not pair.",
        "{kfunc} ends what was not begun on this path, or begins it twice.",
        "Call begin and end exactly once each on every path.",
        tales_held.unmatched,
    ),
    form(
        r"(?:sleepable (?:helper|kernel func|kfunc) .*|kernel func \w+ is sleepable) within "
        r"(?P<section>rcu_read_lock|non-preemptible|IRQ-disabled).* region"
        r"|.* in (?P<other>rcu|non-preemptible|IRQ-disabled).* region",
        "sections",
        "Something that may sleep is called inside a section where it must not.",
        "Nothing sleeps under RCU, without preemption or without interrupts.",
        "Move the call before the section begins or behind its end.",
        tales_held.section,
    ),
    form(
        r"(?P<object>bpf_spin_lock|bpf_res_spin_lock) at off=(?P<offset>\d+) must be held for (?P<root>\w+)",
        "locks",
        "A list or tree ({root}) is changed without its lock held.",
        "A list head or tree root belongs to the lock in the same map value or allocation, here at offset {offset}.",
        "Take bpf_spin_lock() on the lock beside it, in the same value, before the call, and unlock behind it.",
        tales_held.unprotected,
    ),
    form(
        r"held lock and object are not in the same allocation|"
        r"(?:map|local) '(?P<map>[^']*)' has no valid bpf_spin_lock|"
        r"lock not held when calling kfunc .*",
        "locks",
        "There is no lock, or not the one that protects this object.",
        "A list head or tree root is protected by the lock in the same map value, and only by that.",
        "Put a struct bpf_spin_lock into the same structure, and lock the value that is worked on.",
        telling.usual,
    ),
)
