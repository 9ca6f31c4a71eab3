"""How it is told that something is still held: references, locks, sections; where each was taken.

Each function tells its part of the path (``case.story``) and gives a suggestion that names registers, instructions
and bounds, or None where the general one of the table says all there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.verifier.explaining.origin import Place
from skep.verifier.explaining.story import Story, acquired_at, holders
from skep.verifier.explaining.telling import usual
from skep.verifier.explaining.words import words

if TYPE_CHECKING:
    from skep.verifier.explaining.case import Case


#: What gives back what a call acquired; by the start of its name.
_RELEASES = (
    ("bpf_ringbuf_reserve_dynptr", "bpf_ringbuf_submit_dynptr() or bpf_ringbuf_discard_dynptr()"),
    ("bpf_ringbuf_reserve", "bpf_ringbuf_submit() or bpf_ringbuf_discard()"),
    ("bpf_sk", "bpf_sk_release()"),
    ("bpf_map_lookup_elem", "bpf_sk_release()"),
    ("bpf_task", "bpf_task_release()"),
    ("bpf_cgroup", "bpf_cgroup_release()"),
    ("bpf_cpumask", "bpf_cpumask_release()"),
    ("bpf_obj_new", "bpf_obj_drop(), or a push into a list or tree,"),
    ("bpf_percpu_obj_new", "bpf_percpu_obj_drop()"),
    ("bpf_refcount_acquire", "bpf_obj_drop()"),
    ("bpf_list_pop", "bpf_obj_drop(), or a push into a list or tree,"),
    ("bpf_rbtree_remove", "bpf_obj_drop(), or a push into a list or tree,"),
    ("bpf_kptr_xchg", "the release function of its type, or bpf_kptr_xchg() into a map,"),
    ("bpf_iter", "the iterator's destroy function"),
    ("bpf_key", "bpf_key_put()"),
    ("bpf_lookup_", "bpf_key_put()"),
    ("bpf_get_task_exe_file", "bpf_put_file()"),
    ("bpf_skb_ct", "bpf_ct_release()"),
    ("bpf_xdp_ct", "bpf_ct_release()"),
)


def leak(case: Case) -> str | None:
    """Something acquired is not given back."""
    story = case.story
    if story is None:
        return None
    advice = None
    first = story.at
    for slot in acquired_at(case.details):
        at = story.moment_of(slot)
        if at is None:
            continue
        first = min(first, at)
        callee = case.listing.callee(slot) or "this instruction"
        story.tell(at, f"{callee} acquires a reference, which has to be given back")
        release = next(
            (text for start, text in _RELEASES if callee.startswith(start)), "the function that releases it"
        )
        advice = f"Call {release}{' on ' + held if (held := _holder(story, at, slot)) else ''} before {case.here}"
    story.branches(since=first)
    story.tell(story.at, "here the path ends, and it is still held")
    if advice is None:
        return None
    return advice + ", on the path shown: return only after it was released."


def _holder(story: Story, at: int, slot: int) -> str:
    state = story.trail.moments[story.at].state
    for reference in state.references:
        if getattr(reference, "instruction", None) == slot:
            names = holders(story.trail, story.at, reference.id)
            return f"{names[0]}" if names else ""
    return ""


def locked(case: Case) -> str | None:
    """A rule of locks: where the lock was taken."""
    story = case.story
    if story is None:
        return None
    at = story.grew("locks")
    if at is None:
        story.branches(most=2)
        return None
    slot = story.trail.moments[at].index
    story.tell(at, f"{case.listing.callee(slot) or 'this'} takes the lock")
    story.branches(since=at)
    here = case.listing.callee(case.slot) if case.slot is not None else None
    if here is None:
        return f"Release the lock that was taken at {case.place(slot)} on this path, before {case.here}."
    return f"Move the call of {here} out of the part between {case.place(slot)} and the unlock."


def other_lock(case: Case) -> str | None:
    """The wrong lock is released."""
    story = case.story
    if story is None:
        return None
    at = story.grew("locks")
    if at is not None:
        slot = story.trail.moments[at].index
        top = story.trail.moments[at].top
        taken = story.trail.value(at, Place(top, 1))
        story.tell(at, f"the lock is taken, of {words(taken)}")
    story.value(1, end=False)
    story.tell(story.at, f"here another is released: r1 is {words(case.held(1))}")
    if at is None:
        return None
    return (
        f"Unlock through the pointer that was locked at {case.place(slot)}: keep it in a variable, and look the "
        f"value up once."
    )


#: Parts of a program that have a beginning and an end: words in messages, the field that counts, what to call them.
_SECTIONS = (
    ("bpf_spin_lock", "locks", "the lock is taken", "bpf_spin_unlock()"),
    ("bpf_res_spin_lock", "locks", "the lock is taken", "bpf_res_spin_unlock()"),
    ("rcu_read_lock", "rcu_depth", "the RCU section begins", "bpf_rcu_read_unlock()"),
    ("preempt_disable", "preempt_depth", "preemption is disabled", "bpf_preempt_enable()"),
    ("local_irq_save", "irqs", "interrupts are disabled", "bpf_local_irq_restore()"),
)


def section(case: Case) -> str | None:
    """An exit or a call inside of a section that must not have one."""
    story = case.story
    if story is None:
        return None
    for word, name, begins, ending in _SECTIONS:
        if word not in case.message or not hasattr(story.trail.moments[0].state, name):
            continue
        at = story.grew(name)
        if at is None:
            continue
        slot = story.trail.moments[at].index
        story.tell(at, f"{begins} here")
        story.branches(since=at)
        return f"Call {ending} before {case.here}, on the path shown; {begins} at {case.place(slot)}."
    return usual(case)


def unmatched(case: Case) -> str | None:
    """The end of a section that was not begun, or was ended before."""
    story = case.story
    if story is None:
        return None
    name = "rcu_depth" if "rcu" in case.message else "preempt_depth"
    at = story.grew(name) if "nested" in case.message else story.shrank(name)
    if at is None:
        story.branches(most=2)
        return f"No path to {case.here} begins the section that it ends: begin it first, or leave the call out."
    slot = story.trail.moments[at].index
    begun = "nested" in case.message
    story.tell(at, "the section begins here already" if begun else "the section ends here already")
    story.branches(since=at)
    return (
        f"{'It begins' if begun else 'It has ended'} at {case.place(slot)} already: leave out the second call, at "
        f"{case.here}."
    )


def made_before(case: Case) -> str | None:
    """A dynptr or iterator that is still alive: where it was made."""
    story = case.story
    if story is None:
        return None
    at = story.grew("references")
    if at is None:
        return usual(case)
    slot = story.trail.moments[at].index
    callee = case.listing.callee(slot) or "this"
    story.tell(at, f"{callee} makes the one that is still alive")
    story.branches(since=at)
    return (
        f"End what {callee} made at {case.place(slot)} before {case.here} (submit or discard the record, destroy the "
        f"iterator), or use a variable of its own."
    )


def unprotected(case: Case) -> str | None:
    """A list or tree without its lock."""
    story = case.story
    if story is None:
        return None
    story.value(1)
    story.branches(most=1)
    released = story.shrank("locks")
    if released is None:
        return None
    slot = story.trail.moments[released].index
    story.tell(released, "the lock is released here")
    return f"Keep the lock until behind {case.here}: it is released at {case.place(slot)}."
