/* Objects that programs allocate: new, drop, count references, read and write them, keep them in maps. */
#include "objects.h"

struct foo {
	long a;
	int b;
	char c[12];
};
struct counted {
	struct bpf_refcount ref;
	int data;
	struct bpf_list_node node;
	struct bpf_rb_node rb;
};
struct locked {
	struct bpf_spin_lock lock;
	int data;
};
struct listed {
	struct bpf_list_node node;
	int data;
	struct foo __kptr *foo;
};
struct with_pointer {
	struct foo *plain;
	struct foo __kptr *kept;
	struct foo __percpu_kptr *each;
};
struct unused_by_all {
	int a;
};
struct percpu {
	int a;
	int b;
};
struct big {
	char data[8192];
};

struct value {
	struct foo __kptr *foo;
	struct counted __kptr *counted;
	struct percpu __percpu_kptr *each;
	struct with_pointer __kptr *with;
	struct locked __kptr *locked;
	struct listed __kptr *listed;
};
MAP(values, ARRAY, struct value);

#define VALUE_OR_LEAVE                                                                                                 \
	int key = 0;                                                                                                   \
	struct value *v = bpf_map_lookup_elem(&values, &key);                                                          \
	if (!v)                                                                                                        \
	return 0
#define NEW(type, name)                                                                                                \
	type *name = bpf_obj_new(type);                                                                                \
	if (!name)                                                                                                     \
	return 0

SEC("tc")
ACCEPT int new_and_drop(void *ctx)
{
	NEW(struct foo, f);
	f->a = 1;
	f->b += 2;
	f->c[3] = 4;
	int x = f->a + f->b + f->c[2];
	bpf_obj_drop(f);
	return x;
}

