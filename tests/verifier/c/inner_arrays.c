/* Elements of inner maps: which are there for certain, and which maps are as good as others. */
#include "expect.h"

#define ARRAY(name, flags)                                                                                             \
	struct name {                                                                                                  \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                                      \
		__uint(map_flags, flags);                                                                              \
		__uint(max_entries, 4);                                                                                \
		__type(key, int);                                                                                      \
		__type(value, long);                                                                                   \
	}
#define OUTER(name, of)                                                                                                \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                                                              \
		__uint(max_entries, 2);                                                                                \
		__type(key, int);                                                                                      \
		__array(values, struct of);                                                                            \
	} name SEC(".maps")

ARRAY(fixed, 0);
ARRAY(other, BPF_F_INNER_MAP);
struct other alone SEC(".maps");
OUTER(of_fixed, fixed);
OUTER(of_other, other);

/* Where Linux knows what number lies there. */
#define KEY int __attribute__((aligned(8))) key

#define INNER_OR_LEAVE(outer)                                                                                          \
	KEY = 1;                                                                                                       \
	void *inner = bpf_map_lookup_elem(&outer, &key);                                                               \
	if (!inner)                                                                                                    \
	return 0

SEC("tc")
ACCEPT int element_of_an_inner_array(void *ctx)
{
	INNER_OR_LEAVE(of_fixed);
	key = 3;
	return *(volatile long *)bpf_map_lookup_elem(inner, &key) & 0;
}

/* The map that is there may have fewer elements than the one that stands for it. */
SEC("tc")
REJECT("R0 invalid mem access 'map_value_or_null'") int element_of_an_inner_array_of_any_length(void *ctx)
{
	INNER_OR_LEAVE(of_other);
	key = 3;
	return *(volatile long *)bpf_map_lookup_elem(inner, &key) & 0;
}

SEC("tc")
ACCEPT int checked_element_of_an_inner_array_of_any_length(void *ctx)
{
	volatile long *value;

	INNER_OR_LEAVE(of_other);
	key = 3;
	value = bpf_map_lookup_elem(inner, &key);
	return value ? *value & 0 : 0;
}

/* So it is said of one that is in no other map. */
SEC("tc")
REJECT("R0 invalid mem access 'map_value_or_null'") int element_of_an_array_that_may_be_inner(void *ctx)
{
	KEY = 3;

	return *(volatile long *)bpf_map_lookup_elem(&alone, &key) & 0;
}

/* Two maps of one kind are the same to all that comes behind the branches: it is followed once. */
SEC("tc")
ACCEPT int one_inner_array_or_another(void *ctx)
{
	int key = 1;
	void *inner;

	if (bpf_get_prandom_u32() == 3)
		inner = bpf_map_lookup_elem(&of_fixed, &key);
	else
		inner = bpf_map_lookup_elem(&of_fixed, &key);
	asm volatile("" : "+r"(inner));
	if (!inner)
		return 0;
	if (bpf_get_prandom_u32() == 5)
		key = 2;
	else
		key = 3;
	asm volatile("" ::: "memory");
	return bpf_map_lookup_elem(inner, &key) != 0;
}

static __attribute__((noinline)) int found(void *inner)
{
	int key = 2;

	return bpf_map_lookup_elem(inner, &key) != 0;
}

SEC("tc")
ACCEPT int inner_arrays_in_turn(void *ctx)
{
	int key, sum = 0;

#pragma clang loop unroll(disable)
	for (int i = 0; i < 5; i++) {
		void *inner;

		key = i & 1;
		inner = bpf_map_lookup_elem(&of_fixed, &key);
		if (!inner)
			return sum;
		if (bpf_get_prandom_u32() & 1)
			sum += found(inner);
	}
	return sum & 1;
}
