/* A dynptr of the kernel, as callbacks get one: what may be done with its address. */
#include "on_stack.h"

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 4096);
} samples SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u32);
} hash SEC(".maps");

static long spills(struct bpf_dynptr *sample, void *data)
{
	struct bpf_dynptr *volatile kept = sample;
	u64 value;

	bpf_dynptr_read(&value, 8, kept, 0, 0);
	return 0;
}

SEC("raw_tp")
REJECT("R3 type=scalar expected=fp, dynptr_ptr") int spilled(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, spills, 0, 0);
}

static long key_spilled(void *map, u32 *key, u32 *value, void *data)
{
	u32 *volatile kept = key;
	return *kept & 1;
}

SEC("raw_tp")
ACCEPT int key_spill(void *ctx)
{
	return bpf_for_each_map_elem(&hash, key_spilled, 0, 0);
}

static long compares(struct bpf_dynptr *sample, void *data)
{
	return sample ? 0 : 1;
}

SEC("raw_tp")
ACCEPT int compared(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, compares, 0, 0);
}

static long stores(struct bpf_dynptr *sample, u64 *data)
{
	*data = (u64)sample;
	return 0;
}

SEC("raw_tp")
ACCEPT int stored(void *ctx)
{
	u64 x = 0;
	bpf_user_ringbuf_drain(&samples, stores, &x, 0);
	return x & 1;
}

static long adds(struct bpf_dynptr *sample, u64 *data)
{
	u64 value;
	sample = (void *)sample + (bpf_get_prandom_u32() & 8);
	bpf_dynptr_read(&value, 8, sample, 0, 0);
	return 0;
}

SEC("raw_tp")
REJECT("variable dynptr_ptr access var_off=(0x0; 0x8) disallowed") int added(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, adds, 0, 0);
}

static long subs(struct bpf_dynptr *sample, u64 *data)
{
	return (u64)sample >> 3 & 1;
}

SEC("raw_tp")
REJECT("R0 pointer arithmetic with >>= operator prohibited") int shifted(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, subs, 0, 0);
}

static long passes(struct bpf_dynptr *sample, u64 *data)
{
	return bpf_probe_read_kernel(data, 8, sample) & 1;
}

SEC("raw_tp")
ACCEPT int passed_as_any(void *ctx)
{
	u64 x = 0;
	return bpf_user_ringbuf_drain(&samples, passes, &x, 0);
}

static long as_mem(struct bpf_dynptr *sample, u64 *data)
{
	return bpf_map_update_elem(&hash, sample, sample, 0) & 1;
}

SEC("raw_tp")
REJECT("R2 type=dynptr_ptr expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_") int passed_as_memory(void *ctx)
{
	u64 x = 0;
	return bpf_user_ringbuf_drain(&samples, as_mem, &x, 0);
}

static long returns_it(struct bpf_dynptr *sample, u64 *data)
{
	return (long)sample;
}

SEC("raw_tp")
REJECT("R0 not a scalar value") int returned(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, returns_it, 0, 0);
}

static long atomics(struct bpf_dynptr *sample, u64 *data)
{
	__sync_fetch_and_add((u64 *)sample, 1);
	return 0;
}

SEC("raw_tp")
REJECT("R1 invalid mem access 'dynptr_ptr'") int atomically(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, atomics, 0, 0);
}

static __noinline u64 inner(struct bpf_dynptr *sample)
{
	u64 v = 0;
	bpf_dynptr_read(&v, 8, sample, 0, 0);
	return v;
}

static long hands_on(struct bpf_dynptr *sample, u64 *data)
{
	return inner(sample) & 1;
}

SEC("raw_tp")
ACCEPT int handed_on(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, hands_on, 0, 0);
}

static __noinline int second(struct bpf_dynptr *which, u64 *slot)
{
	struct bpf_dynptr clone;
	u64 *slice;
	bpf_dynptr_clone(which, &clone);
	slice = bpf_dynptr_data(&clone, 0, 8);
	if (!slice) return 0;
	*slot = *slice;
	return 1;
}
u64 global[4];

SEC("raw_tp")
ACCEPT int clone_in_a_function(void *ctx)
{
	struct bpf_dynptr local;
	u64 x = 0;
	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	second(&local, &x);
	return x;
}

static __noinline u64 *third(struct bpf_dynptr *which)
{
	struct bpf_dynptr clone;
	bpf_dynptr_clone(which, &clone);
	return bpf_dynptr_data(&clone, 0, 8);
}

SEC("raw_tp")
ACCEPT int slice_of_a_gone_clone(void *ctx)
{
	struct bpf_dynptr local;
	u64 *x;
	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	x = third(&local);
	return x ? *x : 0;
}
