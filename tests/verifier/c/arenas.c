/* Arenas: allocation, casts by the compiler, globals in an arena. */
#include "expect.h"
#define __arena __attribute__((address_space(1)))
#define BPF_MAP_TYPE_ARENA 33

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 10);
} arena SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 10);
} arena2 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, long);
} arr SEC(".maps");

void __arena *bpf_arena_alloc_pages(void *map, void __arena *addr, unsigned cnt, int node,
				    unsigned long long flags) __ksym __attribute__((weak));
void bpf_arena_free_pages(void *map, void __arena *ptr, unsigned cnt) __ksym __attribute__((weak));
int bpf_arena_reserve_pages(void *map, void __arena *ptr, unsigned cnt) __ksym __attribute__((weak));
#define NI __attribute__((noinline, weak))
int __arena ga = 5;
int g;
long __arena *kp;

NI int f_arena(int __arena *p __attribute__((btf_decl_tag("arg:arena"))))
{
	return *p;
}
SEC("syscall")
ACCEPT int a1(void *c)
{
	int __arena *p = bpf_arena_alloc_pages(&arena, 0, 1, -1, 0);
	if (!p)
		return 1;
	*p = 3;
	return *p;
}

SEC("syscall")
ACCEPT int a2(void *c)
{
	int __arena *p = bpf_arena_alloc_pages(&arena, 0, 1, -1, 0);
	return *p;
}

SEC("syscall")
ACCEPT int a3(void *c)
{
	int __arena *p = bpf_arena_alloc_pages(&arena, 0, 1, -1, 0);
	p[100000] = 1;
	bpf_arena_free_pages(&arena, p, 1);
	return 0;
}

SEC("tc")
REJECT("program must be sleepable to call sleepable kfunc bpf_arena_alloc_pages")
int a4(void *c)
{
	int __arena *p = bpf_arena_alloc_pages(&arena, 0, 1, -1, 0);
	return 0;
}

SEC("tc")
ACCEPT int a5(void *c)
{
	return ga;
}

SEC("tc")
ACCEPT int a6(void *c)
{
	ga = 7;
	return 0;
}

SEC("syscall")
ACCEPT int a7(void *c)
{
	int __arena *p = bpf_arena_alloc_pages(&arena, 0, 1, -1, 0);
	return f_arena(p);
}

SEC("syscall")
ACCEPT int a8(void *c)
{
	long __arena *p = bpf_arena_alloc_pages(&arena, 0, 1, -1, 0);
	kp = p;
	*p = (long)p;
	long __arena *q = (long __arena *)*p;
	return *q;
}

SEC("syscall")
ACCEPT int a10(void *c)
{
	int __arena *p = bpf_arena_alloc_pages(&arr, 0, 1, -1, 0);
	return 0;
}

