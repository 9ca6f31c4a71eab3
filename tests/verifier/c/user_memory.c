/* Memory of the user's that task storage points to, and task work: what may be done with them. */
#include "objects.h"

struct bpf_iter_num {
	u64 __opaque[1];
} __attribute__((aligned(8)));
struct task_struct {
	int pid;
} __attribute__((preserve_access_index));
struct sheet {
	long start;
	char data[120];
};
struct entry {
	char name[14];
	unsigned short size;
};
struct table {
	unsigned char count;
	struct entry entries[7];
};
struct pair {
	struct sheet __uptr *page;
	struct table __uptr *table;
	long own;
};
struct nested {
	int own;
	struct pair inner;
};
struct dummy {
	struct sheet page[0];
	struct table table[0];
} *dummy;

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, 1);
	__type(key, int);
	__type(value, struct pair);
} pairs SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, 1);
	__type(key, int);
	__type(value, struct nested);
} nests SEC(".maps");

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;
extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;

int chosen, sink;

#define PAIR_OR_LEAVE                                                                                                  \
	struct pair *v = bpf_task_storage_get(&pairs, (void *)bpf_get_current_task_btf(), 0, 0);                       \
	if (!v)                                                                                                        \
	return 0

SEC("syscall")
ACCEPT int read_and_written(void *ctx)
{
	PAIR_OR_LEAVE;
	struct sheet *p = v->page;

	if (!p)
		return 0;
	p->start++;
	p->data[119] = 1;
	return 0;
}

SEC("syscall")
REJECT("R1 invalid mem access 'mem_or_null'") int unchecked(void *ctx)
{
	PAIR_OR_LEAVE;
	v->page->start = 0;
	return 0;
}

SEC("syscall")
REJECT("R1 min value is outside of the allowed memory range") int beyond_the_end(void *ctx)
{
	PAIR_OR_LEAVE;
	struct sheet *p = v->page;

	if (!p)
		return 0;
	return ((char *)p)[128];
}

SEC("syscall")
REJECT("R1 min value is outside of the allowed memory range") int before_the_start(void *ctx)
{
	PAIR_OR_LEAVE;
	struct sheet *p = v->page;

	if (!p)
		return 0;
	return ((char *)p)[-1];
}

SEC("syscall")
ACCEPT int at_an_index(void *ctx)
{
	PAIR_OR_LEAVE;
	struct sheet *p = v->page;
	int at = chosen;

	if (!p || at < 0 || at >= 120)
		return 0;
	return p->data[at];
}

SEC("syscall")
REJECT("R1 max value is outside of the allowed memory range") int at_an_index_one_too_far(void *ctx)
{
	PAIR_OR_LEAVE;
	struct sheet *p = v->page;
	unsigned at = chosen;

	if (!p || at > 120)
		return 0;
	return p->data[at];
}

SEC("syscall")
REJECT("value -2147483648 makes mem pointer be out of bounds") int at_an_index_only_bounded_above(void *ctx)
{
	PAIR_OR_LEAVE;
	struct sheet *p = v->page;
	int at = chosen;

	if (!p || at >= 120)
		return 0;
	return p->data[at];
}

SEC("syscall")
REJECT("R1 invalid mem access 'mem_or_null'") int loaded_once_and_again(void *ctx)
{
	PAIR_OR_LEAVE;
	if (!v->page)
		return 0;
	asm volatile("" ::: "memory");
	return v->page->start;
}

SEC("syscall")
ACCEPT int two_of_them(void *ctx)
{
	PAIR_OR_LEAVE;
	struct sheet *p = v->page;
	struct table *t = v->table;

	if (!p || !t)
		return 0;
	return p->data[1] + t->entries[6].size;
}

SEC("syscall")
REJECT("R3 pointer |= pointer prohibited") int one_for_the_other(void *ctx)
{
	PAIR_OR_LEAVE;
	struct sheet *p = v->page;
	struct table *t = v->table;

	if (!p && !t)
		return 0;
	return p->start;
}

SEC("syscall")
REJECT("store to uptr disallowed") int written_null(void *ctx)
{
	PAIR_OR_LEAVE;
	v->table = 0;
	return 0;
}

SEC("syscall")
REJECT("store to uptr disallowed") int written_itself(void *ctx)
{
	PAIR_OR_LEAVE;
	v->table = v->table;
	asm volatile("" ::: "memory");
	*(volatile long *)&v->table = (long)v->page;
	return 0;
}

SEC("syscall")
ACCEPT int nested_read(void *ctx)
{
	struct nested *v = bpf_task_storage_get(&nests, (void *)bpf_get_current_task_btf(), 0, 1);

	if (!v || !v->inner.page)
		return 0;
	return v->inner.page->start;
}

SEC("syscall")
REJECT("store to uptr disallowed") int nested_written(void *ctx)
{
	struct nested *v = bpf_task_storage_get(&nests, (void *)bpf_get_current_task_btf(), 0, 1);

	if (v)
		v->inner.page = 0;
	return 0;
}

