/* bpf_user_ringbuf_drain: its callback is given a dynptr of the kernel's own, which it may read and cut but not change. */
#include "on_stack.h"

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 4096);
} samples SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

u64 global[4];

static long reads(struct bpf_dynptr *sample, void *data)
{
	u64 value = 0;

	bpf_dynptr_read(&value, sizeof(value), sample, 0, 0);
	global[0] += value;
	return 0;
}

SEC("raw_tp")
ACCEPT int read(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, reads, 0, 0);
}

static long cuts(struct bpf_dynptr *sample, void *data)
{
	u64 *slice = bpf_dynptr_data(sample, 0, 8);

	if (slice)
		global[0] = *slice;
	return 0;
}

SEC("raw_tp")
ACCEPT int cut(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, cuts, 0, 0);
}

static long cuts_unchecked(struct bpf_dynptr *sample, void *data)
{
	u64 *slice = bpf_dynptr_data(sample, 0, 8);

	global[0] = *slice;
	return 0;
}

SEC("raw_tp")
REJECT("R0 invalid mem access 'mem_or_null'") int cut_unchecked(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, cuts_unchecked, 0, 0);
}

static long writes(struct bpf_dynptr *sample, void *data)
{
	u64 value = 1;

	return bpf_dynptr_write(sample, 0, &value, sizeof(value), 0) ? 1 : 0;
}

SEC("raw_tp")
ACCEPT int written(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, writes, 0, 0);
}

static long discards(struct bpf_dynptr *sample, void *data)
{
	bpf_ringbuf_discard_dynptr(sample, 0);
	return 0;
}

SEC("raw_tp")
REJECT("cannot release unowned const bpf_dynptr") int discarded(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, discards, 0, 0);
}

static long submits(struct bpf_dynptr *sample, void *data)
{
	bpf_ringbuf_submit_dynptr(sample, 0);
	return 0;
}

SEC("raw_tp")
REJECT("cannot release unowned const bpf_dynptr") int submitted(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, submits, 0, 0);
}

static long looks_below(struct bpf_dynptr *sample, void *data)
{
	*(volatile u32 *)((char *)sample - 4);
	return 0;
}

SEC("raw_tp")
REJECT("R1 invalid mem access 'dynptr_ptr'") int looked_below(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, looks_below, 0, 0);
}

static long looks_into(struct bpf_dynptr *sample, void *data)
{
	*(volatile u32 *)sample;
	return 0;
}

SEC("raw_tp")
REJECT("R1 invalid mem access 'dynptr_ptr'") int looked_into(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, looks_into, 0, 0);
}

static long writes_into(struct bpf_dynptr *sample, void *data)
{
	*(volatile u32 *)sample = 0;
	return 0;
}

SEC("raw_tp")
REJECT("R1 invalid mem access 'dynptr_ptr'") int written_into(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, writes_into, 0, 0);
}

static long moves_up(struct bpf_dynptr *sample, void *data)
{
	u64 value;

	bpf_dynptr_read(&value, 8, (void *)sample + 8, 0, 0);
	return 0;
}

SEC("raw_tp")
REJECT("dereference of modified dynptr_ptr ptr R3 off=8 disallowed") int moved_up(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, moves_up, 0, 0);
}

static long moves_down(struct bpf_dynptr *sample, void *data)
{
	u64 value;

	bpf_dynptr_read(&value, 8, (void *)sample - 8, 0, 0);
	return 0;
}

SEC("raw_tp")
REJECT("negative offset dynptr_ptr ptr R3 off=-8 disallowed") int moved_down(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, moves_down, 0, 0);
}

static long overwrites(struct bpf_dynptr *sample, void *data)
{
	bpf_dynptr_from_mem(global, 8, 0, sample);
	return 0;
}

SEC("raw_tp")
REJECT("Dynptr has to be an uninitialized dynptr") int overwritten(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, overwrites, 0, 0);
}

static long reserves_over(struct bpf_dynptr *sample, void *data)
{
	bpf_ringbuf_reserve_dynptr(&ring, 8, 0, sample);
	return 0;
}

SEC("raw_tp")
REJECT("Dynptr has to be an uninitialized dynptr") int reserved_over(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, reserves_over, 0, 0);
}

static long returns_much(struct bpf_dynptr *sample, void *data)
{
	return 2;
}

SEC("raw_tp")
REJECT("At callback return the register R0 has smin=2 smax=2 should have been in [0, 1]") int two_returned(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, returns_much, 0, 0);
}

static long returns_anything(struct bpf_dynptr *sample, void *data)
{
	return bpf_ktime_get_ns();
}

SEC("raw_tp")
REJECT("At callback return the register R0 has unknown scalar value should have been in [0, 1]") int anything_returned(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, returns_anything, 0, 0);
}

static long stops(struct bpf_dynptr *sample, void *data)
{
	return bpf_get_prandom_u32() & 1;
}

SEC("raw_tp")
ACCEPT int stopped(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, stops, 0, 0);
}

static long uses_data(struct bpf_dynptr *sample, u64 *data)
{
	return bpf_dynptr_read(data, sizeof(*data), sample, 0, 0) ? 1 : 0;
}

SEC("raw_tp")
ACCEPT int data_passed(void *ctx)
{
	u64 value = 0;

	bpf_user_ringbuf_drain(&samples, uses_data, &value, 0);
	return value;
}

