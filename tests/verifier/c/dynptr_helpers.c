/* Dynptrs over ring buffer records and map values: where they may lie, what destroys them, what is left of a slice. */
#include "expect.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct value {
	__u64 a, b, c;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct value);
} values SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bpf_dynptr);
} stored SEC(".maps");

__u64 global[4];

SEC("raw_tp")
ACCEPT int reserve_and_submit(void *ctx)
{
	struct bpf_dynptr record;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	bpf_ringbuf_submit_dynptr(&record, 0);
	return 0;
}

SEC("raw_tp")
ACCEPT int reserve_and_discard(void *ctx)
{
	struct bpf_dynptr record;

	if (bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record)) {
		bpf_ringbuf_discard_dynptr(&record, 0);
		return 1;
	}
	bpf_ringbuf_discard_dynptr(&record, 0);
	return 0;
}

SEC("raw_tp")
ACCEPT int record_of_unknown_size(void *ctx)
{
	struct bpf_dynptr record;

	bpf_ringbuf_reserve_dynptr(&ring, bpf_get_prandom_u32(), 0, &record);
	bpf_ringbuf_submit_dynptr(&record, 0);
	return 0;
}

SEC("raw_tp")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int record_kept(void *ctx)
{
	struct bpf_dynptr record;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	return 0;
}

SEC("raw_tp")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int record_kept_on_failure(void *ctx)
{
	struct bpf_dynptr record;

	if (bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record))
		return 1;
	bpf_ringbuf_discard_dynptr(&record, 0);
	return 0;
}

SEC("raw_tp")
REJECT("arg 1 is an unacquired reference") int submitted_twice(void *ctx)
{
	struct bpf_dynptr record;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	bpf_ringbuf_submit_dynptr(&record, 0);
	bpf_ringbuf_submit_dynptr(&record, 0);
	return 0;
}

SEC("raw_tp")
REJECT("arg 1 is an unacquired reference") int submitted_without_reserving(void *ctx)
{
	struct bpf_dynptr record;

	bpf_ringbuf_submit_dynptr(&record, 0);
	return 0;
}

SEC("raw_tp")
REJECT("arg 1 is an unacquired reference") int local_one_submitted(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	bpf_ringbuf_submit_dynptr(&local, 0);
	return 0;
}

SEC("raw_tp")
REJECT("cannot overwrite referenced dynptr") int reserved_over_another(void *ctx)
{
	struct bpf_dynptr record;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	bpf_ringbuf_submit_dynptr(&record, 0);
	return 0;
}

SEC("raw_tp")
ACCEPT int local_over_local(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	bpf_dynptr_from_mem(global, 8, 0, &local);
	return 0;
}

SEC("raw_tp")
ACCEPT int record_over_local(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &local);
	bpf_ringbuf_submit_dynptr(&local, 0);
	return 0;
}

SEC("raw_tp")
REJECT("Expected an initialized dynptr as arg #2") int read_uninitialised(void *ctx)
{
	struct bpf_dynptr none;
	__u64 to;

	return bpf_dynptr_read(&to, sizeof(to), &none, 0, 0);
}

SEC("raw_tp")
ACCEPT int read_and_write(void *ctx)
{
	struct bpf_dynptr local;
	__u64 to = 1;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	bpf_dynptr_write(&local, 8, &to, sizeof(to), 0);
	bpf_dynptr_read(&to, sizeof(to), &local, 8, 0);
	return to;
}

SEC("raw_tp")
REJECT("potential write to dynptr at off=-16 disallowed") int read_over_itself(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	bpf_dynptr_read(&local, sizeof(local), &local, 0, 0);
	return 0;
}

SEC("raw_tp")
REJECT("potential write to dynptr at off=-16 disallowed") int read_over_a_neighbour(void *ctx)
{
	struct {
		char bytes[16];
		struct bpf_dynptr local;
	} both;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &both.local);
	bpf_dynptr_read(both.bytes, 24, &both.local, 0, 0);
	return 0;
}

SEC("raw_tp")
REJECT("invalid read from stack R1 off -16+0 size 7") int read_some_over_itself(void *ctx)
{
	struct bpf_dynptr local;
	__u32 size = bpf_get_prandom_u32() & 7;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	bpf_dynptr_read(&local, size, &local, 0, 0);
	return 0;
}