SEC("syscall")
REJECT("R1 has no valid kptr") int exchanged(void *ctx)
{
	PAIR_OR_LEAVE;
	bpf_kptr_xchg(&v->page, 0);
	return 0;
}

SEC("syscall")
REJECT("R1 invalid mem access 'scalar'") int in_an_object_of_its_own(void *ctx)
{
	struct pair *v = bpf_obj_new(struct pair);

	if (!v)
		return 0;
	if (v->page)
		sink = v->page->start;
	bpf_obj_drop(v);
	return 0;
}

SEC("syscall")
ACCEPT int given_to_a_helper(void *ctx)
{
	PAIR_OR_LEAVE;
	struct table *t = v->table;

	if (!t)
		return 0;
	return bpf_strncmp(t->entries[1].name, 14, "name");
}

SEC("syscall")
REJECT("R1 min value is outside of the allowed memory range") int given_to_a_helper_too_long(void *ctx)
{
	PAIR_OR_LEAVE;
	struct table *t = v->table;

	if (!t)
		return 0;
	return bpf_strncmp(t->entries[6].name, 17, "name");
}

SEC("syscall")
REJECT("R1 type=mem_or_null expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_") int given_to_a_helper_unchecked(void *ctx)
{
	PAIR_OR_LEAVE;
	return bpf_strncmp((char *)v->table, 4, "name");
}

SEC("syscall")
REJECT("cannot pass map_type 29 into func bpf_map_lookup_elem#1") int given_as_key(void *ctx)
{
	PAIR_OR_LEAVE;
	struct sheet *p = v->page;

	if (!p)
		return 0;
	return !!bpf_map_lookup_elem(&pairs, p);
}

static __noinline int found(struct pair *v, const char *name, int from)
{
	int offset = 0, count, result = 0, *at;
	struct bpf_iter_num it;

	if (!v || !v->page || !v->table)
		return 0;
	count = v->table->count;
	bpf_iter_num_new(&it, 0, count);
	while ((at = bpf_iter_num_next(&it))) {
		int i = *at;

		if (i < 0 || i >= 7)
			break;
		struct table *t = v->table;

		if (!t)
			break;
		if (i >= from && !bpf_strncmp(t->entries[i].name, 14, name)) {
			result = offset;
			break;
		}
		offset += (t->entries[i].size + 7) & ~7;
	}
	bpf_iter_num_destroy(&it);
	return result;
}

SEC("syscall")
REJECT("The sequence of 8193 jumps is too complex.") int searched_by_name(void *ctx)
{
	PAIR_OR_LEAVE;
	struct sheet *p = v->page;
	long at = found(v, "one", chosen);

	if (!p || at <= 0 || at >= 112)
		return 0;
	return *(int *)(p->data + at) + 0 * at;
}

__noinline int takes_memory(struct sheet *p)
{
	return p ? p->start : 0;
}

SEC("syscall")
ACCEPT int given_to_a_global_function(void *ctx)
{
	PAIR_OR_LEAVE;
	return takes_memory(v->page);
}

SEC("syscall")
ACCEPT int returned(void *ctx)
{
	PAIR_OR_LEAVE;
	return (long)v->page;
}

SEC("tp_btf/sys_enter")
ACCEPT int in_a_tracepoint(void *ctx)
{
	PAIR_OR_LEAVE;
	struct sheet *p = v->page;

	return p ? p->start & 0 : 0;
}

SEC("iter.s/task")
ACCEPT int of_another_task(unsigned long long *ctx)
{
	struct task_struct *task = (void *)ctx[1];
	struct pair *v;

	if (!task)
		return 0;
	v = bpf_task_storage_get(&pairs, (void *)task, 0, 0);
	if (v && v->page)
		v->page->start = 1;
	return 0;
}

SEC("syscall")
ACCEPT int added_to_atomically(void *ctx)
{
	PAIR_OR_LEAVE;
	struct sheet *p = v->page;

	if (p)
		__sync_fetch_and_add(&p->start, 1);
	return 0;
}

SEC("syscall")
REJECT("kptr in map can only be accessed using BPF_MEM instruction mode") int added_to_the_pointer(void *ctx)
{
	PAIR_OR_LEAVE;
	__sync_fetch_and_add((long *)&v->page, 8);
	return 0;
}

SEC("syscall")
ACCEPT int pointer_moved_and_back(void *ctx)
{
	PAIR_OR_LEAVE;
	char *p = (char *)v->page;

	if (!p)
		return 0;
	p += 200;
	asm volatile("" : "+r"(p));
	p -= 100;
	return *p;
}
SEC("syscall")
REJECT("Unsupported reg type mem for bpf_dynptr_from_mem data") int dynptr_over_it(void *ctx)
{
	PAIR_OR_LEAVE;
	struct sheet *p = v->page;
	struct bpf_dynptr d;

	if (!p)
		return 0;
	bpf_dynptr_from_mem(p, 8, 0, &d);
	return 0;
}