SEC("tc")
ACCEPT int all_types(void *ctx)
{
	NEW(struct counted, c);
	bpf_obj_drop(c);
	NEW(struct locked, l);
	bpf_obj_drop(l);
	NEW(struct listed, n);
	bpf_obj_drop(n);
	NEW(struct with_pointer, w);
	bpf_obj_drop(w);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int leaked(void *ctx)
{
	return bpf_obj_new(struct foo) != 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int leaked_once_checked(void *ctx)
{
	NEW(struct foo, f);
	return f->a;
}

SEC("tc")
REJECT("Possibly NULL pointer passed to trusted arg0") int dropped_unchecked(void *ctx)
{
	struct foo *f = bpf_obj_new(struct foo);
	bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("R0 invalid mem access 'ptr_or_null_'") int used_unchecked(void *ctx)
{
	struct foo *f = bpf_obj_new(struct foo);
	f->a = 1;
	bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("R6 invalid mem access 'scalar'") int used_after_drop(void *ctx)
{
	NEW(struct foo, f);
	bpf_obj_drop(f);
	return f->a;
}

SEC("tc")
REJECT("R1 must be referenced or trusted") int dropped_twice(void *ctx)
{
	NEW(struct foo, f);
	bpf_obj_drop(f);
	bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("R1 must have zero offset when passed to release func or trusted arg to kfunc") int dropped_at_offset(void *ctx)
{
	NEW(struct foo, f);
	bpf_obj_drop((char *)f + 8);
	return 0;
}

SEC("tc")
REJECT("R1 must have zero offset when passed to release func or trusted arg to kfunc") int dropped_at_negative_offset(void *ctx)
{
	NEW(struct foo, f);
	bpf_obj_drop((char *)f - 8);
	return 0;
}

SEC("tc")
REJECT("variable ptr_ access var_off=(0x0; 0x8) disallowed") int dropped_at_variable_offset(struct __sk_buff *ctx)
{
	NEW(struct foo, f);
	unsigned long at = ctx->len & 8;
	asm volatile("%0 += %1" : "+r"(f) : "r"(at));
	bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("Possibly NULL pointer passed to trusted arg0") int dropped_null(void *ctx)
{
	bpf_obj_drop((void *)0);
	return 0;
}

SEC("tc")
REJECT("R1 must be referenced or trusted") int dropped_number(void *ctx)
{
	bpf_obj_drop((void *)8);
	return 0;
}

SEC("tc")
REJECT("R1 must be referenced or trusted") int dropped_context(void *ctx)
{
	bpf_obj_drop(ctx);
	return 0;
}

SEC("tc")
REJECT("R1 must be referenced or trusted") int dropped_map_value(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_obj_drop(v);
	return 0;
}

SEC("tc")
REJECT("R1 must be referenced or trusted") int dropped_stack(void *ctx)
{
	long x = 0;
	bpf_obj_drop(&x);
	return 0;
}

SEC("tc")
REJECT("arg#0 expected pointer to allocated object") int dropped_kernel_object(void *ctx)
{
	bpf_obj_drop((void *)bpf_get_current_task_btf());
	return 0;
}

SEC("tc")
REJECT("access beyond struct foo at off 24 size 4") int read_beyond(void *ctx)
{
	NEW(struct foo, f);
	int x = *(volatile int *)((char *)f + 24);
	bpf_obj_drop(f);
	return x;
}

SEC("tc")
REJECT("access beyond struct foo at off 24 size 4") int write_beyond(void *ctx)
{
	NEW(struct foo, f);
	*(volatile int *)((char *)f + 24) = 1;
	bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("R0 is ptr_foo invalid negative access: off=-8") int read_before(void *ctx)
{
	NEW(struct foo, f);
	int x = *(volatile int *)((char *)f - 8);
	bpf_obj_drop(f);
	return x;
}

SEC("tc")
REJECT("access beyond the end of member b (mend:12) in struct foo with off 8 size 8") int read_across_members(void *ctx)
{
	NEW(struct foo, f);
	long x;
	asm volatile("%0 = *(u64 *)(%1 + 8)" : "=r"(x) : "r"(f));
	bpf_obj_drop(f);
	return x;
}

SEC("tc")
ACCEPT int read_inside_member(void *ctx)
{
	NEW(struct foo, f);
	int x = *(volatile int *)((char *)f + 4);
	bpf_obj_drop(f);
	return x;
}

SEC("tc")
ACCEPT int read_misaligned(void *ctx)
{
	NEW(struct foo, f);
	int x;
	asm volatile("%0 = *(u16 *)(%1 + 13)" : "=r"(x) : "r"(f));
	bpf_obj_drop(f);
	return x;
}

SEC("tc")
REJECT("R2 is ptr_foo invalid variable offset: off=12, var_off=(0x0; 0x7)") int read_variable(struct __sk_buff *ctx)
{
	NEW(struct foo, f);
	unsigned long at = ctx->len & 7;
	asm volatile("" : "+r"(at));
	int x = f->c[at];
	bpf_obj_drop(f);
	return x;
}

SEC("tc")
REJECT("R2 is ptr_foo invalid variable offset: off=12, var_off=(0x0; 0x7)") int write_variable(struct __sk_buff *ctx)
{
	NEW(struct foo, f);
	unsigned long at = ctx->len & 7;
	asm volatile("" : "+r"(at));
	f->c[at] = 1;
	bpf_obj_drop(f);
	return 0;
}

SEC("tc")
ACCEPT int moved_and_used(struct __sk_buff *ctx)
{
	NEW(struct foo, f);
	char *p = (char *)f;
	asm volatile("%0 += 8" : "+r"(p));
	int x = *(int *)p;
	*(int *)p = x + 1;
	bpf_obj_drop(f);
	return x;
}

SEC("tc")
ACCEPT int atomic_add(void *ctx)
{
	NEW(struct foo, f);
	__sync_fetch_and_add(&f->a, 1);
	bpf_obj_drop(f);
	return 0;
}

SEC("tc")
ACCEPT int pointer_stored_plainly(void *ctx)
{
	NEW(struct with_pointer, w);
	w->plain = (void *)w;
	bpf_obj_drop(w);
	return 0;
}

SEC("tc")
ACCEPT int pointer_loaded_plainly(void *ctx)
{
	NEW(struct with_pointer, w);
	long x = (long)w->plain;
	bpf_obj_drop(w);
	return x != 0;
}

SEC("tc")
REJECT("R2 invalid mem access 'scalar'") int loaded_pointer_used(void *ctx)
{
	NEW(struct with_pointer, w);
	long x = w->plain->a;
	bpf_obj_drop(w);
	return x != 0;
}

SEC("tc")
REJECT("direct access to kptr is disallowed") int kept_stored_plainly(void *ctx)
{
	NEW(struct with_pointer, w);
	w->kept = 0;
	bpf_obj_drop(w);
	return 0;
}

SEC("tc")
REJECT("direct access to kptr is disallowed") int kept_loaded_plainly(void *ctx)
{
	NEW(struct with_pointer, w);
	long x = (long)w->kept;
	bpf_obj_drop(w);
	return x != 0;
}

SEC("tc")
REJECT("direct access to bpf_spin_lock is disallowed") int touches_lock(void *ctx)
{
	NEW(struct locked, l);
	*(volatile int *)&l->lock = 0;
	bpf_obj_drop(l);
	return 0;
}

SEC("tc")
REJECT("direct access to bpf_refcount is disallowed") int touches_count(void *ctx)
{
	NEW(struct counted, c);
	int x = *(volatile int *)&c->ref;
	bpf_obj_drop(c);
	return x;
}

SEC("tc")
REJECT("direct access to bpf_list_node is disallowed") int touches_node(void *ctx)
{
	NEW(struct listed, n);
	int x = *(volatile int *)((char *)&n->node + 20);
	bpf_obj_drop(n);
	return x;
}

SEC("tc")
REJECT("direct access to bpf_rb_node is disallowed") int touches_tree_node(void *ctx)
{
	NEW(struct counted, n);
	int x = *(volatile int *)((char *)&n->rb + 28);
	bpf_obj_drop(n);
	return x;
}

SEC("tc")
ACCEPT int count_taken(void *ctx)
{
	NEW(struct counted, c);
	struct counted *d = bpf_refcount_acquire(c);
	bpf_obj_drop(c);
	d->data = 1;
	bpf_obj_drop(d);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int count_taken_and_leaked(void *ctx)
{
	NEW(struct counted, c);
	struct counted *d = bpf_refcount_acquire(c);
	bpf_obj_drop(c);
	return d->data;
}

SEC("tc")
REJECT("verifier bug: Couldn't find btf_record") int count_of_uncounted(void *ctx)
{
	NEW(struct foo, c);
	struct foo *d = bpf_refcount_acquire(c);
	bpf_obj_drop(c);
	if (d)
		bpf_obj_drop(d);
	return 0;
}

SEC("tc")
REJECT("Possibly NULL pointer passed to trusted arg0") int count_unchecked(void *ctx)
{
	struct counted *c = bpf_obj_new(struct counted);
	struct counted *d = bpf_refcount_acquire(c);
	if (c)
		bpf_obj_drop(c);
	if (d)
		bpf_obj_drop(d);
	return 0;
}

SEC("tc")
REJECT("arg#0 is neither owning or non-owning ref") int count_of_map_value(void *ctx)
{
	VALUE_OR_LEAVE;
	void *d = bpf_refcount_acquire((void *)v);
	if (d)
		bpf_obj_drop(d);
	return 0;
}

SEC("tc")
ACCEPT int count_of_kept(void *ctx)
{
	VALUE_OR_LEAVE;
	struct counted *c = v->counted;
	if (!c)
		return 0;
	struct counted *d = bpf_refcount_acquire(c);
	if (!d)
		return 0;
	d->data = 2;
	bpf_obj_drop(d);
	return 0;
}

SEC("tc")
REJECT("R0 invalid mem access 'ptr_or_null_'") int count_of_kept_unchecked(void *ctx)
{
	VALUE_OR_LEAVE;
	struct counted *c = v->counted;
	if (!c)
		return 0;
	struct counted *d = bpf_refcount_acquire(c);
	d->data = 2;
	bpf_obj_drop(d);
	return 0;
}

SEC("syscall")
REJECT("arg#0 is neither owning or non-owning ref") int count_of_kept_sleepable(void *ctx)
{
	VALUE_OR_LEAVE;
	struct counted *c = v->counted;
	if (!c)
		return 0;
	struct counted *d = bpf_refcount_acquire(c);
	if (d)
		bpf_obj_drop(d);
	return 0;
}

SEC("syscall")
ACCEPT int count_of_kept_sleepable_in_section(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_rcu_read_lock();
	struct counted *c = v->counted;
	if (!c) {
		bpf_rcu_read_unlock();
		return 0;
	}
	struct counted *d = bpf_refcount_acquire(c);
	bpf_rcu_read_unlock();
	if (d)
		bpf_obj_drop(d);
	return 0;
}

SEC("tc")
ACCEPT int kept(void *ctx)
{
	VALUE_OR_LEAVE;
	NEW(struct foo, f);
	f = bpf_kptr_xchg(&v->foo, f);
	if (f)
		bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("R6 invalid mem access 'scalar'") int kept_and_still_used(void *ctx)
{
	VALUE_OR_LEAVE;
	NEW(struct foo, f);
	struct foo *g = bpf_kptr_xchg(&v->foo, f);
	if (g)
		bpf_obj_drop(g);
	return f->a;
}

SEC("tc")
REJECT("invalid kptr access, R2 type=ptr_foo expected=ptr_counted") int kept_of_other_type(void *ctx)
{
	VALUE_OR_LEAVE;
	NEW(struct foo, f);
	void *g = bpf_kptr_xchg(&v->counted, f);
	if (g)
		bpf_obj_drop(g);
	return 0;
}

SEC("tc")
ACCEPT int kept_read_directly(void *ctx)
{
	VALUE_OR_LEAVE;
	struct foo *f = v->foo;
	return f ? f->a : 0;
}

SEC("syscall")
ACCEPT int kept_read_directly_sleepable(void *ctx)
{
	VALUE_OR_LEAVE;
	struct foo *f = v->foo;
	return f ? f->a : 0;
}

SEC("tc")
ACCEPT int kept_written_directly(void *ctx)
{
	VALUE_OR_LEAVE;
	struct foo *f = v->foo;
	if (f)
		f->a = 1;
	return 0;
}

SEC("syscall")
REJECT("only read is supported") int kept_written_directly_sleepable(void *ctx)
{
	VALUE_OR_LEAVE;
	struct foo *f = v->foo;
	if (f)
		f->a = 1;
	return 0;
}

SEC("tc")
REJECT("R1 must be referenced or trusted") int kept_dropped_directly(void *ctx)
{
	VALUE_OR_LEAVE;
	struct foo *f = v->foo;
	if (f)
		bpf_obj_drop(f);
	return 0;
}

SEC("tc")
ACCEPT int kept_in_object(void *ctx)
{
	NEW(struct with_pointer, w);
	struct foo *f = bpf_obj_new(struct foo);
	if (!f) {
		bpf_obj_drop(w);
		return 0;
	}
	f = bpf_kptr_xchg(&w->kept, f);
	if (f)
		bpf_obj_drop(f);
	bpf_obj_drop(w);
	return 0;
}

SEC("tc")
REJECT("R1 type=rcu_ptr_ expected=map_value, ptr_") int kept_in_kept_object(void *ctx)
{
	VALUE_OR_LEAVE;
	struct with_pointer *w = v->with;
	if (!w)
		return 0;
	struct foo *f = bpf_kptr_xchg(&w->kept, 0);
	if (f)
		bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("off=0 doesn't point to kptr") int kept_in_plain_field_of_object(void *ctx)
{
	NEW(struct with_pointer, w);
	bpf_kptr_xchg(&w->plain, 0);
	bpf_obj_drop(w);
	return 0;
}

SEC("tc")
REJECT("R1 has no valid kptr") int kept_in_object_without(void *ctx)
{
	NEW(struct foo, w);
	bpf_kptr_xchg((char *)w, 0);
	bpf_obj_drop(w);
	return 0;
}

SEC("tc")
REJECT("R1 type=ptr_or_null_ expected=map_value, ptr_") int kept_in_unchecked_object(void *ctx)
{
	struct with_pointer *w = bpf_obj_new(struct with_pointer);
	bpf_kptr_xchg((char *)w, 0);
	bpf_obj_drop(w);
	return 0;
}

SEC("tc")
ACCEPT int percpu_new_and_drop(void *ctx)
{
	struct percpu __percpu_kptr *p = bpf_percpu_obj_new(struct percpu);
	if (!p)
		return 0;
	bpf_percpu_obj_drop(p);
	return 0;
}

SEC("tc")
ACCEPT int percpu_kept(void *ctx)
{
	VALUE_OR_LEAVE;
	struct percpu __percpu_kptr *p = bpf_percpu_obj_new(struct percpu);
	if (!p)
		return 0;
	p = bpf_kptr_xchg(&v->each, p);
	if (p)
		bpf_percpu_obj_drop(p);
	return 0;
}

SEC("tc")
ACCEPT int percpu_read(void *ctx)
{
	VALUE_OR_LEAVE;
	struct percpu __percpu_kptr *p = v->each;
	if (!p)
		return 0;
	struct percpu *mine = bpf_this_cpu_ptr(p);
	mine->a = 1;
	struct percpu *other = bpf_per_cpu_ptr(p, 0);
	return other ? other->b : 0;
}

SEC("tc")
REJECT("R1 type=percpu_rcu_ptr_or_null_ expected=percpu_ptr_, percpu_rcu_ptr_, percpu_trusted_ptr_") int percpu_read_unchecked(void *ctx)
{
	VALUE_OR_LEAVE;
	struct percpu __percpu_kptr *p = v->each;
	struct percpu *mine = bpf_this_cpu_ptr(p);
	return mine->a;
}

SEC("syscall")
REJECT("R1 type=untrusted_ptr_ expected=percpu_ptr_, percpu_rcu_ptr_, percpu_trusted_ptr_") int percpu_read_sleepable(void *ctx)
{
	VALUE_OR_LEAVE;
	struct percpu __percpu_kptr *p = v->each;
	if (!p)
		return 0;
	struct percpu *mine = bpf_this_cpu_ptr(p);
	return mine->a;
}

SEC("tc")
REJECT("R1 is ptr_percpu access percpu memory: off=0") int percpu_read_plainly(void *ctx)
{
	VALUE_OR_LEAVE;
	struct percpu *p = (void *)v->each;
	return p ? p->a : 0;
}

SEC("tc")
REJECT("arg#0 expected for bpf_percpu_obj_drop_impl()") int percpu_dropped_as_object(void *ctx)
{
	struct percpu __percpu_kptr *p = bpf_percpu_obj_new(struct percpu);
	if (!p)
		return 0;
	bpf_obj_drop((void *)p);
	return 0;
}

SEC("tc")
REJECT("arg#0 expected for bpf_obj_drop_impl()") int object_dropped_as_percpu(void *ctx)
{
	NEW(struct percpu, p);
	bpf_percpu_obj_drop(p);
	return 0;
}

SEC("tc")
ACCEPT int percpu_kept_and_read(void *ctx)
{
	VALUE_OR_LEAVE;
	struct percpu __percpu_kptr *p = bpf_percpu_obj_new(struct percpu);
	if (!p)
		return 0;
	struct percpu __percpu_kptr *old = bpf_kptr_xchg(&v->each, p);
	if (old)
		bpf_percpu_obj_drop(old);
	struct percpu *mine = bpf_this_cpu_ptr(p);
	return mine->a;
}

SEC("tc")
REJECT("bpf_percpu_obj_new type ID argument must not contain special fields") int percpu_of_special(void *ctx)
{
	struct locked __percpu_kptr *p = bpf_percpu_obj_new(struct locked);
	if (!p)
		return 0;
	bpf_percpu_obj_drop(p);
	return 0;
}

SEC("tc")
REJECT("bpf_percpu_obj_new type size (8192) is greater than 512") int percpu_too_large(void *ctx)
{
	struct big __percpu_kptr *p = bpf_percpu_obj_new(struct big);
	if (!p)
		return 0;
	bpf_percpu_obj_drop(p);
	return 0;
}

SEC("tc")
REJECT("bpf_percpu_obj_new type ID argument must be of a struct of scalars") int percpu_of_pointers(void *ctx)
{
	struct with_pointer __percpu_kptr *p = bpf_percpu_obj_new(struct with_pointer);
	if (!p)
		return 0;
	bpf_percpu_obj_drop(p);
	return 0;
}

SEC("tc")
REJECT("bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct") int new_of_unknown_type(void *ctx)
{
	void *p = bpf_obj_new_impl(0, 0);
	if (p)
		bpf_obj_drop(p);
	return 0;
}

SEC("tc")
REJECT("local type ID argument must be in range [0, U32_MAX]") int new_of_huge_type(void *ctx)
{
	void *p = bpf_obj_new_impl(0x100000000ull, 0);
	if (p)
		bpf_obj_drop(p);
	return 0;
}

SEC("tc")
REJECT("bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct") int new_of_number(void *ctx)
{
	void *p = bpf_obj_new_impl(bpf_core_type_id_local(int), 0);
	if (p)
		bpf_obj_drop(p);
	return 0;
}

SEC("tc")
REJECT("R1 must be a known constant") int new_of_variable_type(struct __sk_buff *ctx)
{
	void *p = bpf_obj_new_impl(ctx->len, 0);
	if (p)
		bpf_obj_drop(p);
	return 0;
}

union both {
	int a;
	long b;
};

SEC("tc")
REJECT("bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct") int new_of_union(void *ctx)
{
	void *p = bpf_obj_new_impl(bpf_core_type_id_local(union both), 0);
	if (p)
		bpf_obj_drop(p);
	return 0;
}

SEC("tc")
REJECT("R1 type=ptr_ expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_") int passed_to_helper(void *ctx)
{
	NEW(struct foo, f);
	bpf_probe_read_kernel(f, 8, 0);
	bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("R2 type=ptr_ expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_") int passed_as_key(void *ctx)
{
	NEW(struct foo, f);
	void *v = bpf_map_lookup_elem(&values, f);
	bpf_obj_drop(f);
	return v != 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int compared(void *ctx)
{
	NEW(struct foo, f);
	NEW(struct foo, g);
	return f == g;
}

SEC("tc")
REJECT("R1 invalid mem access 'scalar'") int spilled_and_filled(void *ctx)
{
	NEW(struct foo, f);
	struct foo *volatile kept = f;
	bpf_get_prandom_u32();
	f = kept;
	f->a = 1;
	bpf_obj_drop(f);
	return kept->a;
}

SEC("tc")
ACCEPT int in_loop(void *ctx)
{
	for (int i = 0; i < 10; i++) {
		NEW(struct foo, f);
		f->a = i;
		bpf_obj_drop(f);
	}
	return 0;
}

static __noinline struct foo *make(int a)
{
	struct foo *f = bpf_obj_new(struct foo);
	if (f)
		f->a = a;
	return f;
}

SEC("tc")
ACCEPT int from_function(struct __sk_buff *ctx)
{
	struct foo *f = make(ctx->len);
	if (!f)
		return 0;
	bpf_obj_drop(f);
	return 0;
}

SEC("kprobe")
REJECT("calling kernel function bpf_obj_new_impl is not allowed") int in_kprobe(void *ctx)
{
	NEW(struct foo, f);
	bpf_obj_drop(f);
	return 0;
}

SEC("xdp")
ACCEPT int in_xdp(void *ctx)
{
	NEW(struct foo, f);
	bpf_obj_drop(f);
	return 0;
}

SEC("socket")
REJECT("calling kernel function bpf_obj_new_impl is not allowed") int in_socket_filter(void *ctx)
{
	NEW(struct foo, f);
	bpf_obj_drop(f);
	return 0;
}

SEC("tc")
REJECT("expected prog array map for tail call") int tail_called_holding(void *ctx)
{
	NEW(struct foo, f);
	bpf_tail_call(ctx, &values, 0);
	bpf_obj_drop(f);
	return 0;
}

struct nowhere;
struct points {
	int *number;
	struct nowhere *undefined;
	struct foo *known;
	int (*function)(void);
};

/* What is no structure may be read through a pointer in an object, and never written. */
SEC("tc")
ACCEPT int read_through_pointer_in_object(void *ctx)
{
	NEW(struct points, p);
	int value = *p->number + *(volatile int *)p->undefined;
	bpf_obj_drop(p);
	return value;
}

SEC("tc")
REJECT("R1 cannot write into rdonly_untrusted_mem") int write_through_pointer_in_object(void *ctx)
{
	NEW(struct points, p);
	*p->number = 1;
	bpf_obj_drop(p);
	return 0;
}

SEC("tc")
REJECT("R1 invalid mem access 'scalar'") int structure_through_pointer_in_object(void *ctx)
{
	NEW(struct points, p);
	long value = p->known->a;
	bpf_obj_drop(p);
	return value;
}

SEC("tc")
REJECT("R1 type=rdonly_untrusted_mem expected=percpu_ptr_, percpu_rcu_ptr_, percpu_trusted_ptr_")
int function_in_object_as_percpu(void *ctx)
{
	NEW(struct points, p);
	bpf_this_cpu_ptr(p->function);
	return 0;
}