SEC("raw_tp")
REJECT("invalid read from stack R3 off -16+0 size 16") int written_from_itself(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	bpf_dynptr_write(&local, 0, &local, sizeof(local), 0);
	return 0;
}

SEC("raw_tp")
REJECT("Unsupported reg type fp for bpf_dynptr_from_mem data") int from_stack_memory(void *ctx)
{
	struct bpf_dynptr local;
	__u64 memory = 0;

	bpf_dynptr_from_mem(&memory, sizeof(memory), 0, &local);
	return 0;
}

SEC("raw_tp")
REJECT("R1 type=map_value_or_null expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_") int from_a_value_that_may_be_null(void *ctx)
{
	struct bpf_dynptr local;
	__u32 key = bpf_get_prandom_u32();
	struct value *value = bpf_map_lookup_elem(&values, &key);

	bpf_dynptr_from_mem(value, sizeof(*value), 0, &local);
	return 0;
}

SEC("raw_tp")
REJECT("R1 min value is outside of the allowed memory range") int from_more_than_a_value(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global) + 1, 0, &local);
	return 0;
}

SEC("raw_tp")
ACCEPT int from_nothing_of_a_value(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, 0, 0, &local);
	return 0;
}

SEC("raw_tp")
REJECT("Unsupported reg type ringbuf_mem for bpf_dynptr_from_mem data") int from_a_record(void *ctx)
{
	struct bpf_dynptr local;
	void *record = bpf_ringbuf_reserve(&ring, 16, 0);

	if (!record)
		return 0;
	bpf_dynptr_from_mem(record, 16, 0, &local);
	bpf_ringbuf_submit(record, 0);
	return 0;
}

SEC("raw_tp")
REJECT("R4 type=map_value expected=fp, dynptr_ptr") int made_in_a_map_value(void *ctx)
{
	__u32 key = 0;
	struct bpf_dynptr *there = bpf_map_lookup_elem(&stored, &key);

	if (!there)
		return 0;
	bpf_dynptr_from_mem(global, sizeof(global), 0, there);
	return 0;
}

SEC("raw_tp")
ACCEPT int slice_of_a_record(void *ctx)
{
	struct bpf_dynptr record;
	__u64 *slice;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	slice = bpf_dynptr_data(&record, 0, 16);
	if (slice)
		slice[1] = 1;
	bpf_ringbuf_submit_dynptr(&record, 0);
	return 0;
}

SEC("raw_tp")
REJECT("R0 invalid mem access 'mem_or_null'") int slice_not_checked(void *ctx)
{
	struct bpf_dynptr record;
	__u64 *slice;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	slice = bpf_dynptr_data(&record, 0, 16);
	slice[1] = 1;
	bpf_ringbuf_submit_dynptr(&record, 0);
	return 0;
}

SEC("raw_tp")
REJECT("R0 min value is outside of the allowed memory range") int behind_a_slice(void *ctx)
{
	struct bpf_dynptr record;
	__u64 *slice;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	slice = bpf_dynptr_data(&record, 0, 16);
	if (slice)
		slice[2] = 1;
	bpf_ringbuf_submit_dynptr(&record, 0);
	return 0;
}

SEC("raw_tp")
REJECT("R3 is not a known constant'") int slice_of_unknown_size(void *ctx)
{
	struct bpf_dynptr record;
	__u64 *slice;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	slice = bpf_dynptr_data(&record, 0, bpf_get_prandom_u32());
	if (slice)
		slice[0] = 1;
	bpf_ringbuf_submit_dynptr(&record, 0);
	return 0;
}

SEC("raw_tp")
REJECT("R6 invalid mem access 'scalar'") int slice_used_after_submitting(void *ctx)
{
	struct bpf_dynptr record;
	__u64 *slice;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	slice = bpf_dynptr_data(&record, 0, 16);
	if (!slice) {
		bpf_ringbuf_submit_dynptr(&record, 0);
		return 0;
	}
	bpf_ringbuf_submit_dynptr(&record, 0);
	slice[0] = 1;
	return 0;
}

SEC("raw_tp")
REJECT("R1 type=mem expected=ringbuf_mem") int slice_submitted(void *ctx)
{
	struct bpf_dynptr record;
	__u64 *slice;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	slice = bpf_dynptr_data(&record, 0, 16);
	if (!slice) {
		bpf_ringbuf_submit_dynptr(&record, 0);
		return 0;
	}
	bpf_ringbuf_submit(slice, 0);
	return 0;
}

