/* Pointers to kernel objects that live in map values: loads, stores, exchanges. */
#include "objects.h"

struct task_struct {
	int pid;
	struct task_struct *real_parent;
} __attribute__((preserve_access_index));
struct cgroup {
	int level;
} __attribute__((preserve_access_index));
struct bpf_cpumask {
	int usage;
} __attribute__((preserve_access_index));
struct bpf_crypto_ctx {
	int key_size;
} __attribute__((preserve_access_index));
struct prog_test_member {
	int cnt;
} __attribute__((preserve_access_index));
struct prog_test_ref_kfunc {
	int a;
	int b;
	struct prog_test_member memb;
} __attribute__((preserve_access_index));

extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
extern struct task_struct *bpf_task_from_pid(int pid) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
extern struct cgroup *bpf_cgroup_from_id(u64 id) __ksym;
extern void bpf_cgroup_release(struct cgroup *c) __ksym;
extern struct bpf_cpumask *bpf_cpumask_create(void) __ksym;
extern void bpf_cpumask_release(struct bpf_cpumask *c) __ksym;
extern int bpf_crypto_decrypt(struct bpf_crypto_ctx *ctx, const struct bpf_dynptr *src, const struct bpf_dynptr *dst,
			      const struct bpf_dynptr *siv__nullable) __ksym;
extern void bpf_kfunc_call_test_release(struct prog_test_ref_kfunc *p) __ksym __weak;

struct value {
	int count;
	struct task_struct __kptr *task;
	struct task_struct __kptr_untrusted *seen;
	struct cgroup __kptr *group;
	struct bpf_cpumask __kptr *mask;
	struct prog_test_ref_kfunc __kptr *tested;
	struct prog_test_ref_kfunc __kptr_untrusted *tested_seen;
	struct prog_test_member __kptr_untrusted *member;
};
MAP(values, ARRAY, struct value);
MAP(others, HASH, struct value);

struct plain {
	long a;
	long b;
};
MAP(plains, ARRAY, struct plain);

#define VALUE_OR_LEAVE                                                                                                 \
	int key = 0;                                                                                                   \
	struct value *v = bpf_map_lookup_elem(&values, &key);                                                          \
	if (!v)                                                                                                        \
	return 0

/* Whatever is used only in map values would be left out of the types. */
SEC("tc")
REJECT("invalid func unknown#195896080") int sees_all_types(void *ctx)
{
	VALUE_OR_LEAVE;
	struct task_struct *t = v->seen;
	struct prog_test_ref_kfunc *p = v->tested_seen;
	struct prog_test_member *m = v->member;
	struct cgroup *c = v->group;
	struct bpf_cpumask *k = v->mask;
	return (t ? t->pid : 0) + (p ? p->a : 0) + (m ? m->cnt : 0) + (c ? c->level : 0) + (k ? k->usage : 0);
}

SEC("tc")
REJECT("kptr access size must be BPF_DW") int load_of_half(void *ctx)
{
	VALUE_OR_LEAVE;
	return *(volatile int *)&v->task;
}

SEC("tc")
REJECT("kptr access misaligned expected=8 off=12") int load_misaligned(void *ctx)
{
	VALUE_OR_LEAVE;
	return *(volatile int *)((char *)&v->task + 4);
}

SEC("tc")
REJECT("kptr access misaligned expected=8 off=4") int load_across(void *ctx)
{
	VALUE_OR_LEAVE;
	return *(volatile long *)((char *)&v->task - 4);
}

SEC("tc")
REJECT("kptr access cannot have variable offset") int load_variable(struct __sk_buff *ctx)
{
	VALUE_OR_LEAVE;
	unsigned long at = ctx->len & 8;
	asm volatile("" : "+r"(at));
	return *(volatile long *)((char *)&v->task + at) != 0;
}

SEC("tc")
ACCEPT int store_null(void *ctx)
{
	VALUE_OR_LEAVE;
	v->seen = 0;
	return 0;
}

SEC("tc")
ACCEPT int store_null_in_register(void *ctx)
{
	VALUE_OR_LEAVE;
	struct task_struct *none = 0;
	asm volatile("" : "+r"(none));
	v->seen = none;
	return 0;
}

SEC("tc")
ACCEPT int store_known_zero(void *ctx)
{
	VALUE_OR_LEAVE;
	asm volatile("r1 = 0; *(u64 *)(%0 + 16) = r1" ::"r"(v) : "r1");
	return 0;
}

SEC("tc")
REJECT("BPF_ST imm must be 0 when storing to kptr at off=16") int store_number(void *ctx)
{
	VALUE_OR_LEAVE;
	asm volatile("*(u64 *)(%0 + 16) = 5" ::"r"(v));
	return 0;
}

