/* Dynptrs over packets, and the kernel functions that cut, clone, shrink and compare dynptrs. */
#include "on_stack.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

u64 global[4];

SEC("tc")
ACCEPT int packet_slice(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	u64 buffer[2];
	u64 *slice;

	if (bpf_dynptr_from_skb(skb, 0, &packet))
		return 0;
	slice = bpf_dynptr_slice(&packet, 0, buffer, sizeof(buffer));
	return slice ? slice[1] : 0;
}

SEC("tc")
ACCEPT int packet_slice_without_looking(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	u64 buffer[2];
	u64 *slice;

	bpf_dynptr_from_skb(skb, 0, &packet);
	slice = bpf_dynptr_slice(&packet, 0, buffer, sizeof(buffer));
	return slice ? slice[1] : 0;
}

SEC("tc")
REJECT("R0 invalid mem access 'rdonly_mem_or_null'") int slice_not_checked(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	u64 buffer[2];
	u64 *slice;

	bpf_dynptr_from_skb(skb, 0, &packet);
	slice = bpf_dynptr_slice(&packet, 0, buffer, sizeof(buffer));
	return slice[1];
}

SEC("tc")
REJECT("R0 min value is outside of the allowed memory range") int behind_a_slice(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	u64 buffer[2];
	u64 *slice;

	bpf_dynptr_from_skb(skb, 0, &packet);
	slice = bpf_dynptr_slice(&packet, 0, buffer, sizeof(buffer));
	return slice ? slice[2] : 0;
}

SEC("tc")
REJECT("R0 cannot write into rdonly_mem") int slice_written(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	u64 buffer[2];
	u64 *slice;

	bpf_dynptr_from_skb(skb, 0, &packet);
	slice = bpf_dynptr_slice(&packet, 0, buffer, sizeof(buffer));
	if (slice)
		slice[0] = 1;
	return 0;
}

SEC("tc")
ACCEPT int writable_slice_written(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	u64 buffer[2];
	u64 *slice;

	bpf_dynptr_from_skb(skb, 0, &packet);
	slice = bpf_dynptr_slice_rdwr(&packet, 0, buffer, sizeof(buffer));
	if (slice)
		slice[0] = 1;
	return 0;
}

SEC("cgroup_skb/ingress")
REJECT("the prog does not allow writes to packet data") int writable_slice_where_packets_are_not(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	u64 buffer[2];
	u64 *slice;

	bpf_dynptr_from_skb(skb, 0, &packet);
	slice = bpf_dynptr_slice_rdwr(&packet, 0, buffer, sizeof(buffer));
	if (slice)
		slice[0] = 1;
	return 1;
}

SEC("cgroup_skb/ingress")
ACCEPT int readable_slice_where_packets_are_not_written(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	u64 buffer[2];
	u64 *slice;

	bpf_dynptr_from_skb(skb, 0, &packet);
	slice = bpf_dynptr_slice(&packet, 0, buffer, sizeof(buffer));
	return slice ? slice[0] & 1 : 1;
}

SEC("tc")
ACCEPT int slice_without_a_buffer(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	u64 *slice;

	bpf_dynptr_from_skb(skb, 0, &packet);
	slice = bpf_dynptr_slice(&packet, 0, 0, 16);
	return slice ? slice[1] : 0;
}

SEC("tc")
ACCEPT int slice_with_an_uninitialised_buffer_of_a_map(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	u64 *slice;

	bpf_dynptr_from_skb(skb, 0, &packet);
	slice = bpf_dynptr_slice(&packet, 0, global, sizeof(global));
	return slice ? slice[1] : 0;
}

SEC("tc")
REJECT("arg#2 arg#3 memory, len pair leads to invalid memory access") int slice_larger_than_its_buffer(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	u64 *slice;

	bpf_dynptr_from_skb(skb, 0, &packet);
	slice = bpf_dynptr_slice(&packet, 0, global, sizeof(global) + 1);
	return slice ? slice[1] : 0;
}