SEC("raw_tp")
REJECT("R6 invalid mem access 'scalar'") int slice_used_after_overwriting(void *ctx)
{
	struct bpf_dynptr local;
	__u64 *slice;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	slice = bpf_dynptr_data(&local, 0, 16);
	if (!slice)
		return 0;
	bpf_dynptr_from_mem(global, 8, 0, &local);
	return slice[0];
}

SEC("raw_tp")
ACCEPT int slice_of_another_kept(void *ctx)
{
	struct bpf_dynptr local, other;
	__u64 *slice;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	bpf_dynptr_from_mem(global, sizeof(global), 0, &other);
	slice = bpf_dynptr_data(&local, 0, 16);
	if (!slice)
		return 0;
	bpf_dynptr_from_mem(global, 8, 0, &other);
	return slice[0];
}

SEC("raw_tp")
REJECT("R1 invalid mem access 'scalar'") int spilled_slice_used_after_submitting(void *ctx)
{
	struct bpf_dynptr record;
	__u64 *volatile slice;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	slice = bpf_dynptr_data(&record, 0, 16);
	bpf_ringbuf_submit_dynptr(&record, 0);
	return *slice;
}

SEC("raw_tp")
ACCEPT int slice_of_zero_bytes(void *ctx)
{
	struct bpf_dynptr local;
	__u64 *slice;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	slice = bpf_dynptr_data(&local, 0, 0);
	return slice != 0;
}

SEC("raw_tp")
REJECT("R0 min value is outside of the allowed memory range") int zero_bytes_of_a_slice_read(void *ctx)
{
	struct bpf_dynptr local;
	__u64 *slice;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	slice = bpf_dynptr_data(&local, 0, 0);
	return slice ? *(char *)slice : 0;
}

SEC("raw_tp")
REJECT("invalid read from stack off -16+0 size 8") int loaded_from(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	return *(volatile __u64 *)&local;
}

SEC("raw_tp")
REJECT("invalid read from stack off -5+0 size 1") int byte_loaded_from(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	return *((volatile __u8 *)&local + 11);
}

SEC("raw_tp")
REJECT("invalid read from stack R7 var_off (0x0; 0x8)+0 size 1") int loaded_from_somewhere(void *ctx)
{
	struct bpf_dynptr local;
	__u32 at = bpf_get_prandom_u32() & 8;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	return *((volatile __u8 *)&local + at);
}

SEC("raw_tp")
ACCEPT int stored_over(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	*(volatile __u64 *)&local = 1;
	return 0;
}

SEC("raw_tp")
REJECT("Expected an initialized dynptr as arg #2") int stored_over_and_read(void *ctx)
{
	struct bpf_dynptr local;
	__u64 to;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	*((volatile __u8 *)&local + 12) = 1;
	bpf_dynptr_read(&to, sizeof(to), &local, 0, 0);
	return 0;
}

SEC("raw_tp")
ACCEPT int half_left_of_one(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	*((volatile __u8 *)&local + 12) = 1;
	return *(volatile __u64 *)&local;
}

SEC("raw_tp")
REJECT("cannot overwrite referenced dynptr") int record_stored_over(void *ctx)
{
	struct bpf_dynptr record;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	*(volatile __u64 *)&record = 1;
	bpf_ringbuf_submit_dynptr(&record, 0);
	return 0;
}

SEC("raw_tp")
ACCEPT int stored_somewhere(void *ctx)
{
	struct {
		struct bpf_dynptr local;
		__u64 more;
	} both;
	__u32 at = bpf_get_prandom_u32() & 16;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &both.local);
	*((volatile __u8 *)&both + at) = 1;
	return 0;
}

SEC("raw_tp")
REJECT("cannot overwrite referenced dynptr") int record_stored_over_somewhere(void *ctx)
{
	struct {
		struct bpf_dynptr record;
		__u64 more;
	} both;
	__u32 at = bpf_get_prandom_u32() & 16;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &both.record);
	*((volatile __u8 *)&both + at) = 1;
	bpf_ringbuf_submit_dynptr(&both.record, 0);
	return 0;
}