SEC("tc")
REJECT("invalid kptr access, R1 type=scalar expected=ptr_task_struct or untrusted_ptr_task_struct") int store_number_in_register(void *ctx)
{
	VALUE_OR_LEAVE;
	asm volatile("r1 = 5; *(u64 *)(%0 + 16) = r1" ::"r"(v) : "r1");
	return 0;
}

SEC("tc")
REJECT("store to referenced kptr disallowed") int store_to_referenced(void *ctx)
{
	VALUE_OR_LEAVE;
	v->task = 0;
	return 0;
}

SEC("tc")
REJECT("store to referenced kptr disallowed") int store_referenced_to_referenced(void *ctx)
{
	VALUE_OR_LEAVE;
	struct task_struct *t = bpf_task_from_pid(1);
	if (!t)
		return 0;
	v->task = t;
	bpf_task_release(t);
	return 0;
}

SEC("tc")
ACCEPT int store_referenced_to_unreferenced(void *ctx)
{
	VALUE_OR_LEAVE;
	struct task_struct *t = bpf_task_from_pid(1);
	if (!t)
		return 0;
	v->seen = t;
	bpf_task_release(t);
	return 0;
}

SEC("tc")
ACCEPT int store_maybe_null(void *ctx)
{
	VALUE_OR_LEAVE;
	struct task_struct *t = bpf_task_from_pid(1);
	v->seen = t;
	if (t)
		bpf_task_release(t);
	return 0;
}

SEC("tc")
REJECT("invalid kptr access, R0 type=ptr_task_struct expected=ptr_prog_test_member or untrusted_ptr_prog_test_member") int store_of_other_type(void *ctx)
{
	VALUE_OR_LEAVE;
	struct task_struct *t = bpf_task_from_pid(1);
	if (!t)
		return 0;
	*(void **)&v->member = t;
	bpf_task_release(t);
	return 0;
}

SEC("tc")
ACCEPT int store_loaded(void *ctx)
{
	VALUE_OR_LEAVE;
	struct task_struct *t = v->seen;
	v->seen = t;
	return 0;
}

SEC("tc")
REJECT("invalid kptr access, R1 type=untrusted_ptr_task_struct expected=ptr_prog_test_member or untrusted_ptr_prog_test_member") int store_loaded_of_other_type(void *ctx)
{
	VALUE_OR_LEAVE;
	struct task_struct *t = v->seen;
	if (t)
		*(void **)&v->member = t;
	return 0;
}

SEC("tc")
ACCEPT int store_loaded_checked(void *ctx)
{
	VALUE_OR_LEAVE;
	struct task_struct *t = v->task;
	if (t)
		v->seen = t;
	return 0;
}

SEC("tc")
REJECT("invalid kptr access, R1 type=untrusted_ptr_prog_test_ref_kfunc expected=ptr_prog_test_member or untrusted_ptr_prog_test_member") int store_first_member(void *ctx)
{
	VALUE_OR_LEAVE;
	struct prog_test_ref_kfunc *p = v->tested_seen;
	if (!p)
		return 0;
	*(void **)&v->member = p;
	return 0;
}

SEC("tc")
ACCEPT int store_inner_member(void *ctx)
{
	VALUE_OR_LEAVE;
	struct prog_test_ref_kfunc *p = v->tested_seen;
	if (!p)
		return 0;
	v->member = &p->memb;
	return 0;
}

SEC("tc")
REJECT("invalid kptr access, R0 type=map_value expected=ptr_task_struct or untrusted_ptr_task_struct") int store_map_value(void *ctx)
{
	VALUE_OR_LEAVE;
	*(void **)&v->seen = v;
	return 0;
}

SEC("tc")
REJECT("invalid kptr access, R1 type=fp expected=ptr_task_struct or untrusted_ptr_task_struct") int store_stack(void *ctx)
{
	VALUE_OR_LEAVE;
	*(void **)&v->seen = &key;
	return 0;
}

SEC("tc")
REJECT("invalid kptr access, R1 type=untrusted_ptr_task_struct expected=ptr_task_struct or untrusted_ptr_task_struct") int store_modified(void *ctx)
{
	VALUE_OR_LEAVE;
	char *t = (char *)v->seen;
	if (!t)
		return 0;
	asm volatile("%0 += 8" : "+r"(t));
	*(void **)&v->seen = t;
	return 0;
}

