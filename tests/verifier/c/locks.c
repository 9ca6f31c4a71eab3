/* Spin locks and resilient ones: where they lie, what may be done while one is held, how they are given back. */
#include "objects.h"

struct value {
	int data;
	struct bpf_spin_lock lock;
	char text[16];
};
struct resilient {
	int data;
	struct bpf_res_spin_lock lock;
};
struct foo {
	struct bpf_spin_lock lock;
	int data;
};
struct two {
	struct bpf_spin_lock lock;
	struct bpf_list_head head __contains(foo_node, node);
};
struct foo_node {
	struct bpf_list_node node;
	int data;
};
struct plain {
	long a;
	long b;
};
struct key {
	u32 a;
};

MAP(values, ARRAY, struct value);
MAP(hashed, HASH, struct value);
MAP(resilients, ARRAY, struct resilient);
MAP(resilient_hash, HASH, struct resilient);
MAP(plains, ARRAY, struct plain);
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, 1);
	__type(key, int);
	__type(value, struct value);
} sockets SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, int);
} programs SEC(".maps");

private(A) struct bpf_spin_lock a;
private(A) int beside;
private(B) struct bpf_spin_lock b;
private(C) struct bpf_res_spin_lock ra;
private(D) struct bpf_res_spin_lock rb;
private(E) struct bpf_spin_lock both1;
private(E) struct bpf_spin_lock both2;

#define VALUE_OR_LEAVE                                                                                                 \
	int key = 0;                                                                                                   \
	struct value *v = bpf_map_lookup_elem(&values, &key);                                                          \
	if (!v)                                                                                                        \
	return 0
#define RESILIENT_OR_LEAVE                                                                                             \
	int key = 0;                                                                                                   \
	struct resilient *v = bpf_map_lookup_elem(&resilients, &key);                                                  \
	if (!v)                                                                                                        \
	return 0
#define NEW(type, name)                                                                                                \
	type *name = bpf_obj_new(type);                                                                                \
	if (!name)                                                                                                     \
	return 0

SEC("tc")
ACCEPT int all_types(void *ctx)
{
	NEW(struct foo_node, n);
	bpf_obj_drop(n);
	NEW(struct two, t);
	bpf_obj_drop(t);
	return 0;
}