SEC("tc")
REJECT("R4 must be a known constant") int slice_of_unknown_size(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	u64 buffer[2];
	u64 *slice;

	bpf_dynptr_from_skb(skb, 0, &packet);
	slice = bpf_dynptr_slice(&packet, 0, buffer, skb->len & 15);
	return slice ? slice[1] : 0;
}

SEC("tc")
REJECT("R4 must be a known constant") int slice_of_unknown_size_without_a_buffer(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	u64 *slice;

	bpf_dynptr_from_skb(skb, 0, &packet);
	slice = bpf_dynptr_slice(&packet, 0, 0, skb->len & 15);
	return slice ? slice[1] : 0;
}

SEC("tc")
ACCEPT int slice_of_no_bytes(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	u64 buffer[2];

	bpf_dynptr_from_skb(skb, 0, &packet);
	return bpf_dynptr_slice(&packet, 0, buffer, 0) != 0;
}

SEC("tc")
REJECT("Expected an initialized dynptr as arg #0") int slice_of_no_dynptr(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	u64 buffer[2];

	return bpf_dynptr_slice(&packet, 0, buffer, 16) != 0;
}

SEC("tc")
REJECT("R8 invalid mem access 'scalar'") int slice_after_the_packet_moved(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	u64 buffer[2];
	u64 *slice;

	bpf_dynptr_from_skb(skb, 0, &packet);
	slice = bpf_dynptr_slice(&packet, 0, buffer, sizeof(buffer));
	if (!slice)
		return 0;
	bpf_skb_pull_data(skb, 16);
	return slice[0];
}

SEC("tc")
REJECT("R6 invalid mem access 'scalar'") int slice_after_a_write(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	u64 buffer[2] = {};
	u64 *slice;

	bpf_dynptr_from_skb(skb, 0, &packet);
	slice = bpf_dynptr_slice(&packet, 0, buffer, sizeof(buffer));
	if (!slice)
		return 0;
	bpf_dynptr_write(&packet, 0, buffer, sizeof(buffer), 0);
	return slice[0];
}

SEC("tc")
REJECT("R6 invalid mem access 'scalar'") int packet_after_a_write(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	u64 buffer[2] = {};
	char *data = (char *)(long)skb->data, *end = (char *)(long)skb->data_end;

	bpf_dynptr_from_skb(skb, 0, &packet);
	if (data + 1 > end)
		return 0;
	bpf_dynptr_write(&packet, 0, buffer, sizeof(buffer), 0);
	return data[0];
}

SEC("tc")
ACCEPT int packet_after_a_write_of_a_local_one(struct __sk_buff *skb)
{
	struct bpf_dynptr local;
	u64 buffer[2] = {};
	char *data = (char *)(long)skb->data, *end = (char *)(long)skb->data_end;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	if (data + 1 > end)
		return 0;
	bpf_dynptr_write(&local, 0, buffer, sizeof(buffer), 0);
	return data[0];
}

SEC("tc")
ACCEPT int slice_of_a_local_one_after_the_packet_moved(struct __sk_buff *skb)
{
	struct bpf_dynptr local;
	u64 buffer[2];
	u64 *slice;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	slice = bpf_dynptr_slice(&local, 0, buffer, sizeof(buffer));
	if (!slice)
		return 0;
	bpf_skb_pull_data(skb, 16);
	return slice[0];
}

SEC("xdp")
ACCEPT int xdp_slice_after_a_write(struct xdp_md *xdp)
{
	struct bpf_dynptr packet;
	u64 buffer[2] = {};
	u64 *slice;

	bpf_dynptr_from_xdp(xdp, 0, &packet);
	slice = bpf_dynptr_slice(&packet, 0, buffer, sizeof(buffer));
	if (!slice)
		return 0;
	bpf_dynptr_write(&packet, 0, buffer, sizeof(buffer), 0);
	return slice[0] & 1;
}

SEC("xdp")
REJECT("R8 invalid mem access 'scalar'") int xdp_slice_after_the_packet_moved(struct xdp_md *xdp)
{
	struct bpf_dynptr packet;
	u64 buffer[2] = {};
	u64 *slice;

	bpf_dynptr_from_xdp(xdp, 0, &packet);
	slice = bpf_dynptr_slice(&packet, 0, buffer, sizeof(buffer));
	if (!slice)
		return 0;
	bpf_xdp_adjust_head(xdp, 16);
	return slice[0] & 1;
}

