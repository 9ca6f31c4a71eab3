"""Random programs in C that allocate, keep, list and lock objects, most steps in an order that makes sense.

A program is a list of statements drawn from what its variables allow at that point; now and then one is drawn that
they do not allow, so that about half of the programs break a rule. Whether they do is for the kernel to say.
"""

from __future__ import annotations

from random import Random

_HEAD = """
#include "objects.h"

struct item {
	long key;
	struct bpf_list_node listed;
	int data;
};
struct sorted {
	long key;
	int data;
	struct bpf_rb_node node;
};
struct counted {
	struct bpf_refcount count;
	struct bpf_list_node listed;
	struct bpf_rb_node node;
	int data;
};
struct value {
	struct bpf_spin_lock lock;
	struct bpf_list_head list __contains(item, listed);
	struct bpf_rb_root tree __contains(counted, node);
	struct item __kptr *kept;
	struct counted __kptr *kept_count;
	int data;
};
MAP(values, ARRAY, struct value);
private(A) struct bpf_spin_lock lock;
private(A) struct bpf_list_head list __contains(counted, listed);
private(A) struct bpf_rb_root tree __contains(sorted, node);
private(B) struct bpf_res_spin_lock resilient;
private(B) struct bpf_list_head other __contains(item, listed);

static _Bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return container_of(a, struct sorted, node)->key < container_of(b, struct sorted, node)->key;
}
static _Bool fewer(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return container_of(a, struct counted, node)->data < container_of(b, struct counted, node)->data;
}
static __noinline int touch(struct item *i)
{
	if (i)
		i->data++;
	return 0;
}

SEC("tc")
ACCEPT int every_type(void *ctx)
{
	struct item *i = bpf_obj_new(struct item);
	if (i)
		bpf_obj_drop(i);
	struct counted *c = bpf_obj_new(struct counted);
	if (c)
		bpf_obj_drop(c);
	struct sorted *s = bpf_obj_new(struct sorted);
	if (s)
		bpf_obj_drop(s);
	return 0;
}
"""

#: Name of a lock, how it is taken and given back, and what lies under it: (place, kind of element, list or tree).
_LOCKS = {
    "a": (
        "bpf_spin_lock(&lock);",
        "bpf_spin_unlock(&lock);",
        (("&list", "counted", "list"), ("&tree", "sorted", "tree")),
    ),
    "v": (
        "bpf_spin_lock(&v->lock);",
        "bpf_spin_unlock(&v->lock);",
        (("&v->list", "item", "list"), ("&v->tree", "counted", "tree")),
    ),
    "r": ("", "bpf_res_spin_unlock(&resilient);", (("&other", "item", "list"),)),
}
_COMPARE = {"sorted": "less", "counted": "fewer"}


