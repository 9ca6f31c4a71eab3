/* Elements of arrays by a known number are there, and need no look at null; others do. */
#include "objects.h"

struct value {
	long a;
	long b;
};
#define MAP_OF(name, kind, entries)                                                                                    \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_##kind);                                                                     \
		__uint(max_entries, entries);                                                                          \
		__type(key, int);                                                                                      \
		__type(value, struct value);                                                                           \
	} name SEC(".maps")
MAP_OF(array, ARRAY, 4);
MAP_OF(each, PERCPU_ARRAY, 4);
MAP_OF(hash, HASH, 4);
MAP_OF(lru, LRU_HASH, 4);
MAP_OF(each_hash, PERCPU_HASH, 4);
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, int);
	__type(value, struct value);
	__uint(map_flags, 1 << 10);
} mapped SEC(".maps");
struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, int);
	__type(value, struct value);
} inner SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, int);
	__array(values, struct inner);
} outer SEC(".maps") = {.values = {&inner}};
struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, int);
	__array(values, struct inner);
} outer_hash SEC(".maps") = {.values = {&inner}};
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(max_entries, 4);
	__type(key, int);
	__type(value, int);
} events SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 4);
	__type(key, int);
	__type(value, int);
} sockets SEC(".maps");

#define FIRST(name, map, k, verdict)                                                                                   \
	SEC("tc") verdict int name(struct __sk_buff *ctx)                                                              \
	{                                                                                                              \
		int key = k;                                                                                           \
		struct value *v = bpf_map_lookup_elem(&map, &key);                                                     \
		return v->a;                                                                                           \
	}

FIRST(in_array, array, 0, ACCEPT)
FIRST(last_in_array, array, 3, REJECT("R0 invalid mem access 'map_value_or_null'"))
FIRST(behind_array, array, 4, REJECT("R0 invalid mem access 'map_value_or_null'"))
FIRST(before_array, array, -1, REJECT("R0 invalid mem access 'map_value_or_null'"))
FIRST(in_each, each, 0, ACCEPT)
FIRST(behind_each, each, 4, REJECT("R0 invalid mem access 'map_value_or_null'"))
FIRST(in_hash, hash, 0, REJECT("R0 invalid mem access 'map_value_or_null'"))
FIRST(in_least_used, lru, 0, REJECT("R0 invalid mem access 'map_value_or_null'"))
FIRST(in_each_hash, each_hash, 0, REJECT("R0 invalid mem access 'map_value_or_null'"))
FIRST(in_mapped, mapped, 2, REJECT("R0 invalid mem access 'map_value_or_null'"))
FIRST(in_array_by_number_unknown, array, ctx->len & 3, REJECT("R0 invalid mem access 'map_value_or_null'"))

SEC("tc")
REJECT("R0 invalid mem access 'map_value_or_null'") int key_is_global(void *ctx)
{
	static int key = 1;
	struct value *v = bpf_map_lookup_elem(&array, &key);
	return v->a;
}

const volatile int fixed = 1;
SEC("tc")
REJECT("R0 invalid mem access 'map_value_or_null'") int key_is_constant_data(void *ctx)
{
	struct value *v = bpf_map_lookup_elem(&array, (void *)&fixed);
	return v->a;
}

SEC("tc")
ACCEPT int key_of_bytes(void *ctx)
{
	char key[4] __attribute__((aligned(4)));
	struct value *v;

	asm volatile("*(u8 *)(%[k] + 0) = 0; *(u8 *)(%[k] + 1) = 0; *(u8 *)(%[k] + 2) = 0; *(u8 *)(%[k] + 3) = 0" ::[k] "r"(key) : "memory");
	v = bpf_map_lookup_elem(&array, key);
	return v->a;
}

SEC("tc")
REJECT("R0 invalid mem access 'map_value_or_null'") int key_of_two_halves(void *ctx)
{
	char key[4] __attribute__((aligned(4)));
	struct value *v;

	asm volatile("*(u16 *)(%[k] + 0) = 1; *(u16 *)(%[k] + 2) = 0" ::[k] "r"(key) : "memory");
	v = bpf_map_lookup_elem(&array, key);
	return v->a;
}

SEC("tc")
REJECT("R0 invalid mem access 'map_value_or_null'") int key_is_half_of_a_word(void *ctx)
{
	long key;
	struct value *v;

	asm volatile("*(u64 *)(%[k] + 0) = 1" ::[k] "r"(&key) : "memory");
	v = bpf_map_lookup_elem(&array, &key);
	return v->a;
}

SEC("tc")
ACCEPT int key_is_upper_half_of_a_word(void *ctx)
{
	long key;
	struct value *v;

	asm volatile("*(u64 *)(%[k] + 0) = 0" ::[k] "r"(&key) : "memory");
	v = bpf_map_lookup_elem(&array, (char *)&key + 4);
	return v->a;
}