SEC("raw_tp")
REJECT("Expected an initialized dynptr as arg #2") int stored_somewhere_and_read(void *ctx)
{
	struct {
		struct bpf_dynptr local;
		__u64 more;
	} both;
	__u32 at = bpf_get_prandom_u32() & 16;
	__u64 to;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &both.local);
	*((volatile __u8 *)&both + at) = 1;
	bpf_dynptr_read(&to, sizeof(to), &both.local, 0, 0);
	return 0;
}

SEC("raw_tp")
REJECT("Dynptr has to be an uninitialized dynptr") int at_an_offset_of_four(void *ctx)
{
	struct bpf_dynptr two[2];

	bpf_dynptr_from_mem(global, sizeof(global), 0, (void *)two + 4);
	return 0;
}

SEC("raw_tp")
REJECT("Expected an initialized dynptr as arg #2") int second_half_passed(void *ctx)
{
	struct bpf_dynptr local;
	__u64 to;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	bpf_dynptr_read(&to, sizeof(to), (void *)&local + 8, 0, 0);
	return 0;
}

SEC("raw_tp")
REJECT("Dynptr has to be an uninitialized dynptr") int at_a_varying_offset(void *ctx)
{
	struct bpf_dynptr two[2];
	__u32 at = bpf_get_prandom_u32() & 1;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &two[at]);
	return 0;
}

SEC("raw_tp")
REJECT("Expected an initialized dynptr as arg #2") int read_at_a_varying_offset(void *ctx)
{
	struct bpf_dynptr two[2];
	__u32 at = bpf_get_prandom_u32() & 1;
	__u64 to;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &two[0]);
	bpf_dynptr_from_mem(global, sizeof(global), 0, &two[1]);
	bpf_dynptr_read(&to, sizeof(to), &two[at], 0, 0);
	return 0;
}

SEC("raw_tp")
REJECT("Expected an initialized dynptr as arg #2") int read_at_an_offset_of_four(void *ctx)
{
	struct bpf_dynptr two[2];
	__u64 to;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &two[0]);
	bpf_dynptr_from_mem(global, sizeof(global), 0, &two[1]);
	bpf_dynptr_read(&to, sizeof(to), (void *)two + 4, 0, 0);
	return 0;
}

SEC("raw_tp")
REJECT("invalid read from stack R3 off -16+0 size 16") int passed_as_memory(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	return bpf_map_update_elem(&stored, &(__u32){0}, &local, 0);
}

SEC("raw_tp")
REJECT("invalid read from stack R2 off -16+0 size 4") int passed_as_key(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	return bpf_map_lookup_elem(&values, &local) != 0;
}

SEC("raw_tp")
REJECT("potential write to dynptr at off=-16 disallowed") int overwritten_by_a_helper(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	bpf_get_current_comm(&local, sizeof(local));
	return 0;
}

SEC("raw_tp")
REJECT("invalid read from stack off -16+0 size 8") int atomically_changed(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	__sync_fetch_and_add((__u64 *)&local, 1);
	return 0;
}

static __attribute__((noinline)) int submits(struct bpf_dynptr *record)
{
	bpf_ringbuf_submit_dynptr(record, 0);
	return 0;
}

SEC("raw_tp")
ACCEPT int submitted_by_a_function(void *ctx)
{
	struct bpf_dynptr record;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	return submits(&record);
}

static __attribute__((noinline)) int overwrites(struct bpf_dynptr *record)
{
	*(volatile __u64 *)record = 0;
	return 0;
}

SEC("raw_tp")
REJECT("Expected an initialized dynptr as arg #2") int overwritten_by_a_function(void *ctx)
{
	struct bpf_dynptr local;
	__u64 to;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	overwrites(&local);
	return bpf_dynptr_read(&to, sizeof(to), &local, 0, 0);
}

static __attribute__((noinline)) __u64 *cuts(struct bpf_dynptr *from)
{
	return bpf_dynptr_data(from, 0, 8);
}

SEC("raw_tp")
ACCEPT int slice_from_a_function(void *ctx)
{
	struct bpf_dynptr local;
	__u64 *slice;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	slice = cuts(&local);
	return slice ? *slice : 0;
}

static __attribute__((noinline)) int reserves(void)
{
	struct bpf_dynptr record;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	return 0;
}

SEC("raw_tp")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int kept_by_a_function(void *ctx)
{
	reserves();
	return 0;
}