SEC("tc")
REJECT("variable untrusted_ptr_ access var_off=(0x0; 0x8) disallowed") int store_variable(struct __sk_buff *ctx)
{
	VALUE_OR_LEAVE;
	char *t = (char *)v->seen;
	unsigned long at = ctx->len & 8;
	if (!t)
		return 0;
	asm volatile("%0 += %1" : "+r"(t) : "r"(at));
	*(void **)&v->seen = t;
	return 0;
}

SEC("tc")
REJECT("kptr in map can only be accessed using BPF_MEM instruction mode") int atomic_on_pointer(void *ctx)
{
	VALUE_OR_LEAVE;
	__sync_fetch_and_add((long *)&v->seen, 1);
	return 0;
}

SEC("tc")
REJECT("kptr in map can only be accessed using BPF_MEM instruction mode") int exchange_on_pointer(void *ctx)
{
	VALUE_OR_LEAVE;
	return __sync_lock_test_and_set((long *)&v->seen, 0) != 0;
}

SEC("tc")
REJECT("kptr access size must be BPF_DW") int sign_extending_load(void *ctx)
{
	VALUE_OR_LEAVE;
	long x;
	asm volatile("%0 = *(s32 *)(%1 + 16)" : "=r"(x) : "r"(v));
	return x;
}

SEC("tc")
REJECT("R1 invalid mem access 'untrusted_ptr_or_null_'") int load_without_check(void *ctx)
{
	VALUE_OR_LEAVE;
	return v->seen->pid;
}

SEC("tc")
REJECT("R1 invalid mem access 'rcu_ptr_or_null_'") int referenced_without_check(void *ctx)
{
	VALUE_OR_LEAVE;
	return v->task->pid;
}

SEC("tc")
REJECT("invalid func unknown#195896080") int loaded_without_check_mask(void *ctx)
{
	VALUE_OR_LEAVE;
	return v->mask->usage;
}

SEC("tc")
REJECT("R1 invalid mem access 'rcu_ptr_or_null_'") int loaded_without_check_group(void *ctx)
{
	VALUE_OR_LEAVE;
	return v->group->level;
}

SEC("tc")
REJECT("R1 invalid mem access 'rcu_ptr_or_null_'") int loaded_without_check_tested(void *ctx)
{
	VALUE_OR_LEAVE;
	return v->tested->a;
}

SEC("syscall")
REJECT("R1 invalid mem access 'untrusted_ptr_or_null_'") int sleepable_load(void *ctx)
{
	VALUE_OR_LEAVE;
	return v->task->pid;
}

SEC("syscall")
REJECT("R1 invalid mem access 'rcu_ptr_or_null_'") int sleepable_load_in_section(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_rcu_read_lock();
	int pid = v->task->pid;
	bpf_rcu_read_unlock();
	return pid;
}

SEC("tc")
REJECT("R1 must be referenced or trusted") int loaded_to_release(void *ctx)
{
	VALUE_OR_LEAVE;
	struct task_struct *t = v->task;
	if (t)
		bpf_task_release(t);
	return 0;
}

SEC("tc")
ACCEPT int loaded_acquired(void *ctx)
{
	VALUE_OR_LEAVE;
	struct task_struct *t = v->task;
	if (!t)
		return 0;
	t = bpf_task_acquire(t);
	if (t)
		bpf_task_release(t);
	return 0;
}

SEC("syscall")
REJECT("R1 must be a rcu pointer") int untrusted_acquired(void *ctx)
{
	VALUE_OR_LEAVE;
	struct task_struct *t = v->task;
	if (!t)
		return 0;
	t = bpf_task_acquire(t);
	if (t)
		bpf_task_release(t);
	return 0;
}

SEC("tc")
ACCEPT int exchanged(void *ctx)
{
	VALUE_OR_LEAVE;
	struct task_struct *t = bpf_task_from_pid(1);
	if (!t)
		return 0;
	t = bpf_kptr_xchg(&v->task, t);
	if (t)
		bpf_task_release(t);
	return 0;
}

