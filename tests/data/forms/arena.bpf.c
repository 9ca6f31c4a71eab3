// SPDX-License-Identifier: Apache-2.0
// An arena with variables in it, which the compiler puts into a section of the second address space.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define __arena __attribute__((address_space(1)))

struct node {
	struct node __arena *next;
	int value;
};

struct {
	__uint(type, 33);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 10);
} arena SEC(".maps");

extern void __arena *bpf_arena_alloc_pages(void *map, void __arena *address, __u32 count, int node, __u64 flags) __ksym;
extern void bpf_arena_free_pages(void *map, void __arena *address, __u32 count) __ksym;

int __arena counter = 3;
struct node __arena head;
struct node __arena *__arena list;

SEC("syscall")
int walk(void *ctx)
{
	struct node __arena *node;
	int sum = 0;

	node = bpf_arena_alloc_pages(&arena, (void __arena *)0, 1, -1, 0);
	if (node) {
		node->value = ++counter;
		node->next = list;
		list = node;
	}
	for (node = list; node && sum < 1000; node = node->next)
		sum += node->value + 1;
	head.value = sum;
	return sum;
}

char LICENSE[] SEC("license") = "GPL";