SEC("xdp")
ACCEPT int xdp_slice_written(struct xdp_md *xdp)
{
	struct bpf_dynptr packet;
	u64 buffer[2] = {};
	u64 *slice;

	bpf_dynptr_from_xdp(xdp, 0, &packet);
	slice = bpf_dynptr_slice_rdwr(&packet, 0, buffer, sizeof(buffer));
	if (slice)
		slice[1] = 0;
	return XDP_PASS;
}

SEC("xdp")
ACCEPT int xdp_slice_after_its_dynptr_is_gone(struct xdp_md *xdp)
{
	struct bpf_dynptr packet;
	u64 buffer[2] = {};
	u64 *slice;

	bpf_dynptr_from_xdp(xdp, 0, &packet);
	slice = bpf_dynptr_slice(&packet, 0, buffer, sizeof(buffer));
	if (!slice)
		return 0;
	*(volatile u64 *)&packet = 0;
	return slice[0] & 1;
}

SEC("xdp")
REJECT("calling kernel function bpf_dynptr_from_skb is not allowed") int skb_in_xdp(struct xdp_md *xdp)
{
	struct bpf_dynptr packet;

	bpf_dynptr_from_skb((void *)xdp, 0, &packet);
	return XDP_PASS;
}

SEC("tc")
REJECT("calling kernel function bpf_dynptr_from_xdp is not allowed") int xdp_in_tc(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;

	bpf_dynptr_from_xdp((void *)skb, 0, &packet);
	return 0;
}

SEC("raw_tp")
REJECT("calling kernel function bpf_dynptr_from_skb is not allowed") int skb_in_a_raw_tracepoint(void *ctx)
{
	struct bpf_dynptr packet;

	bpf_dynptr_from_skb(ctx, 0, &packet);
	return 0;
}

SEC("tc")
REJECT("arg#0 expected pointer to ctx, but got fp") int not_the_context(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	u64 other = 0;

	bpf_dynptr_from_skb((void *)&other, 0, &packet);
	return 0;
}

SEC("tc")
ACCEPT int metadata(struct __sk_buff *skb)
{
	struct bpf_dynptr meta;
	u64 buffer[1];
	u64 *slice;

	bpf_dynptr_from_skb_meta(skb, 0, &meta);
	slice = bpf_dynptr_slice_rdwr(&meta, 0, buffer, sizeof(buffer));
	if (slice)
		slice[0] = 1;
	return 0;
}

SEC("tc")
REJECT("R6 invalid mem access 'scalar'") int metadata_slice_after_a_write(struct __sk_buff *skb)
{
	struct bpf_dynptr meta;
	u64 buffer[1] = {};
	u64 *slice;

	bpf_dynptr_from_skb_meta(skb, 0, &meta);
	slice = bpf_dynptr_slice_rdwr(&meta, 0, buffer, sizeof(buffer));
	if (!slice)
		return 0;
	bpf_dynptr_write(&meta, 0, buffer, sizeof(buffer), 0);
	return slice[0];
}

SEC("tc")
REJECT("R6 invalid mem access 'scalar'") int metadata_slice_after_a_write_to_the_packet(struct __sk_buff *skb)
{
	struct bpf_dynptr meta, packet;
	u64 buffer[1] = {};
	u64 *slice;

	bpf_dynptr_from_skb_meta(skb, 0, &meta);
	bpf_dynptr_from_skb(skb, 0, &packet);
	slice = bpf_dynptr_slice(&meta, 0, buffer, sizeof(buffer));
	if (!slice)
		return 0;
	bpf_dynptr_write(&packet, 0, buffer, sizeof(buffer), 0);
	return slice[0];
}

SEC("raw_tp")
ACCEPT int looked_at(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	if (bpf_dynptr_is_null(&local) || bpf_dynptr_is_rdonly(&local))
		return 0;
	bpf_dynptr_adjust(&local, 8, 16);
	return bpf_dynptr_size(&local);
}

