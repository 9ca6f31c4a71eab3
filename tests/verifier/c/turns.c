/* Loops that the runtime ends when it has had enough (may_goto): numbers, places, objects and calls in them. */
#include "objects.h"

#define can_loop                                                                                                       \
	({                                                                                                             \
		__label__ enough, over;                                                                                \
		_Bool more = 1;                                                                                        \
		asm volatile goto("may_goto %l[enough]" ::: : enough);                                                 \
		goto over;                                                                                             \
	enough:                                                                                                        \
		more = 0;                                                                                              \
	over:;                                                                                                         \
		more;                                                                                                  \
	})

struct bpf_iter_num {
	u64 __opaque[1];
} __attribute__((aligned(8)));
struct value {
	long counts[64];
	unsigned int length;
};
struct node {
	struct bpf_list_node link;
	long data;
};
MAP(values, ARRAY, struct value);
MAP(hashed, HASH, struct value);
struct {
	__uint(type, 33);
	__uint(map_flags, 1 << 10);
	__uint(max_entries, 10);
} arena SEC(".maps");

private(A) struct bpf_spin_lock lock;
private(A) struct bpf_list_head head __contains(node, link);

#define __arena __attribute__((address_space(1)))
struct elem {
	struct elem __arena *next;
	long value;
};
struct elem __arena *first;
char text[64];
long zero, sum, seen[16];
int limit = 1000;

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;
extern void __arena *bpf_arena_alloc_pages(void *map, void __arena *addr, u32 count, int node, u64 flags) __ksym;
extern void bpf_arena_free_pages(void *map, void __arena *addr, u32 count) __ksym;

#define VALUE_OR_LEAVE                                                                                                 \
	int key = 0;                                                                                                   \
	struct value *v = bpf_map_lookup_elem(&values, &key);                                                          \
	if (!v)                                                                                                        \
	return 0

SEC("tc")
ACCEPT int counts(void *ctx)
{
	long n = 0;

	while (can_loop)
		n++;
	return n;
}

SEC("tc")
ACCEPT int counts_to_a_bound(void *ctx)
{
	VALUE_OR_LEAVE;
	for (int i = 0; i < 64 && can_loop; i++)
		v->counts[i]++;
	return 0;
}

SEC("tc")
REJECT("R0 max value is outside of the allowed memory range") int counts_from_memory(void *ctx)
{
	VALUE_OR_LEAVE;
	for (unsigned i = zero; i < 64 && can_loop; i++)
		v->counts[i]++;
	return 0;
}

SEC("tc")
REJECT("R0 max value is outside of the allowed memory range") int counts_one_too_far(void *ctx)
{
	VALUE_OR_LEAVE;
	for (unsigned i = zero; i <= 65 && can_loop; i++)
		v->counts[i]++;
	return 0;
}

SEC("tc")
REJECT("R0 min value is outside of the allowed memory range") int counts_without_bound(void *ctx)
{
	VALUE_OR_LEAVE;
	for (long i = 0; can_loop; i++)
		v->counts[i]++;
	return 0;
}

SEC("tc")
ACCEPT int counts_down(void *ctx)
{
	VALUE_OR_LEAVE;
	for (int i = 63; i >= 0 && can_loop; i--)
		v->counts[i]++;
	return 0;
}

SEC("tc")
ACCEPT int two_within_each_other(void *ctx)
{
	VALUE_OR_LEAVE;
	for (int i = 0; i < 8 && can_loop; i++)
		for (int j = 0; j < 8 && can_loop; j++)
			v->counts[i * 8 + j]++;
	return 0;
}

SEC("tc")
ACCEPT int two_behind_each_other(void *ctx)
{
	VALUE_OR_LEAVE;
	int i;

	for (i = 0; i < 64 && can_loop; i++)
		if (!v->counts[i])
			break;
	for (; i < 64 && can_loop; i++)
		v->counts[i] = 1;
	return i;
}