SEC("raw_tp")
REJECT("cannot pass map_type 2 into func bpf_ringbuf_reserve_dynptr#198") int reserved_with_another_map(void *ctx)
{
	struct bpf_dynptr record;

	bpf_ringbuf_reserve_dynptr((void *)&values, 64, 0, &record);
	return 0;
}

SEC("raw_tp")
REJECT("Expected an initialized dynptr as arg #2") int made_on_some_paths(void *ctx)
{
	struct bpf_dynptr local;
	__u64 to;

	if (bpf_get_prandom_u32() & 1)
		bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	bpf_dynptr_read(&to, sizeof(to), &local, 0, 0);
	return 0;
}

SEC("raw_tp")
REJECT("arg 1 is an unacquired reference") int different_ones_on_two_paths(void *ctx)
{
	struct bpf_dynptr either;
	__u64 to;

	if (bpf_get_prandom_u32() & 1)
		bpf_dynptr_from_mem(global, sizeof(global), 0, &either);
	else
		bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &either);
	bpf_dynptr_read(&to, sizeof(to), &either, 0, 0);
	bpf_ringbuf_submit_dynptr(&either, 0);
	return 0;
}

SEC("raw_tp")
REJECT("infinite loop detected at insn 19") int reserved_in_a_loop(void *ctx)
{
	struct bpf_dynptr record;
	int i;

	for (i = 0; i < 10; i++) {
		bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
		bpf_dynptr_write(&record, 0, &i, sizeof(i), 0);
		bpf_ringbuf_submit_dynptr(&record, 0);
	}
	return 0;
}

SEC("raw_tp")
ACCEPT int read_into_a_slice_of_itself(void *ctx)
{
	struct bpf_dynptr record;
	void *slice;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	slice = bpf_dynptr_data(&record, 0, 16);
	if (slice)
		bpf_dynptr_read(slice, 16, &record, 16, 0);
	bpf_ringbuf_submit_dynptr(&record, 0);
	return 0;
}

SEC("raw_tp")
REJECT("R3 type=scalar expected=fp, dynptr_ptr") int number_passed(void *ctx)
{
	__u64 to;

	return bpf_dynptr_read(&to, sizeof(to), (void *)1, 0, 0);
}

SEC("raw_tp")
REJECT("R3 type=ctx expected=fp, dynptr_ptr") int context_passed(void *ctx)
{
	__u64 to;

	return bpf_dynptr_read(&to, sizeof(to), ctx, 0, 0);
}

SEC("raw_tp")
REJECT("Dynptr has to be an uninitialized dynptr") int outside_of_the_stack(void *ctx)
{
	__u64 last;

	return bpf_dynptr_from_mem(global, sizeof(global), 0, (void *)&last + 8);
}

SEC("raw_tp")
REJECT("Dynptr has to be an uninitialized dynptr") int half_outside_of_the_stack(void *ctx)
{
	char last[8] __attribute__((aligned(8)));

	return bpf_dynptr_from_mem(global, sizeof(global), 0, (void *)last);
}

/* What a slice is added to does not know of the record, and outlives it. */
SEC("raw_tp")
ACCEPT int slice_added_to_a_number(void *ctx)
{
	struct bpf_dynptr record;
	__u64 *slice, *other;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	slice = bpf_dynptr_data(&record, 0, 16);
	if (!slice) {
		bpf_ringbuf_discard_dynptr(&record, 0);
		return 0;
	}
	asm volatile("%[other] = 8; %[other] += %[slice]" : [other] "=&r"(other) : [slice] "r"(slice));
	bpf_ringbuf_discard_dynptr(&record, 0);
	return *(volatile __u64 *)other & 0;
}

SEC("raw_tp")
REJECT("R1 invalid mem access 'scalar'") int number_added_to_a_slice(void *ctx)
{
	struct bpf_dynptr record;
	__u64 *slice, got;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	slice = bpf_dynptr_data(&record, 0, 16);
	if (!slice) {
		bpf_ringbuf_discard_dynptr(&record, 0);
		return 0;
	}
	slice++;
	bpf_ringbuf_discard_dynptr(&record, 0);
	asm volatile("r1 = %[slice]; %[got] = *(u64 *)(r1 + 0)" : [got] "=r"(got) : [slice] "r"(slice) : "r1");
	return got & 0;
}