SEC("raw_tp")
REJECT("Expected an initialized dynptr as arg #0") int size_of_none(void *ctx)
{
	struct bpf_dynptr none;

	return bpf_dynptr_size(&none);
}

SEC("raw_tp")
REJECT("Expected an initialized dynptr as arg #0") int null_of_none(void *ctx)
{
	struct bpf_dynptr none;

	return bpf_dynptr_is_null(&none);
}

SEC("raw_tp")
REJECT("Expected an initialized dynptr as arg #0") int adjusted_none(void *ctx)
{
	struct bpf_dynptr none = {};

	return bpf_dynptr_adjust(&none, 0, 1);
}

SEC("raw_tp")
ACCEPT int adjusted_and_its_slice_kept(void *ctx)
{
	struct bpf_dynptr local;
	u64 *slice;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	slice = bpf_dynptr_data(&local, 0, 8);
	if (!slice)
		return 0;
	bpf_dynptr_adjust(&local, 8, 16);
	return *slice;
}

SEC("raw_tp")
ACCEPT int cloned(void *ctx)
{
	struct bpf_dynptr local, clone;
	u64 to = 0;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	bpf_dynptr_clone(&local, &clone);
	bpf_dynptr_read(&to, sizeof(to), &clone, 0, 0);
	bpf_dynptr_read(&to, sizeof(to), &local, 0, 0);
	return to;
}

SEC("raw_tp")
REJECT("Expected an initialized dynptr as arg #0") int none_cloned(void *ctx)
{
	struct bpf_dynptr none, clone;

	return bpf_dynptr_clone(&none, &clone);
}

SEC("raw_tp")
ACCEPT int cloned_over_itself(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	return bpf_dynptr_clone(&local, &local);
}

SEC("raw_tp")
REJECT("cannot overwrite referenced dynptr") int cloned_over_a_record(void *ctx)
{
	struct bpf_dynptr local, record;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	bpf_dynptr_clone(&local, &record);
	bpf_ringbuf_submit_dynptr(&record, 0);
	return 0;
}

SEC("raw_tp")
ACCEPT int clone_submitted(void *ctx)
{
	struct bpf_dynptr record, clone;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	bpf_dynptr_clone(&record, &clone);
	bpf_ringbuf_submit_dynptr(&clone, 0);
	return 0;
}

SEC("raw_tp")
REJECT("arg 1 is an unacquired reference") int clone_and_record_submitted(void *ctx)
{
	struct bpf_dynptr record, clone;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	bpf_dynptr_clone(&record, &clone);
	bpf_ringbuf_submit_dynptr(&clone, 0);
	bpf_ringbuf_submit_dynptr(&record, 0);
	return 0;
}

SEC("raw_tp")
REJECT("Expected an initialized dynptr as arg #2") int clone_used_after_submitting(void *ctx)
{
	struct bpf_dynptr record, clone;
	u64 to = 0;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	bpf_dynptr_clone(&record, &clone);
	bpf_ringbuf_submit_dynptr(&record, 0);
	bpf_dynptr_read(&to, sizeof(to), &clone, 0, 0);
	return 0;
}

SEC("raw_tp")
REJECT("R8 invalid mem access 'scalar'") int slice_of_the_clone_used_after_submitting(void *ctx)
{
	struct bpf_dynptr record, clone;
	u64 *slice;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	bpf_dynptr_clone(&record, &clone);
	slice = bpf_dynptr_data(&clone, 0, 8);
	bpf_ringbuf_submit_dynptr(&record, 0);
	return slice ? *slice : 0;
}

SEC("raw_tp")
ACCEPT int kfunc_slice_of_the_clone_used_after_submitting(void *ctx)
{
	struct bpf_dynptr record, clone;
	u64 buffer;
	u64 *slice;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	bpf_dynptr_clone(&record, &clone);
	slice = bpf_dynptr_slice(&clone, 0, &buffer, sizeof(buffer));
	bpf_ringbuf_submit_dynptr(&record, 0);
	return slice ? *slice : 0;
}