SEC("tc")
ACCEPT int within_an_iterator(void *ctx)
{
	struct bpf_iter_num it;
	int *at;
	long n = 0;

	bpf_iter_num_new(&it, 0, 100);
	while ((at = bpf_iter_num_next(&it)))
		for (int i = 0; i < *at && can_loop; i++)
			n += i;
	bpf_iter_num_destroy(&it);
	return n;
}

SEC("tc")
ACCEPT int around_an_iterator(void *ctx)
{
	long n = 0;

	while (can_loop) {
		struct bpf_iter_num it;
		int *at;

		bpf_iter_num_new(&it, 0, 10);
		while ((at = bpf_iter_num_next(&it)))
			n += *at;
		bpf_iter_num_destroy(&it);
	}
	return n;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int leaves_an_iterator_open(void *ctx)
{
	struct bpf_iter_num it;
	int *at;

	bpf_iter_num_new(&it, 0, 100);
	while ((at = bpf_iter_num_next(&it)) && can_loop)
		sum += *at;
	return 0;
}

SEC("tc")
ACCEPT int fills_the_stack(void *ctx)
{
	char found[16] = {};
	int n = 0;

	while (can_loop) {
		if (n >= 16)
			break;
		found[n++] = text[n & 63];
	}
	for (int i = 0; i < n && can_loop; i++)
		if (i < 16)
			sum += found[i];
	return n;
}

SEC("tc")
ACCEPT int gathers_pointers(void *ctx)
{
	struct value *found[4];
	int n = 0;

	for (int i = 0; i < 100 && can_loop; i++) {
		struct value *v = bpf_map_lookup_elem(&hashed, &i);

		if (v && n < 4)
			found[n++] = v;
	}
	if (n == 4)
		sum += found[3]->length;
	return 0;
}

SEC("tc")
ACCEPT int walks_an_arena(void *ctx)
{
	struct elem __arena *e;
	long total = 0;

	asm volatile("" ::"r"(&arena));
	for (e = first; e && can_loop; e = e->next)
		total += e->value;
	return total;
}

SEC("syscall")
ACCEPT int builds_in_an_arena(void *ctx)
{
	struct elem __arena *page = bpf_arena_alloc_pages(&arena, 0, 1, -1, 0);

	if (!page)
		return 1;
	for (int i = zero; i < 64 && can_loop; i++) {
		page[i].next = first;
		page[i].value = i;
		first = &page[i];
	}
	return 0;
}

SEC("tc")
ACCEPT int length_of_a_text(void *ctx)
{
	int n = 0;

	while (can_loop) {
		if (n >= 64 || !text[n])
			break;
		n++;
	}
	return n;
}

SEC("tc")
ACCEPT int pushes_to_a_list(void *ctx)
{
	for (int i = 0; i < limit && can_loop; i++) {
		struct node *n = bpf_obj_new(struct node);

		if (!n)
			break;
		n->data = i;
		bpf_spin_lock(&lock);
		bpf_list_push_back(&head, &n->link);
		bpf_spin_unlock(&lock);
	}
	return 0;
}

SEC("tc")
ACCEPT int drains_a_list(void *ctx)
{
	while (can_loop) {
		struct bpf_list_node *l;

		bpf_spin_lock(&lock);
		l = bpf_list_pop_front(&head);
		bpf_spin_unlock(&lock);
		if (!l)
			break;
		bpf_obj_drop(container_of(l, struct node, link));
	}
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int keeps_what_it_made(void *ctx)
{
	struct node *kept = 0;

	for (int i = 0; i < limit && can_loop; i++) {
		struct node *n = bpf_obj_new(struct node);

		if (!n)
			break;
		kept = n;
	}
	if (kept)
		bpf_obj_drop(kept);
	return 0;
}

SEC("tc")
ACCEPT int swaps_what_it_made(void *ctx)
{
	struct node *kept = bpf_obj_new(struct node);

	if (!kept)
		return 0;
	while (can_loop) {
		struct node *n = bpf_obj_new(struct node);

		if (!n)
			break;
		bpf_obj_drop(kept);
		kept = n;
	}
	bpf_obj_drop(kept);
	return 0;
}

SEC("tc")
ACCEPT int loops_under_a_lock(void *ctx)
{
	bpf_spin_lock(&lock);
	for (int i = 0; i < 16 && can_loop; i++)
		seen[i & 15]++;
	bpf_spin_unlock(&lock);
	return 0;
}

static int each(unsigned index, void *data)
{
	long n = 0;

	while (can_loop)
		n += index;
	*(long *)data += n;
	return 0;
}

SEC("tc")
ACCEPT int in_a_callback(void *ctx)
{
	long n = 0;

	bpf_loop(10, each, &n, 0);
	return n;
}

static int plain(unsigned index, void *data)
{
	*(long *)data += index;
	return 0;
}

SEC("tc")
REJECT("The sequence of 8193 jumps is too complex.") int around_callbacks(void *ctx)
{
	long n = 0;

	for (int i = 0; i < limit && can_loop; i++)
		bpf_loop(i, plain, &n, 0);
	return n;
}

static __noinline long inner_sum(int from, int to)
{
	long n = 0;

	for (int i = from; i < to && can_loop; i++)
		n += i;
	return n;
}

SEC("tc")
ACCEPT int in_a_function(void *ctx)
{
	long n = 0;

	for (int i = 0; i < limit && can_loop; i++)
		n += inner_sum(i, limit);
	return n;
}

__noinline long global_sum(int from, int to)
{
	long n = 0;

	for (int i = from; i < to && can_loop; i++)
		n += i;
	return n;
}

SEC("tc")
ACCEPT int in_a_global_function(void *ctx)
{
	return global_sum(0, limit);
}

SEC("tc")
ACCEPT int over_a_packet_at_an_index(struct __sk_buff *ctx)
{
	unsigned char *p = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	int total = 0;

	for (unsigned i = 0; i < 1500 && can_loop; i++) {
		if (p + i + 1 > end)
			break;
		total += p[i];
	}
	return total;
}

SEC("tc")
ACCEPT int narrows_from_both_sides(void *ctx)
{
	VALUE_OR_LEAVE;
	unsigned low = 0, high = 64;

	while (low < high && can_loop) {
		unsigned middle = (low + high) / 2;

		if (middle >= 64)
			break;
		if (v->counts[middle] < limit)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

SEC("tc")
REJECT("The sequence of 8193 jumps is too complex.") int flips_a_flag(void *ctx)
{
	_Bool found = 0;
	int i;

	for (i = 0; i < limit && can_loop; i++)
		if (seen[i & 15] == 7)
			found = !found;
	return found ? seen[i & 15] : 0;
}

SEC("tc")
ACCEPT int offset_grows_by_steps(void *ctx)
{
	VALUE_OR_LEAVE;
	unsigned at = 0;

	while (at < 504 && can_loop) {
		sum += *((char *)v + at);
		at += 8;
	}
	return at;
}

SEC("tc")
ACCEPT int pointer_moves(void *ctx)
{
	VALUE_OR_LEAVE;
	long *p = v->counts;

	for (int i = 0; i < 64 && can_loop; i++)
		sum += *p++;
	return 0;
}

SEC("tc")
ACCEPT int pointer_moves_to_the_end(void *ctx)
{
	VALUE_OR_LEAVE;
	long *p = v->counts, *end = v->counts + 64;

	for (; p < end && can_loop; p++)
		sum += *p;
	return 0;
}

SEC("tc")
ACCEPT int pointer_becomes_another(void *ctx)
{
	VALUE_OR_LEAVE;
	long *p = v->counts;

	while (can_loop) {
		sum += *p;
		p = &seen[1];
	}
	return 0;
}
SEC("tc")
ACCEPT int looks_up_until_none(void *ctx)
{
	int key = 0;

	while (can_loop) {
		struct value *v = bpf_map_lookup_elem(&hashed, &key);

		if (!v)
			break;
		key = v->length;
	}
	return key;
}