SEC("tc")
ACCEPT int key_is_upper_half_of_a_word_that_counts(void *ctx)
{
	long key;
	struct value *v;

	asm volatile("r1 = 1; *(u64 *)(%[k] + 0) = r1" ::[k] "r"(&key) : "memory", "r1");
	v = bpf_map_lookup_elem(&array, (char *)&key + 4);
	return v->a;
}

SEC("tc")
REJECT("R0 invalid mem access 'map_value_or_null'") int key_is_spilled_half(void *ctx)
{
	long key;
	struct value *v;

	asm volatile("r1 = 1; *(u32 *)(%[k] + 0) = r1; *(u32 *)(%[k] + 4) = r1" ::[k] "r"(&key) : "memory", "r1");
	v = bpf_map_lookup_elem(&array, (char *)&key + 4);
	return v->a;
}

SEC("tc")
REJECT("R0 invalid mem access 'map_value_or_null'") int key_at_unknown_place(struct __sk_buff *ctx)
{
	int keys[2];
	struct value *v;
	int *k = keys;

	asm volatile("*(u64 *)(%[k] + 0) = 0" ::[k] "r"(k) : "memory");
	k = (void *)k + (ctx->len & 4);
	asm volatile("" : "+r"(k));
	v = bpf_map_lookup_elem(&array, k);
	return v->a;
}

SEC("tc")
REJECT("R0 invalid mem access 'map_value_or_null'") int key_on_two_paths(struct __sk_buff *ctx)
{
	int key = 1;
	struct value *v;

	if (ctx->len)
		key = 7;
	asm volatile("" ::: "memory");
	v = bpf_map_lookup_elem(&array, &key);
	return v->a;
}

static __noinline struct value *find(int *key)
{
	return bpf_map_lookup_elem(&array, key);
}

SEC("tc")
REJECT("R0 invalid mem access 'map_value_or_null'") int key_of_the_caller(void *ctx)
{
	int key = 2;

	return find(&key)->a;
}

SEC("tc")
ACCEPT int inner_by_known_number(void *ctx)
{
	int key = 0;
	void *map = bpf_map_lookup_elem(&outer, &key);
	struct value *v;

	if (!map)
		return 0;
	v = bpf_map_lookup_elem(map, &key);
	return v->a;
}

SEC("tc")
REJECT("R1 type=map_value_or_null expected=map_ptr") int inner_map_unchecked(void *ctx)
{
	int key = 0;
	void *map = bpf_map_lookup_elem(&outer, &key);
	struct value *v = bpf_map_lookup_elem(map, &key);

	return v ? v->a : 0;
}

SEC("tc")
REJECT("R1 type=map_value_or_null expected=map_ptr") int inner_map_of_hash_unchecked(void *ctx)
{
	int key = 0;
	void *map = bpf_map_lookup_elem(&outer_hash, &key);
	struct value *v = bpf_map_lookup_elem(map, &key);

	return v ? v->a : 0;
}

SEC("tc")
REJECT("R0 invalid mem access 'map_value_or_null'") int of_another_processor(void *ctx)
{
	int key = 0;
	struct value *v = bpf_map_lookup_percpu_elem(&each, &key, 0);

	return v->a;
}

SEC("tc")
ACCEPT int of_another_processor_checked(void *ctx)
{
	int key = 0;
	struct value *v = bpf_map_lookup_percpu_elem(&each, &key, 3);

	return v ? v->a : 0;
}

SEC("tc")
REJECT("cannot pass map_type 2 into func bpf_map_lookup_percpu_elem#195") int of_another_processor_of_an_array(void *ctx)
{
	int key = 0;
	struct value *v = bpf_map_lookup_percpu_elem(&array, &key, 0);

	return v ? v->a : 0;
}

SEC("sk_skb")
REJECT("R0 invalid mem access 'map_value_or_null'") int socket_by_known_number(void *ctx)
{
	int key = 0;
	struct bpf_sock *s = bpf_map_lookup_elem(&sockets, &key);
	int family = s->family;

	bpf_sk_release(s);
	return family;
}

SEC("tc")
ACCEPT int compared_with_null_all_the_same(void *ctx)
{
	int key = 0;
	struct value *v = bpf_map_lookup_elem(&array, &key);

	asm volatile("" : "+r"(v));
	if (!v)
		return *(int *)0;
	return v->b;
}

SEC("tc")
ACCEPT int removed_and_used(void *ctx)
{
	int key = 0;
	struct value *v = bpf_map_lookup_elem(&hash, &key);

	if (!v)
		return 0;
	bpf_map_delete_elem(&hash, &key);
	return v->a;
}

SEC("tc")
REJECT("R0 invalid mem access 'map_value_or_null'") int each_of_a_map(void *ctx)
{
	int key = 0;
	struct value *v = bpf_map_lookup_elem(&array, &key), *w;

	key = 1;
	w = bpf_map_lookup_elem(&array, &key);
	v->a = w->b;
	return 0;
}