SEC("tc")
ACCEPT int exchanged_for_nothing(void *ctx)
{
	VALUE_OR_LEAVE;
	struct task_struct *t = bpf_kptr_xchg(&v->task, 0);
	if (t)
		bpf_task_release(t);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int exchange_leaks(void *ctx)
{
	VALUE_OR_LEAVE;
	return bpf_kptr_xchg(&v->task, 0) != 0;
}

SEC("tc")
REJECT("Possibly NULL pointer passed to trusted arg0") int exchange_without_check(void *ctx)
{
	VALUE_OR_LEAVE;
	struct task_struct *t = bpf_kptr_xchg(&v->task, 0);
	bpf_task_release(t);
	return 0;
}

SEC("tc")
REJECT("off=16 kptr isn't referenced kptr") int exchange_of_unreferenced(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_kptr_xchg(&v->seen, 0);
	return 0;
}

SEC("tc")
REJECT("off=0 doesn't point to kptr") int exchange_at_wrong_offset(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_kptr_xchg((char *)v, 0);
	return 0;
}

SEC("tc")
REJECT("R1 doesn't have constant offset. kptr has to be at the constant offset") int exchange_at_variable_offset(struct __sk_buff *ctx)
{
	VALUE_OR_LEAVE;
	unsigned long at = ctx->len & 8;
	asm volatile("" : "+r"(at));
	bpf_kptr_xchg((char *)v + at, 0);
	return 0;
}

SEC("tc")
REJECT("R1 has no valid kptr") int exchange_where_none_is(void *ctx)
{
	int key = 0;
	struct plain *v = bpf_map_lookup_elem(&plains, &key);
	if (v)
		bpf_kptr_xchg(&v->a, 0);
	return 0;
}

SEC("tc")
REJECT("R1 type=fp expected=map_value, ptr_") int exchange_on_stack(void *ctx)
{
	void *place = 0;
	bpf_kptr_xchg(&place, 0);
	return 0;
}

SEC("tc")
REJECT("R1 type=map_value_or_null expected=map_value, ptr_") int exchange_with_unchecked_value(void *ctx)
{
	int key = 0;
	struct value *v = bpf_map_lookup_elem(&others, &key);
	bpf_kptr_xchg((char *)v, 0);
	return 0;
}

SEC("tc")
REJECT("invalid kptr access, R2 type=ptr_task_struct expected=ptr_cgroup") int exchange_of_other_type(void *ctx)
{
	VALUE_OR_LEAVE;
	struct task_struct *t = bpf_task_from_pid(1);
	if (!t)
		return 0;
	void *c = bpf_kptr_xchg(&v->group, t);
	if (c)
		bpf_cgroup_release(c);
	return 0;
}

SEC("tc")
REJECT("R2 type=scalar expected=ptr_, trusted_ptr_, rcu_ptr_") int exchange_of_number(void *ctx)
{
	VALUE_OR_LEAVE;
	void *t = bpf_kptr_xchg(&v->task, (void *)5);
	if (t)
		bpf_task_release(t);
	return 0;
}

SEC("tc")
REJECT("R2 type=map_value expected=ptr_, trusted_ptr_, rcu_ptr_") int exchange_of_map_value(void *ctx)
{
	VALUE_OR_LEAVE;
	void *t = bpf_kptr_xchg(&v->task, v);
	if (t)
		bpf_task_release(t);
	return 0;
}

SEC("tc")
REJECT("R2 must be referenced when passed to release function") int exchange_of_borrowed(void *ctx)
{
	VALUE_OR_LEAVE;
	void *t = bpf_kptr_xchg(&v->task, bpf_get_current_task_btf());
	if (t)
		bpf_task_release(t);
	return 0;
}

SEC("tc")
REJECT("R2 must be referenced when passed to release function") int exchange_of_loaded(void *ctx)
{
	VALUE_OR_LEAVE;
	struct task_struct *l = v->task;
	if (!l)
		return 0;
	void *t = bpf_kptr_xchg(&v->task, l);
	if (t)
		bpf_task_release(t);
	return 0;
}

SEC("tc")
REJECT("Possibly NULL pointer passed to helper arg2") int exchange_of_maybe_null(void *ctx)
{
	VALUE_OR_LEAVE;
	void *t = bpf_kptr_xchg(&v->task, bpf_task_from_pid(1));
	if (t)
		bpf_task_release(t);
	return 0;
}

SEC("tc")
REJECT("invalid kptr access, R2 type=ptr_task_struct expected=ptr_task_struct") int exchange_of_offset(void *ctx)
{
	VALUE_OR_LEAVE;
	struct task_struct *p = bpf_task_from_pid(1);
	if (!p)
		return 0;
	void *t = bpf_kptr_xchg(&v->task, (char *)p + 8);
	if (t)
		bpf_task_release(t);
	return 0;
}

SEC("tc")
REJECT("R6 invalid mem access 'scalar'") int used_after_exchange(void *ctx)
{
	VALUE_OR_LEAVE;
	struct task_struct *p = bpf_task_from_pid(1);
	if (!p)
		return 0;
	void *t = bpf_kptr_xchg(&v->task, p);
	if (t)
		bpf_task_release(t);
	return p->pid;
}

SEC("tc")
REJECT("Possibly NULL pointer passed to helper arg2") int exchange_of_group_and_mask(void *ctx)
{
	VALUE_OR_LEAVE;
	struct cgroup *c = bpf_kptr_xchg(&v->group, bpf_cgroup_from_id(1));
	if (c)
		bpf_cgroup_release(c);
	struct bpf_cpumask *m = bpf_kptr_xchg(&v->mask, bpf_cpumask_create());
	if (m)
		bpf_cpumask_release(m);
	return 0;
}

SEC("tc")
REJECT("kptr cannot be accessed indirectly by helper") int filled_by_helper(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_probe_read_kernel(v, sizeof(*v), 0);
	return 0;
}

SEC("tc")
REJECT("kptr cannot be accessed indirectly by helper") int copied_by_helper(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_trace_printk((char *)&v->task, 8);
	return 0;
}

SEC("tc")
REJECT("kptr cannot be accessed indirectly by helper") int used_as_key(void *ctx)
{
	VALUE_OR_LEAVE;
	return bpf_map_lookup_elem(&values, &v->task) != 0;
}

SEC("tc")
REJECT("kptr cannot be accessed indirectly by helper") int used_as_value(void *ctx)
{
	VALUE_OR_LEAVE;
	bpf_map_update_elem(&others, &key, v, 0);
	return 0;
}

SEC("tc")
ACCEPT int updated_from_stack(void *ctx)
{
	struct value v = {};
	int key = 0;
	bpf_map_update_elem(&others, &key, &v, 0);
	return 0;
}

SEC("tc")
REJECT("R1 must have zero offset when passed to release func or trusted arg to kfunc") int release_of_inner(void *ctx)
{
	VALUE_OR_LEAVE;
	struct prog_test_ref_kfunc *p = bpf_kptr_xchg(&v->tested, 0);
	if (!p)
		return 0;
	if (p->a)
		bpf_kfunc_call_test_release((void *)&p->memb);
	else
		bpf_kfunc_call_test_release(p);
	return 0;
}

SEC("tc")
ACCEPT int read_of_exchanged(void *ctx)
{
	VALUE_OR_LEAVE;
	struct task_struct *t = bpf_kptr_xchg(&v->task, 0);
	if (!t)
		return 0;
	int pid = t->pid;
	bpf_task_release(t);
	return pid;
}

SEC("tc")
REJECT("only read is supported") int write_to_exchanged(void *ctx)
{
	VALUE_OR_LEAVE;
	struct task_struct *t = bpf_kptr_xchg(&v->task, 0);
	if (!t)
		return 0;
	t->pid = 1;
	bpf_task_release(t);
	return 0;
}

SEC("tc")
ACCEPT int same_value_another_way(void *ctx)
{
	VALUE_OR_LEAVE;
	struct value *w = v;
	struct task_struct *t;
	if (v->count)
		w = v + 0;
	t = bpf_kptr_xchg(&w->task, 0);
	if (t)
		t = bpf_kptr_xchg(&v->task, t);
	if (t)
		bpf_task_release(t);
	return 0;
}

SEC("kprobe")
REJECT("calling kernel function bpf_task_release is not allowed") int in_kprobe(void *ctx)
{
	VALUE_OR_LEAVE;
	struct task_struct *t = bpf_kptr_xchg(&v->task, 0);
	if (t)
		bpf_task_release(t);
	return 0;
}

SEC("kprobe")
ACCEPT int load_in_kprobe(void *ctx)
{
	VALUE_OR_LEAVE;
	struct task_struct *t = v->seen;
	return t ? t->pid : 0;
}

struct secret {
	struct bpf_crypto_ctx __kptr *key;
};
MAP(secrets, ARRAY, struct secret);
char sixteen[16];

/* Contexts of ciphers are freed by RCU: one that was loaded may be used for as long as the program runs. */
SEC("tc")
ACCEPT int use_a_cipher(void *ctx)
{
	int key = 0;
	struct secret *v = bpf_map_lookup_elem(&secrets, &key);
	struct bpf_crypto_ctx *cipher;
	struct bpf_dynptr text;

	if (!v)
		return 0;
	cipher = v->key;
	if (!cipher)
		return 0;
	bpf_dynptr_from_mem(sixteen, sizeof(sixteen), 0, &text);
	return bpf_crypto_decrypt(cipher, &text, &text, 0);
}

SEC("tc")
REJECT("Possibly NULL pointer passed to trusted arg0") int use_a_cipher_or_null(void *ctx)
{
	int key = 0;
	struct secret *v = bpf_map_lookup_elem(&secrets, &key);
	struct bpf_dynptr text;

	if (!v)
		return 0;
	bpf_dynptr_from_mem(sixteen, sizeof(sixteen), 0, &text);
	return bpf_crypto_decrypt(v->key, &text, &text, 0);
}