SEC("raw_tp")
REJECT("R1 type=scalar expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_") int no_data_passed(void *ctx)
{
	bpf_user_ringbuf_drain(&samples, uses_data, 0, 0);
	return 0;
}

SEC("raw_tp")
REJECT("R3 type=map_value expected=fp") int map_value_passed(void *ctx)
{
	bpf_user_ringbuf_drain(&samples, uses_data, global, 0);
	return 0;
}

static long uses_a_third(struct bpf_dynptr *sample, void *data, u64 more)
{
	return more;
}

SEC("raw_tp")
REJECT("R3 !read_ok") int third_argument_used(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, (void *)uses_a_third, 0, 0);
}

SEC("raw_tp")
REJECT("cannot pass map_type 27 into func bpf_user_ringbuf_drain#209") int drained_the_other_kind(void *ctx)
{
	return bpf_user_ringbuf_drain(&ring, reads, 0, 0);
}

SEC("raw_tp")
REJECT("cannot pass map_type 31 into func bpf_ringbuf_output#130") int not_drained_but_filled(void *ctx)
{
	return bpf_ringbuf_output(&samples, global, sizeof(global), 0);
}

static long clones(struct bpf_dynptr *sample, void *data)
{
	struct bpf_dynptr clone;
	u64 value = 0;

	bpf_dynptr_clone(sample, &clone);
	bpf_dynptr_adjust(&clone, 1, 2);
	bpf_dynptr_read(&value, sizeof(value), &clone, 0, 0);
	return 0;
}

SEC("raw_tp")
ACCEPT int cloned(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, clones, 0, 0);
}

static long keeps_a_record(struct bpf_dynptr *sample, void *data)
{
	struct bpf_dynptr record;

	bpf_ringbuf_reserve_dynptr(&ring, 8, 0, &record);
	return 0;
}

SEC("raw_tp")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int record_kept(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, keeps_a_record, 0, 0);
}

static long forwards(struct bpf_dynptr *sample, void *data)
{
	struct bpf_dynptr record;
	u64 *slice = bpf_dynptr_data(sample, 0, 8);

	if (!slice)
		return 1;
	bpf_ringbuf_reserve_dynptr(&ring, 8, 0, &record);
	bpf_dynptr_write(&record, 0, slice, 8, 0);
	bpf_ringbuf_submit_dynptr(&record, 0);
	return 0;
}

SEC("raw_tp")
ACCEPT int forwarded(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, forwards, 0, 0);
}

static int loops(u32 index, struct bpf_dynptr *local)
{
	u64 value = index;

	bpf_dynptr_write(local, index * 8, &value, sizeof(value), 0);
	return 0;
}

SEC("raw_tp")
ACCEPT int dynptr_passed_to_bpf_loop(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	bpf_loop(4, loops, &local, 0);
	return 0;
}

static int voids(u32 index, struct bpf_dynptr *local)
{
	*(volatile u64 *)local = 0;
	return 0;
}

SEC("raw_tp")
REJECT("Expected an initialized dynptr as arg #0") int dynptr_voided_in_bpf_loop(void *ctx)
{
	struct bpf_dynptr local;
	u64 value = 0;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	bpf_loop(4, voids, &local, 0);
	bpf_dynptr_write(&local, 0, &value, sizeof(value), 0);
	return 0;
}

static int submits_in_loop(u32 index, struct bpf_dynptr *record)
{
	bpf_ringbuf_submit_dynptr(record, 0);
	return 1;
}

SEC("raw_tp")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int record_submitted_in_bpf_loop(void *ctx)
{
	struct bpf_dynptr record;

	bpf_ringbuf_reserve_dynptr(&ring, 8, 0, &record);
	bpf_loop(1, submits_in_loop, &record, 0);
	return 0;
}

static int makes_in_loop(u32 index, struct bpf_dynptr *local)
{
	bpf_dynptr_from_mem(global, sizeof(global), 0, local);
	return 0;
}

SEC("raw_tp")
REJECT("Expected an initialized dynptr as arg #0") int dynptr_made_in_bpf_loop(void *ctx)
{
	struct bpf_dynptr local;
	u64 value = 0;

	bpf_loop(4, makes_in_loop, &local, 0);
	bpf_dynptr_write(&local, 0, &value, sizeof(value), 0);
	return 0;
}

SEC("raw_tp")
ACCEPT int dynptr_made_again_in_bpf_loop(void *ctx)
{
	struct bpf_dynptr local;
	u64 value = 0;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	bpf_loop(4, makes_in_loop, &local, 0);
	bpf_dynptr_write(&local, 0, &value, sizeof(value), 0);
	return 0;
}

__attribute__((noinline, weak)) int takes_dynptr(struct bpf_dynptr *sample)
{
	u64 value = 0;

	return bpf_dynptr_read(&value, sizeof(value), sample, 0, 0);
}

static long passes_on(struct bpf_dynptr *sample, void *data)
{
	takes_dynptr(sample);
	return 0;
}

SEC("raw_tp")
ACCEPT int pass_on(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, passes_on, 0, 0);
}

static long passes_next(struct bpf_dynptr *sample, void *data)
{
	takes_dynptr(sample + 1);
	return 0;
}

SEC("raw_tp")
REJECT("Caller passes invalid args into func#2 ('takes_dynptr')") int pass_next(void *ctx)
{
	return bpf_user_ringbuf_drain(&samples, passes_next, 0, 0);
}