SEC("raw_tp")
REJECT("cannot overwrite referenced dynptr") int clone_overwritten(void *ctx)
{
	struct bpf_dynptr record, clone;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	bpf_dynptr_clone(&record, &clone);
	*(volatile u64 *)&clone = 0;
	bpf_ringbuf_submit_dynptr(&record, 0);
	return 0;
}

SEC("raw_tp")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int clone_and_record_kept(void *ctx)
{
	struct bpf_dynptr record, clone;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	bpf_dynptr_clone(&record, &clone);
	return 0;
}

SEC("raw_tp")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int record_kept_by_a_function(void *ctx)
{
	struct bpf_dynptr record;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	if (bpf_dynptr_is_null(&record))
		return 0;
	bpf_ringbuf_discard_dynptr(&record, 0);
	return 0;
}

SEC("tc")
REJECT("R6 invalid mem access 'scalar'") int clone_of_a_packet_after_a_write(struct __sk_buff *skb)
{
	struct bpf_dynptr packet, clone;
	u64 buffer[2] = {};
	u64 *slice;

	bpf_dynptr_from_skb(skb, 0, &packet);
	bpf_dynptr_clone(&packet, &clone);
	slice = bpf_dynptr_slice(&clone, 0, buffer, sizeof(buffer));
	if (!slice)
		return 0;
	bpf_dynptr_write(&packet, 0, buffer, sizeof(buffer), 0);
	return slice[0];
}

SEC("tc")
ACCEPT int copied(struct __sk_buff *skb)
{
	struct bpf_dynptr packet, local;

	bpf_dynptr_from_skb(skb, 0, &packet);
	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	return bpf_dynptr_copy(&local, 0, &packet, 0, 8);
}

SEC("tc")
ACCEPT int slice_after_a_copy_into_the_packet(struct __sk_buff *skb)
{
	struct bpf_dynptr packet, local;
	u64 buffer[2] = {};
	u64 *slice;

	bpf_dynptr_from_skb(skb, 0, &packet);
	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	slice = bpf_dynptr_slice(&packet, 0, buffer, sizeof(buffer));
	if (!slice)
		return 0;
	bpf_dynptr_copy(&packet, 0, &local, 0, 8);
	return slice[0];
}

SEC("tc")
ACCEPT int slice_after_a_memset_of_the_packet(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	u64 buffer[2] = {};
	u64 *slice;

	bpf_dynptr_from_skb(skb, 0, &packet);
	slice = bpf_dynptr_slice(&packet, 0, buffer, sizeof(buffer));
	if (!slice)
		return 0;
	bpf_dynptr_memset(&packet, 0, 8, 0xff);
	return slice[0];
}

SEC("raw_tp")
ACCEPT int memset_of_a_record(void *ctx)
{
	struct bpf_dynptr record;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	bpf_dynptr_memset(&record, 0, 8, 0xff);
	bpf_ringbuf_submit_dynptr(&record, 0);
	return 0;
}

SEC("raw_tp")
REJECT("Expected an initialized dynptr as arg #2") int copied_from_none(void *ctx)
{
	struct bpf_dynptr local, none;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	return bpf_dynptr_copy(&local, 0, &none, 0, 8);
}

SEC("raw_tp")
REJECT("arg#0 expected pointer to stack or const struct bpf_dynptr") int number_passed(void *ctx)
{
	return bpf_dynptr_size((void *)16);
}

SEC("raw_tp")
REJECT("arg#0 expected pointer to stack or const struct bpf_dynptr") int map_value_passed(void *ctx)
{
	return bpf_dynptr_size((void *)global);
}

SEC("raw_tp")
REJECT("arg#0 expected pointer to stack or const struct bpf_dynptr") int context_passed(void *ctx)
{
	return bpf_dynptr_size(ctx);
}

SEC("raw_tp")
REJECT("Expected an initialized dynptr as arg #0") int second_half_passed(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	return bpf_dynptr_size((void *)&local + 8);
}

SEC("raw_tp")
REJECT("Expected an initialized dynptr as arg #0") int passed_at_a_varying_place(void *ctx)
{
	struct bpf_dynptr two[2];

	bpf_dynptr_from_mem(global, sizeof(global), 0, &two[0]);
	bpf_dynptr_from_mem(global, sizeof(global), 0, &two[1]);
	return bpf_dynptr_size(&two[bpf_get_prandom_u32() & 1]);
}