SEC("tc")
ACCEPT int locked_and_unlocked(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_spin_lock(&v->lock);
	v->data++;
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
ACCEPT int in_object(void *ctx)
{
	NEW(struct foo, f);
	bpf_spin_lock(&f->lock);
	f->data++;
	bpf_spin_unlock(&f->lock);
	bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("off 4 doesn't point to 'struct bpf_spin_lock' that is at 0") int in_object_at_wrong_offset(void *ctx)
{
	NEW(struct foo, f);
	bpf_spin_lock((void *)&f->data);
	bpf_spin_unlock((void *)&f->data);
	bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("local 'kptr' has no valid bpf_spin_lock") int in_object_without(void *ctx)
{
	NEW(struct foo_node, f);
	bpf_spin_lock((void *)&f->data);
	bpf_spin_unlock((void *)&f->data);
	bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("R1 type=ptr_or_null_ expected=map_value, ptr_") int in_unchecked_object(void *ctx)
{
	struct foo *f = bpf_obj_new(struct foo);
	bpf_spin_lock((void *)f);
	bpf_spin_unlock((void *)f);
	bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_unlock of different lock") int other_object_unlocked(void *ctx)
{
	NEW(struct foo, f);
	struct foo *g = bpf_obj_new(struct foo);
	if (!g) {
		bpf_obj_drop(f);
		return 0;
	}
	bpf_spin_lock(&f->lock);
	bpf_spin_unlock(&g->lock);
	bpf_obj_drop(f);
	bpf_obj_drop(g);
	return 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int dropped_while_locked(void *ctx)
{
	NEW(struct foo, f);
	bpf_spin_lock(&f->lock);
	bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region") int not_unlocked(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_spin_lock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_unlock without taking a lock") int not_locked(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int locked_twice(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_spin_lock(&v->lock);
	bpf_spin_lock(&v->lock);
	bpf_spin_unlock(&v->lock);
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int two_locked(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_spin_lock(&v->lock);
	bpf_spin_lock(&a);
	bpf_spin_unlock(&a);
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_unlock of different lock") int global_unlocked_for_value(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_spin_lock(&v->lock);
	bpf_spin_unlock(&a);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_unlock of different lock") int other_global_unlocked(void *ctx)
{
	bpf_spin_lock(&a);
	bpf_spin_unlock(&b);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_unlock of different lock") int same_key_looked_up_again(void *ctx)
{
	VALUE_OR_LEAVE;
	struct value *w = bpf_map_lookup_elem(&values, &key);
	if (!w)
		return 0;
	bpf_spin_lock(&v->lock);
	bpf_spin_unlock(&w->lock);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_unlock of different lock") int value_and_object(void *ctx)
{
	VALUE_OR_LEAVE;
	NEW(struct foo, f);
	bpf_spin_lock(&v->lock);
	bpf_spin_unlock(&f->lock);
	bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("map '.data.E' has no valid bpf_spin_lock") int two_in_section(void *ctx)
{
	bpf_spin_lock(&both1);
	bpf_spin_unlock(&both1);
	return 0;
}

SEC("tc")
REJECT("off 0 doesn't point to 'struct bpf_spin_lock' that is at 4") int at_wrong_offset(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_spin_lock((void *)v);
	bpf_spin_unlock((void *)v);
	return 0;
}

SEC("tc")
REJECT("off 8 doesn't point to 'struct bpf_spin_lock' that is at 0") int global_at_wrong_offset(void *ctx)
{
	bpf_spin_lock((void *)&beside);
	bpf_spin_unlock((void *)&beside);
	return 0;
}

SEC("tc")
REJECT("R1 doesn't have constant offset. bpf_spin_lock has to be at the constant offset") int at_variable_offset(struct __sk_buff *ctx)
{
	VALUE_OR_LEAVE;
	unsigned long at = ctx->len & 4;
	asm volatile("" : "+r"(at));
	bpf_spin_lock((void *)((char *)v + at));
	return 0;
}

SEC("tc")
REJECT("map 'plains' has no valid bpf_spin_lock") int where_none_is(void *ctx)
{
	int key = 0;
	struct plain *v = bpf_map_lookup_elem(&plains, &key);
	if (!v)
		return 0;
	bpf_spin_lock((void *)v);
	bpf_spin_unlock((void *)v);
	return 0;
}

SEC("tc")
REJECT("R1 type=fp expected=map_value, ptr_") int on_stack(void *ctx)
{
	struct bpf_spin_lock l = {};
	bpf_spin_lock(&l);
	bpf_spin_unlock(&l);
	return 0;
}

SEC("tc")
REJECT("R1 type=map_value_or_null expected=map_value, ptr_") int in_unchecked_value(void *ctx)
{
	int key = 0;
	struct value *v = bpf_map_lookup_elem(&hashed, &key);
	bpf_spin_lock((void *)v);
	bpf_spin_unlock((void *)v);
	return 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int helper_called(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_spin_lock(&v->lock);
	v->data = bpf_get_prandom_u32();
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int kernel_function_called(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_spin_lock(&v->lock);
	bpf_rcu_read_lock();
	bpf_spin_unlock(&v->lock);
	bpf_rcu_read_unlock();
	return 0;
}

static __noinline int helped(struct value *v)
{
	v->data++;
	return 0;
}

SEC("tc")
ACCEPT int static_function_called(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_spin_lock(&v->lock);
	helped(v);
	bpf_spin_unlock(&v->lock);
	return 0;
}

__noinline int global_function(int x)
{
	return x + 1;
}

SEC("tc")
REJECT("use static function instead") int global_function_called(struct __sk_buff *ctx)
{
	VALUE_OR_LEAVE;
	int x = ctx->len;
	bpf_spin_lock(&v->lock);
	v->data = global_function(x);
	bpf_spin_unlock(&v->lock);
	return 0;
}

static __noinline int locks(struct value *v)
{
	bpf_spin_lock(&v->lock);
	return 0;
}

static __noinline int unlocks(struct value *v)
{
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
ACCEPT int locked_by_functions(void *ctx)
{
	VALUE_OR_LEAVE;
	locks(v);
	v->data++;
	unlocks(v);
	return 0;
}

__noinline int global_that_locks(struct __sk_buff *ctx)
{
	bpf_spin_lock(&a);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region") int left_locked_by_global_function(struct __sk_buff *ctx)
{
	return global_that_locks(ctx);
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int tail_call(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_spin_lock(&v->lock);
	bpf_tail_call(ctx, &programs, 0);
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region") int locked_in_branch(struct __sk_buff *ctx)
{
	VALUE_OR_LEAVE;
	if (ctx->len > 5)
		bpf_spin_lock(&v->lock);
	if (ctx->len > 5)
		bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
ACCEPT int locked_in_loop(struct __sk_buff *ctx)
{
	VALUE_OR_LEAVE;
	for (int i = 0; i < 20; i++) {
		bpf_spin_lock(&v->lock);
		v->data += i;
		bpf_spin_unlock(&v->lock);
	}
	return 0;
}

SEC("tc")
ACCEPT int loop_under_lock(struct __sk_buff *ctx)
{
	VALUE_OR_LEAVE;
	bpf_spin_lock(&v->lock);
	for (int i = 0; i < 16; i++)
		v->text[i] += i;
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
ACCEPT int spilled_pointer(struct __sk_buff *ctx)
{
	VALUE_OR_LEAVE;
	struct value *volatile kept = v;
	bpf_spin_lock(&v->lock);
	bpf_spin_unlock(&kept->lock);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_lock cannot be accessed directly by load/store") int read_directly(void *ctx)
{
	VALUE_OR_LEAVE;
	return *(volatile int *)&v->lock;
}

SEC("tc")
REJECT("bpf_spin_lock cannot be accessed directly by load/store") int written_across(void *ctx)
{
	VALUE_OR_LEAVE;
	*(volatile long *)v = 0;
	return 0;
}

SEC("tc")
ACCEPT int variable_text(struct __sk_buff *ctx)
{
	VALUE_OR_LEAVE;
	v->text[ctx->len & 15] = 1;
	return 0;
}

SEC("tc")
REJECT("bpf_spin_lock cannot be accessed directly by load/store") int variable_over_lock(struct __sk_buff *ctx)
{
	VALUE_OR_LEAVE;
	((char *)v)[ctx->len & 15] = 1;
	return 0;
}

SEC("tc")
REJECT("bpf_spin_lock cannot be accessed directly by load/store") int helper_over_lock(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_probe_read_kernel(v, sizeof(*v), 0);
	return 0;
}

SEC("tc")
ACCEPT int helper_beside_lock(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_probe_read_kernel(v->text, 8, 0);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_lock cannot be accessed directly by load/store") int value_as_key(void *ctx)
{
	VALUE_OR_LEAVE;
	return bpf_map_lookup_elem(&hashed, &v->lock) != 0;
}

SEC("tc")
ACCEPT int in_storage(struct __sk_buff *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	if (!sk)
		return 0;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return 0;
	struct value *v = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (!v)
		return 0;
	bpf_spin_lock(&v->lock);
	v->data++;
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("socket")
REJECT("socket filter progs cannot use bpf_spin_lock yet") int in_socket_filter(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_spin_lock(&v->lock);
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("kprobe")
REJECT("tracing progs cannot use bpf_spin_lock yet") int in_kprobe(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_spin_lock(&v->lock);
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("raw_tracepoint/sys_enter")
REJECT("tracing progs cannot use bpf_spin_lock yet") int in_raw_tracepoint_unused(void *ctx)
{
	VALUE_OR_LEAVE;
	return v->data;
}

SEC("cgroup_skb/ingress")
ACCEPT int in_cgroup_skb(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_spin_lock(&v->lock);
	v->data++;
	bpf_spin_unlock(&v->lock);
	return 1;
}

SEC("tc")
ACCEPT int resilient_taken(void *ctx)
{
	RESILIENT_OR_LEAVE;
	if (bpf_res_spin_lock(&v->lock))
		return 0;
	v->data++;
	bpf_res_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("bpf_res_spin_unlock without taking a lock") int resilient_unchecked(void *ctx)
{
	RESILIENT_OR_LEAVE;
	bpf_res_spin_lock(&v->lock);
	bpf_res_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region") int resilient_checked_wrongly(void *ctx)
{
	RESILIENT_OR_LEAVE;
	if (!bpf_res_spin_lock(&v->lock))
		return 0;
	bpf_res_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
ACCEPT int resilient_checked_for_less(void *ctx)
{
	RESILIENT_OR_LEAVE;
	if (bpf_res_spin_lock(&v->lock) < 0)
		return 0;
	bpf_res_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region") int resilient_not_released(void *ctx)
{
	RESILIENT_OR_LEAVE;
	if (bpf_res_spin_lock(&v->lock))
		return 0;
	return 1;
}

SEC("tc")
ACCEPT int resilient_nested(void *ctx)
{
	if (bpf_res_spin_lock(&ra))
		return 0;
	if (bpf_res_spin_lock(&rb)) {
		bpf_res_spin_unlock(&ra);
		return 0;
	}
	bpf_res_spin_unlock(&rb);
	bpf_res_spin_unlock(&ra);
	return 0;
}

SEC("tc")
REJECT("bpf_res_spin_unlock cannot be out of order") int resilient_out_of_order(void *ctx)
{
	if (bpf_res_spin_lock(&ra))
		return 0;
	if (bpf_res_spin_lock(&rb)) {
		bpf_res_spin_unlock(&ra);
		return 0;
	}
	bpf_res_spin_unlock(&ra);
	bpf_res_spin_unlock(&rb);
	return 0;
}

SEC("tc")
REJECT("Acquiring the same lock again, AA deadlock detected") int resilient_twice(void *ctx)
{
	if (bpf_res_spin_lock(&ra))
		return 0;
	if (bpf_res_spin_lock(&ra)) {
		bpf_res_spin_unlock(&ra);
		return 0;
	}
	bpf_res_spin_unlock(&ra);
	return 0;
}

SEC("tc")
REJECT("bpf_res_spin_unlock of different lock") int resilient_of_other(void *ctx)
{
	if (bpf_res_spin_lock(&ra))
		return 0;
	bpf_res_spin_unlock(&rb);
	return 0;
}

SEC("tc")
REJECT("bpf_res_spin_unlock without taking a lock") int resilient_not_taken(void *ctx)
{
	bpf_res_spin_unlock(&ra);
	return 0;
}

SEC("tc")
ACCEPT int resilient_irq(void *ctx)
{
	unsigned long flags;
	if (bpf_res_spin_lock_irqsave(&ra, &flags))
		return 0;
	bpf_res_spin_unlock_irqrestore(&ra, &flags);
	return 0;
}

SEC("tc")
REJECT("bpf_res_spin_unlock of different lock") int resilient_irq_and_plain(void *ctx)
{
	unsigned long flags;
	if (bpf_res_spin_lock_irqsave(&ra, &flags))
		return 0;
	bpf_res_spin_unlock(&ra);
	return 0;
}

SEC("tc")
REJECT("bpf_res_spin_unlock of different lock") int resilient_plain_and_irq(void *ctx)
{
	unsigned long flags;
	if (bpf_res_spin_lock(&ra))
		return 0;
	bpf_res_spin_unlock_irqrestore(&ra, &flags);
	return 0;
}

SEC("tc")
ACCEPT int resilient_irq_nested(void *ctx)
{
	unsigned long f1, f2;
	if (bpf_res_spin_lock_irqsave(&ra, &f1))
		return 0;
	if (bpf_res_spin_lock_irqsave(&rb, &f2)) {
		bpf_res_spin_unlock_irqrestore(&ra, &f1);
		return 0;
	}
	bpf_res_spin_unlock_irqrestore(&rb, &f2);
	bpf_res_spin_unlock_irqrestore(&ra, &f1);
	return 0;
}

SEC("tc")
REJECT("cannot restore irq state out of order, expected id=2 acquired at insn_idx=10") int resilient_irq_flags_mixed(void *ctx)
{
	unsigned long f1, f2;
	if (bpf_res_spin_lock_irqsave(&ra, &f1))
		return 0;
	if (bpf_res_spin_lock_irqsave(&rb, &f2)) {
		bpf_res_spin_unlock_irqrestore(&ra, &f1);
		return 0;
	}
	bpf_res_spin_unlock_irqrestore(&rb, &f1);
	bpf_res_spin_unlock_irqrestore(&ra, &f2);
	return 0;
}

extern void bpf_local_irq_save(unsigned long *flags) __ksym;
extern void bpf_local_irq_restore(unsigned long *flags) __ksym;

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int resilient_irq_restored_plainly(void *ctx)
{
	unsigned long flags;
	if (bpf_res_spin_lock_irqsave(&ra, &flags))
		return 0;
	bpf_local_irq_restore(&flags);
	return 0;
}

SEC("tc")
ACCEPT int irq_saved_and_resilient(void *ctx)
{
	unsigned long flags;
	bpf_local_irq_save(&flags);
	if (bpf_res_spin_lock(&ra)) {
		bpf_local_irq_restore(&flags);
		return 0;
	}
	bpf_res_spin_unlock(&ra);
	bpf_local_irq_restore(&flags);
	return 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int resilient_then_irq(void *ctx)
{
	unsigned long flags;
	if (bpf_res_spin_lock(&ra))
		return 0;
	bpf_local_irq_save(&flags);
	bpf_local_irq_restore(&flags);
	bpf_res_spin_unlock(&ra);
	return 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int spin_under_resilient(void *ctx)
{
	if (bpf_res_spin_lock(&ra))
		return 0;
	bpf_spin_lock(&a);
	bpf_spin_unlock(&a);
	bpf_res_spin_unlock(&ra);
	return 0;
}

SEC("tc")
ACCEPT int resilient_under_spin(void *ctx)
{
	bpf_spin_lock(&a);
	if (bpf_res_spin_lock(&ra)) {
		bpf_spin_unlock(&a);
		return 0;
	}
	bpf_res_spin_unlock(&ra);
	bpf_spin_unlock(&a);
	return 0;
}

SEC("tc")
REJECT("bpf_spin_unlock cannot be out of order") int resilient_and_spin_out_of_order(void *ctx)
{
	bpf_spin_lock(&a);
	if (bpf_res_spin_lock(&ra)) {
		bpf_spin_unlock(&a);
		return 0;
	}
	bpf_spin_unlock(&a);
	bpf_res_spin_unlock(&ra);
	return 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock") int helper_under_resilient(void *ctx)
{
	if (bpf_res_spin_lock(&ra))
		return 0;
	bpf_get_prandom_u32();
	bpf_res_spin_unlock(&ra);
	return 0;
}

SEC("tc")
REJECT("map '.data.A' has no valid bpf_res_spin_lock") int resilient_where_spin_is(void *ctx)
{
	if (bpf_res_spin_lock((void *)&a))
		return 0;
	bpf_res_spin_unlock((void *)&a);
	return 0;
}

SEC("tc")
REJECT("map '.data.C' has no valid bpf_spin_lock") int spin_where_resilient_is(void *ctx)
{
	bpf_spin_lock((void *)&ra);
	bpf_spin_unlock((void *)&ra);
	return 0;
}

SEC("tc")
REJECT("off 0 doesn't point to 'struct bpf_res_spin_lock' that is at 4") int resilient_at_wrong_offset(void *ctx)
{
	RESILIENT_OR_LEAVE;
	if (bpf_res_spin_lock((void *)v))
		return 0;
	bpf_res_spin_unlock((void *)v);
	return 0;
}

SEC("tc")
REJECT("arg#0 doesn't point to map value or allocated object") int resilient_on_stack(void *ctx)
{
	struct bpf_res_spin_lock l = {};
	if (bpf_res_spin_lock(&l))
		return 0;
	bpf_res_spin_unlock(&l);
	return 0;
}

SEC("tc")
REJECT("arg#0 doesn't point to map value or allocated object") int resilient_in_unchecked_value(void *ctx)
{
	int key = 0;
	struct resilient *v = bpf_map_lookup_elem(&resilient_hash, &key);
	if (bpf_res_spin_lock((void *)v))
		return 0;
	bpf_res_spin_unlock((void *)v);
	return 0;
}

SEC("tc")
REJECT("arg#0 doesn't point to map value or allocated object") int resilient_null(void *ctx)
{
	if (bpf_res_spin_lock(0))
		return 0;
	bpf_res_spin_unlock(0);
	return 0;
}

SEC("tc")
ACCEPT int resilient_values_same_key(void *ctx)
{
	RESILIENT_OR_LEAVE;
	struct resilient *w = bpf_map_lookup_elem(&resilients, &key);
	if (!w)
		return 0;
	if (bpf_res_spin_lock(&v->lock))
		return 0;
	if (bpf_res_spin_lock(&w->lock)) {
		bpf_res_spin_unlock(&v->lock);
		return 0;
	}
	bpf_res_spin_unlock(&w->lock);
	bpf_res_spin_unlock(&v->lock);
	return 0;
}

SEC("tc")
ACCEPT int resilient_in_loop(void *ctx)
{
	for (int i = 0; i < 10; i++) {
		if (bpf_res_spin_lock(&ra))
			continue;
		bpf_res_spin_unlock(&ra);
	}
	return 0;
}

SEC("tc")
REJECT("bpf_res_spin_lock cannot be accessed directly by load/store") int resilient_touched(void *ctx)
{
	RESILIENT_OR_LEAVE;
	return *(volatile int *)&v->lock;
}

SEC("socket")
REJECT("socket filter progs cannot use bpf_spin_lock yet") int resilient_in_socket_filter(void *ctx)
{
	RESILIENT_OR_LEAVE;
	return v->data;
}

SEC("kprobe")
REJECT("tracing progs cannot use bpf_spin_lock yet") int resilient_in_kprobe(void *ctx)
{
	RESILIENT_OR_LEAVE;
	return v->data;
}