class _Program:
    """One program as it grows: what each variable holds, so that the next statement can make sense."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.lines: list[str] = []
        #: Variable to the kind of its object, and how it is held: owned, borrowed, unchecked, unchecked borrowed.
        self.held: dict[str, tuple[str, str]] = {}
        self.kinds: dict[str, str] = {}
        self.lock: str | None = None
        self.depth = 0

    def say(self, text: str) -> None:
        self.lines.append("\t" * (self.depth + 1) + text)

    def new_name(self, kind: str) -> str:
        name = f"x{len(self.kinds)}"
        self.kinds[name] = kind
        return name

    def among(self, *how: str, kind: str = "") -> list[str]:
        return [name for name, (what, state) in self.held.items() if state in how and (not kind or what == kind)]

    def any_variable(self) -> str | None:
        return self.random.choice(list(self.kinds)) if self.kinds else None

    # Statements. Each gives False where there is nothing that it could be about.

    def allocate(self) -> bool:
        if self.lock is not None:
            return False
        kind = self.random.choice(("item", "sorted", "counted"))
        name = self.new_name(kind)
        self.say(f"{name} = bpf_obj_new(struct {kind});")
        self.held[name] = (kind, "unchecked")
        return True

    def check(self) -> bool:
        waiting = self.among("unchecked", "unchecked borrowed")
        if not waiting:
            return False
        name = self.random.choice(waiting)
        kind, state = self.held[name]
        self.say(f"if (!{name}) {{")
        self.depth += 1
        held = dict(self.held)
        del self.held[name]
        self.clean_up()
        self.say("return 1;")
        self.depth -= 1
        self.say("}")
        self.held = held
        self.held[name] = (kind, "owned" if state == "unchecked" else "borrowed")
        return True

    def clean_up(self) -> None:
        """Give back all that is held, as far as it is known."""
        if self.lock is not None:
            self.say(_LOCKS[self.lock][1])
        for name in self.among("owned"):
            self.say(f"bpf_obj_drop({name});")
        for name in self.among("unchecked"):
            self.say(f"if ({name}) bpf_obj_drop({name});")

    def drop(self) -> bool:
        owned = self.among("owned")
        if not owned or self.lock is not None:
            return False
        name = self.random.choice(owned)
        self.say(f"bpf_obj_drop({name});")
        del self.held[name]
        return True

    def use(self) -> bool:
        known = self.among("owned", "borrowed")
        if not known:
            return False
        name = self.random.choice(known)
        self.say(self.random.choice((f"{name}->data++;", f"{name}->data = 3;", f"sum += {name}->data;")))
        return True

    def take_lock(self) -> bool:
        if self.lock is not None:
            return False
        self.lock = self.random.choice(tuple(_LOCKS))
        if self.lock == "r":
            self.say("if (bpf_res_spin_lock(&resilient)) {")
            self.depth += 1
            self.lock = None
            self.clean_up()
            self.say("return 2;")
            self.depth -= 1
            self.say("}")
            self.lock = "r"
        else:
            self.say(_LOCKS[self.lock][0])
        return True

    def give_lock_back(self) -> bool:
        if self.lock is None:
            return False
        self.say(_LOCKS[self.lock][1])
        self.lock = None
        self.held = {name: one for name, one in self.held.items() if "borrowed" not in one[1]}
        return True

    def put(self) -> bool:
        if self.lock is None:
            return False
        place, kind, shape = self.random.choice(_LOCKS[self.lock][2])
        owned = self.among("owned", kind=kind)
        if not owned:
            return False
        name = self.random.choice(owned)
        if shape == "list":
            end = self.random.choice(("front", "back"))
            self.say(f"bpf_list_push_{end}({place}, &{name}->listed);")
        else:
            self.say(f"bpf_rbtree_add({place}, &{name}->node, {_COMPARE[kind]});")
        self.held[name] = (kind, "borrowed")
        return True

    def look_or_take(self) -> bool:
        if self.lock is None:
            return False
        place, kind, shape = self.random.choice(_LOCKS[self.lock][2])
        name = self.new_name(kind)
        take = self.random.random() < 0.5
        if shape == "list":
            end = self.random.choice(("front", "back"))
            call, member = f"bpf_list_{'pop_' if take else ''}{end}({place})", "listed"
        else:
            borrowed = self.among("borrowed", kind=kind)
            member = "node"
            if borrowed and take:
                call = f"bpf_rbtree_remove({place}, &{self.random.choice(borrowed)}->node)"
            else:
                take = False
                walk = self.random.choice(("first", "root", "left", "right"))
                if walk in ("left", "right") and borrowed:
                    call = f"bpf_rbtree_{walk}({place}, &{self.random.choice(borrowed)}->node)"
                else:
                    call = f"bpf_rbtree_{self.random.choice(('first', 'root'))}({place})"
        node = "list" if shape == "list" else "rb"
        self.say(f"struct bpf_{node}_node *n{name} = {call};")
        # Null stays null only for those who ask: the object's address is found once the node is known to be there.
        self.say(f"if (!n{name}) {{")
        self.depth += 1
        self.clean_up()
        self.say("return 3;")
        self.depth -= 1
        self.say("}")
        self.say(f"{name} = container_of(n{name}, struct {kind}, {member});")
        self.held[name] = (kind, "owned" if take else "borrowed")
        return True

    def count(self) -> bool:
        known = self.among("owned", "borrowed", kind="counted")
        if not known:
            return False
        name = self.random.choice(known)
        other = self.new_name("counted")
        self.say(f"{other} = bpf_refcount_acquire({name});")
        self.held[other] = ("counted", "owned" if self.held[name][1] == "owned" else "unchecked")
        return True

    def exchange(self) -> bool:
        if self.lock is not None:
            return False
        kind = self.random.choice(("item", "counted"))
        owned = self.among("owned", kind=kind)
        given = self.random.choice(owned) if owned and self.random.random() < 0.7 else "0"
        other = self.new_name(kind)
        place = "kept" if kind == "item" else "kept_count"
        self.say(f"{other} = bpf_kptr_xchg(&v->{place}, {given});")
        if given != "0":
            del self.held[given]
        self.held[other] = (kind, "unchecked")
        return True

    def load(self) -> bool:
        self.say("{ struct item *k = v->kept; if (k) sum += k->data; }")
        return True

    def call(self) -> bool:
        owned = self.among("owned", "unchecked", kind="item")
        if not owned:
            return False
        self.say(f"touch({self.random.choice(owned)});")
        return True

    def branch(self) -> bool:
        self.say("if (ctx->len & 1) sum++;")
        return True

    def break_a_rule(self) -> bool:
        """Something that most likely is not allowed here."""
        name = self.any_variable()
        choices = [
            "bpf_spin_lock(&lock);",
            "bpf_spin_unlock(&lock);",
            "bpf_spin_unlock(&v->lock);",
            "bpf_get_prandom_u32();",
            "bpf_res_spin_unlock(&resilient);",
            "bpf_list_pop_front(&list);",
            "return 5;",
        ]
        if name is not None:
            node = f"(void *)&{name}->{'node' if self.kinds[name] == 'sorted' else 'listed'}"
            choices += [
                f"bpf_obj_drop({name});",
                f"sum += {name}->data;",
                f"bpf_list_push_front(&list, {node});",
                f"bpf_rbtree_add(&tree, {node}, less);",
                f"bpf_rbtree_remove(&tree, {node});",
                f"bpf_refcount_acquire({name});",
                f"sum += *(volatile int *){node};",
                f"bpf_kptr_xchg(&v->kept, {name});",
            ]
        self.say(self.random.choice(choices))
        return True

    def write(self, name: str) -> str:
        steps = (
            self.allocate,
            self.check,
            self.check,
            self.drop,
            self.use,
            self.use,
            self.take_lock,
            self.take_lock,
            self.give_lock_back,
            self.put,
            self.put,
            self.look_or_take,
            self.count,
            self.exchange,
            self.load,
            self.call,
            self.branch,
        )
        wanted = self.random.randint(3, 16)
        while wanted:
            if self.random.random() < 0.04:
                self.break_a_rule()
            elif not self.random.choice(steps)():
                continue
            wanted -= 1
        while self.among("unchecked", "unchecked borrowed"):
            self.check()
        if self.random.random() < 0.95:
            self.clean_up()
        variables = "".join(f"\tstruct {kind} *{one} = 0;\n" for one, kind in self.kinds.items())
        body = "\n".join(self.lines)
        return (
            f'SEC("tc")\nACCEPT int {name}(struct __sk_buff *ctx)\n{{\n\tint key = 0, sum = 0;\n{variables}'
            "\tstruct value *v = bpf_map_lookup_elem(&values, &key);\n\tif (!v)\n\t\treturn 0;\n"
            f"{body}\n\treturn sum;\n}}\n"
        )


def random_source(seed: int, count: int) -> str:
    """A C file of ``count`` programs; the same seed gives the same file."""
    random = Random(seed)
    return _HEAD + "\n".join(_Program(random).write(f"random_{number}") for number in range(count))