SEC("syscall")
REJECT("R1 type=arena expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
int a11(void *c)
{
	char __arena *p = bpf_arena_alloc_pages(&arena, 0, 1, -1, 0);
	bpf_probe_read_kernel((void *)p, 8, c);
	return 0;
}

SEC("syscall")
REJECT("R2 type=arena expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
int a12(void *c)
{
	long k = 0;
	long __arena *p = bpf_arena_alloc_pages(&arena, 0, 1, -1, 0);
	return bpf_map_lookup_elem(&arr, (void *)p) != 0;
}

SEC("syscall")
ACCEPT int a13(void *c)
{
	long __arena *p = bpf_arena_alloc_pages(&arena, 0, 1, -1, 0);
	__sync_fetch_and_add(p, 1);
	return __sync_val_compare_and_swap(p, 1, 2);
}

SEC("syscall")
ACCEPT int a14(void *c)
{
	long __arena *p = bpf_arena_alloc_pages(&arena, 0, 1, -1, 0);
	p += g;
	*p = 1;
	p = (long __arena *)((long)p * 3);
	*p = 1;
	return 0;
}

SEC("syscall")
ACCEPT int a15(void *c)
{
	long __arena *p = bpf_arena_alloc_pages(&arena, 0, 1, -1, 0);
	*(void *__arena *)p = c;
	return 0;
}

SEC("syscall")
ACCEPT int a16(void *c)
{
	bpf_arena_free_pages(&arena, (void __arena *)c, 1);
	return 0;
}

SEC("syscall")
ACCEPT int a17(void *c)
{
	bpf_arena_free_pages(&arena, (void __arena *)5, 1);
	return 0;
}

SEC("syscall")
REJECT("addr_space_cast insn can only be used in a program that has an associated arena")
int a18(void *c)
{
	return *(int __arena *)c;
}

SEC("syscall")
ACCEPT int a19(void *c)
{
	int __arena *p = bpf_arena_alloc_pages(&arena, 0, 1, -1, 0);
	if (p > (int __arena *)c)
		return 1;
	return 0;
}

SEC("syscall")
REJECT("invalid zero-sized read")
int a20(void *c)
{
	long k = 0;
	return bpf_map_lookup_elem(&arena, &k) != 0;
}

SEC("syscall")
ACCEPT int a21(void *c)
{
	int __arena *p = bpf_arena_alloc_pages(&arena, 0, g, -1, 0);
	int s = 0;
	for (int i = 0; i < 10; i++)
		s += p[i];
	return s;
}

SEC("syscall")
ACCEPT int a22(void *c)
{
	int __arena *p = bpf_arena_alloc_pages(&arena, 0, g, -1, 0);
	return *(signed char __arena *)p;
}

SEC("syscall")
ACCEPT int a23(void *c)
{
	int *p = (int *)bpf_arena_alloc_pages(&arena, 0, g, -1, 0);
	return *p;
}

SEC("syscall")
ACCEPT int a24(void *c)
{
	int x = bpf_arena_reserve_pages(&arena, 0, 1);
	return x;
}

SEC("raw_tp")
ACCEPT int a25(void *c)
{
	return ga;
}

SEC("syscall")
ACCEPT int a27(void *c)
{
	long __arena *p = bpf_arena_alloc_pages(&arena, 0, 1, -1, 0);
	return (long)p == 0;
}

struct bpf_map {
	unsigned max_entries;
	struct bpf_map *inner_map_meta;
} __attribute__((preserve_access_index));
struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
} __attribute__((preserve_access_index));
struct bpf_iter__bpf_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
} __attribute__((preserve_access_index));

/* The kernel's own object of a map will do for a map. */
SEC("iter.s/bpf_map")
ACCEPT int pages_of_visited_map(struct bpf_iter__bpf_map *ctx)
{
	struct bpf_map *map = ctx->map;

	if (map)
		bpf_arena_alloc_pages(map, 0, map->max_entries, 0, 0);
	return 0;
}

SEC("iter.s/bpf_map")
REJECT("Possibly NULL pointer passed to trusted arg0")
int pages_of_no_map(struct bpf_iter__bpf_map *ctx)
{
	bpf_arena_alloc_pages(ctx->map, 0, 1, 0, 0);
	return 0;
}

SEC("iter.s/bpf_map")
REJECT("R1 must be referenced or trusted")
int pages_of_inner_map(struct bpf_iter__bpf_map *ctx)
{
	struct bpf_map *map = ctx->map;

	if (map)
		bpf_arena_alloc_pages(map->inner_map_meta, 0, 1, 0, 0);
	return 0;
}

SEC("iter.s/bpf_map")
REJECT("kernel function bpf_arena_alloc_pages args#0 expected pointer to STRUCT bpf_map but R1 has a pointer to STRUCT seq_file")
int pages_of_a_file(struct bpf_iter__bpf_map *ctx)
{
	bpf_arena_alloc_pages(ctx->meta->seq, 0, 1, 0, 0);
	return 0;
}

SEC("iter.s/bpf_map")
REJECT("R1 must be referenced or trusted")
int pages_of_a_value(struct bpf_iter__bpf_map *ctx)
{
	int key = 0;
	long *value = bpf_map_lookup_elem(&arr, &key);

	if (value)
		bpf_arena_alloc_pages(value, 0, 1, 0, 0);
	return 0;
}