SEC("tc")
REJECT("arg#2 arg#3 memory, len pair leads to invalid memory access") int buffer_overlaps_the_dynptr(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;

	bpf_dynptr_from_skb(skb, 0, &packet);
	return bpf_dynptr_slice(&packet, 0, &packet, sizeof(packet)) != 0;
}

SEC("tc")
ACCEPT int dynptr_made_over_a_buffer(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;
	u64 buffer[2] = {1, 2};
	u64 *slice;

	bpf_dynptr_from_skb(skb, 0, &packet);
	slice = bpf_dynptr_slice(&packet, 0, buffer, sizeof(buffer));
	if (!slice)
		return 0;
	buffer[0] = 3;
	return slice[0] + buffer[1];
}

static __noinline u64 peek(struct bpf_dynptr *packet, u32 at)
{
	u64 buffer = 0;
	u64 *slice = bpf_dynptr_slice(packet, at, &buffer, sizeof(buffer));

	return slice ? *slice : 0;
}

SEC("tc")
ACCEPT int sliced_by_a_function(struct __sk_buff *skb)
{
	struct bpf_dynptr packet;

	bpf_dynptr_from_skb(skb, 0, &packet);
	return peek(&packet, 0) + peek(&packet, skb->len);
}

__noinline int size_of(const struct bpf_dynptr *which)
{
	return bpf_dynptr_size(which);
}

SEC("raw_tp")
ACCEPT int passed_to_a_global_function(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	return size_of(&local);
}

SEC("raw_tp")
REJECT("Caller passes invalid args into func#1 ('size_of')") int none_passed_to_a_global_function(void *ctx)
{
	struct bpf_dynptr none;

	return size_of(&none);
}

SEC("raw_tp")
REJECT("Caller passes invalid args into func#1 ('size_of')") int number_passed_to_a_global_function(void *ctx)
{
	return size_of((void *)1);
}

__noinline int adjusts(struct bpf_dynptr *which)
{
	return bpf_dynptr_adjust(which, 1, 2);
}

SEC("raw_tp")
ACCEPT int adjusted_by_a_global_function(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	return adjusts(&local);
}

__noinline int submits(struct bpf_dynptr *which)
{
	bpf_ringbuf_submit_dynptr(which, 0);
	return 0;
}

SEC("raw_tp")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int submitted_by_a_global_function(void *ctx)
{
	struct bpf_dynptr record;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	return submits(&record);
}

__noinline int clones_over(struct bpf_dynptr *which)
{
	return bpf_dynptr_clone(which, which);
}

SEC("raw_tp")
REJECT("verifier bug: misconfigured dynptr helper type flags") int cloned_over_a_constant_one(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	return clones_over(&local);
}

__noinline int clones(struct bpf_dynptr *which)
{
	struct bpf_dynptr clone;

	bpf_dynptr_clone(which, &clone);
	return bpf_dynptr_size(&clone);
}

SEC("raw_tp")
ACCEPT int cloned_by_a_global_function(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	return clones(&local);
}

__noinline int cuts(struct bpf_dynptr *which)
{
	u64 *slice = bpf_dynptr_data(which, 0, 8);

	if (!slice)
		return 0;
	*slice = 1;
	return bpf_dynptr_write(which, 0, slice, 8, 0);
}

SEC("raw_tp")
ACCEPT int sliced_by_a_global_function(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	return cuts(&local);
}

__noinline int moves(struct bpf_dynptr *which)
{
	return bpf_dynptr_size((void *)which + 8);
}

SEC("raw_tp")
REJECT("dereference of modified dynptr_ptr ptr R1 off=8 disallowed") int moved_by_a_global_function(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	return moves(&local);
}

__noinline int looks_into(struct bpf_dynptr *which)
{
	return *(volatile int *)which;
}

SEC("raw_tp")
REJECT("R1 invalid mem access 'dynptr_ptr'") int looked_into_by_a_global_function(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	return looks_into(&local);
}
