/* Members of a queueing discipline: the packet that enqueue is handed and has to give away, the one that dequeue
 * returns, what of both may be written, and whom each member may call. */
#include "objects.h"

struct sk_buff_list;
struct sock;

struct sk_buff {
	unsigned int len;
	unsigned int mark;
	unsigned long long tstamp;
	char cb[48];
	struct sk_buff *next;
} __attribute__((preserve_access_index));

struct qdisc_size_table;

struct gnet_stats_queue {
	u32 qlen;
	u32 backlog;
	u32 drops;
} __attribute__((preserve_access_index));

struct qdisc_skb_head {
	u32 qlen;
} __attribute__((preserve_access_index));

struct Qdisc {
	u32 flags;
	u32 limit;
	u32 handle;
	struct qdisc_skb_head q;
	struct gnet_stats_queue qstats;
	struct Qdisc *next_sched;
} __attribute__((preserve_access_index));

struct bpf_sk_buff_ptr;
struct nlattr;
struct netlink_ext_ack {
	const char *_msg;
} __attribute__((preserve_access_index));

struct Qdisc_ops {
	int (*enqueue)(struct sk_buff *skb, struct Qdisc *sch, struct sk_buff **to_free);
	struct sk_buff *(*dequeue)(struct Qdisc *sch);
	struct sk_buff *(*peek)(struct Qdisc *sch);
	int (*init)(struct Qdisc *sch, struct nlattr *arg, struct netlink_ext_ack *extack);
	void (*reset)(struct Qdisc *sch);
	void (*destroy)(struct Qdisc *sch);
	char id[16];
};

extern void bpf_qdisc_skb_drop(struct sk_buff *skb, struct bpf_sk_buff_ptr *to_free) __ksym;
extern void bpf_kfree_skb(struct sk_buff *skb) __ksym;
extern u32 bpf_skb_get_hash(struct sk_buff *skb) __ksym;
extern void bpf_qdisc_watchdog_schedule(struct Qdisc *sch, u64 expire, u64 delta_ns) __ksym;
extern void bpf_qdisc_bstats_update(struct Qdisc *sch, const struct sk_buff *skb) __ksym;
extern void bpf_qdisc_init_prologue(struct Qdisc *sch, struct netlink_ext_ack *extack) __ksym;
extern void *bpf_obj_new_impl(u64 local_type_id, void *meta) __ksym;
extern void bpf_obj_drop_impl(void *kptr, void *meta) __ksym;
extern int bpf_list_push_back_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta, u64 off) __ksym;
extern struct bpf_list_node *bpf_list_pop_front(struct bpf_list_head *head) __ksym;
extern int bpf_dynptr_from_skb(struct sk_buff *skb, u64 flags, struct bpf_dynptr *ptr) __ksym;
extern void *bpf_cast_to_kern_ctx(void *) __ksym;

struct entry {
	struct bpf_list_node node;
	struct sk_buff __kptr *skb;
};

private(queue) struct bpf_spin_lock queue_lock;
private(queue) struct bpf_list_head queue __contains(entry, node);

struct stored {
	struct sk_buff __kptr *skb;
};
MAP(kept, ARRAY, struct stored);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, int);
} jumps SEC(".maps");

#define MEMBER(name, function) SEC(".struct_ops") struct Qdisc_ops t_##function = {.name = (void *)function}

SEC("struct_ops/enqueue")
ACCEPT int fifo_enqueue(u64 *ctx)
{
	struct sk_buff *skb = (void *)ctx[0];
	struct Qdisc *sch = (void *)ctx[1];
	struct bpf_sk_buff_ptr *to_free = (void *)ctx[2];
	u32 length = skb->len;

	if (sch->q.qlen >= sch->limit)
		goto drop;
	struct entry *entry = bpf_obj_new_impl(bpf_core_type_id_local(struct entry), 0);
	if (!entry)
		goto drop;
	skb = bpf_kptr_xchg(&entry->skb, skb);
	if (skb)
		bpf_qdisc_skb_drop(skb, to_free);
	bpf_spin_lock(&queue_lock);
	bpf_list_push_back_impl(&queue, &entry->node, 0, 0);
	bpf_spin_unlock(&queue_lock);
	sch->q.qlen++;
	sch->qstats.backlog += length;
	return 0;
drop:
	bpf_qdisc_skb_drop(skb, to_free);
	return 1;
}
MEMBER(enqueue, fifo_enqueue);

SEC("struct_ops/dequeue")
ACCEPT unsigned long fifo_dequeue(u64 *ctx)
{
	struct Qdisc *sch = (void *)ctx[0];
	struct sk_buff *skb = 0;
	struct bpf_list_node *node;

	bpf_spin_lock(&queue_lock);
	node = bpf_list_pop_front(&queue);
	bpf_spin_unlock(&queue_lock);
	if (!node)
		return 0;
	struct entry *entry = container_of(node, struct entry, node);
	skb = bpf_kptr_xchg(&entry->skb, skb);
	bpf_obj_drop_impl(entry, 0);
	if (!skb)
		return 0;
	sch->q.qlen--;
	bpf_qdisc_bstats_update(sch, skb);
	return (unsigned long)skb;
}
MEMBER(dequeue, fifo_dequeue);

SEC("struct_ops/enqueue")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak")
int keeps(u64 *ctx)
{
	return 0;
}
MEMBER(enqueue, keeps);

SEC("struct_ops/enqueue")
ACCEPT int drops(u64 *ctx)
{
	bpf_qdisc_skb_drop((void *)ctx[0], (void *)ctx[2]);
	return 1;
}
MEMBER(enqueue, drops);

SEC("struct_ops/enqueue")
ACCEPT int frees(u64 *ctx)
{
	bpf_kfree_skb((void *)ctx[0]);
	return 1;
}
MEMBER(enqueue, frees);

SEC("struct_ops/enqueue")
REJECT("invalid bpf_context access off=0. Reference may already be released")
int reads_again(u64 *ctx)
{
	bpf_kfree_skb((void *)ctx[0]);
	__asm__ volatile("" : "+r"(ctx));
	return ((struct sk_buff *)ctx[0])->len;
}
MEMBER(enqueue, reads_again);

SEC("struct_ops/enqueue")
REJECT("R7 invalid mem access 'scalar'")
int uses_after(u64 *ctx)
{
	register struct sk_buff *skb __asm__("r7") = (void *)ctx[0];
	bpf_kfree_skb(skb);
	__asm__ volatile("r0 = *(u32 *)(r7 + 0)" ::"r"(skb) : "r0");
	return 0;
}
MEMBER(enqueue, uses_after);

SEC("struct_ops/enqueue")
ACCEPT int sometimes(u64 *ctx)
{
	struct sk_buff *skb = (void *)ctx[0];
	if (bpf_skb_get_hash(skb) & 1)
		bpf_kfree_skb(skb);
	else
		bpf_qdisc_skb_drop(skb, (void *)ctx[2]);
	return 1;
}
MEMBER(enqueue, sometimes);

SEC("struct_ops/enqueue")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak")
int sometimes_not(u64 *ctx)
{
	struct sk_buff *skb = (void *)ctx[0];
	if (bpf_skb_get_hash(skb) & 1)
		bpf_kfree_skb(skb);
	return 1;
}
MEMBER(enqueue, sometimes_not);

SEC("struct_ops/enqueue")
ACCEPT int exchanges(u64 *ctx)
{
	int key = 0;
	struct stored *place = bpf_map_lookup_elem(&kept, &key);
	struct sk_buff *skb = (void *)ctx[0];
	if (!place) {
		bpf_kfree_skb(skb);
		return 1;
	}
	skb = bpf_kptr_xchg(&place->skb, skb);
	if (skb)
		bpf_kfree_skb(skb);
	return 0;
}
MEMBER(enqueue, exchanges);

SEC("struct_ops/dequeue")
ACCEPT unsigned long takes_from_map(u64 *ctx)
{
	int key = 0;
	struct stored *place = bpf_map_lookup_elem(&kept, &key);
	if (!place)
		return 0;
	return (unsigned long)bpf_kptr_xchg(&place->skb, 0);
}
MEMBER(dequeue, takes_from_map);

SEC("struct_ops/dequeue")
REJECT("At program exit the register R0 is not a known value (untrusted_ptr_or_null_)")
unsigned long returns_borrowed(u64 *ctx)
{
	int key = 0;
	struct stored *place = bpf_map_lookup_elem(&kept, &key);
	if (!place)
		return 0;
	return (unsigned long)place->skb;
}
MEMBER(dequeue, returns_borrowed);

SEC("struct_ops/dequeue")
REJECT("At program exit the register R0 has smin=1 smax=1 should have been in [0, 0]")
unsigned long returns_one(u64 *ctx)
{
	return 1;
}
MEMBER(dequeue, returns_one);

SEC("struct_ops/dequeue")
REJECT("At program exit the register R0 is not a known value (trusted_ptr_)")
unsigned long returns_queue(u64 *ctx)
{
	return ctx[0];
}
MEMBER(dequeue, returns_queue);

SEC("struct_ops/dequeue")
REJECT("dereference of modified ptr_ ptr R0 off=8 disallowed")
unsigned long returns_inside(u64 *ctx)
{
	int key = 0;
	struct stored *place = bpf_map_lookup_elem(&kept, &key);
	if (!place)
		return 0;
	struct sk_buff *skb = bpf_kptr_xchg(&place->skb, 0);
	if (!skb)
		return 0;
	return (unsigned long)skb + 8;
}
MEMBER(dequeue, returns_inside);

SEC("struct_ops/reset")
ACCEPT void reset(u64 *ctx)
{
	struct Qdisc *sch = (void *)ctx[0];
	sch->q.qlen = 0;
}
MEMBER(reset, reset);

SEC("struct_ops/destroy")
ACCEPT void destroy(u64 *ctx)
{
}
MEMBER(destroy, destroy);

SEC("struct_ops/init")
ACCEPT int init(u64 *ctx)
{
	struct Qdisc *sch = (void *)ctx[0];
	sch->limit = 100;
	return 0;
}
MEMBER(init, init);

SEC("struct_ops.s/init")
ACCEPT int init_sleepable(u64 *ctx)
{
	return 0;
}
MEMBER(init, init_sleepable);

SEC("struct_ops/peek")
REJECT("attach to unsupported member peek of struct Qdisc_ops")
unsigned long peek(u64 *ctx)
{
	return 0;
}
MEMBER(peek, peek);

SEC("struct_ops/init")
REJECT("no write support to Qdisc at off 56")
int writes_handle(u64 *ctx)
{
	struct Qdisc *sch = (void *)ctx[0];
	sch->handle = 100;
	return 0;
}
MEMBER(init, writes_handle);

SEC("struct_ops/enqueue")
ACCEPT int writes_packet(u64 *ctx)
{
	struct sk_buff *skb = (void *)ctx[0];
	skb->tstamp = 5;
	*(u64 *)(skb->cb + 8) = 1;
	skb->cb[27] = 1;
	bpf_kfree_skb(skb);
	return 1;
}
MEMBER(enqueue, writes_packet);

SEC("struct_ops/enqueue")
REJECT("no write support to sk_buff at off 40")
int writes_control(u64 *ctx)
{
	struct sk_buff *skb = (void *)ctx[0];
	skb->cb[0] = 1;
	bpf_kfree_skb(skb);
	return 1;
}
MEMBER(enqueue, writes_control);

SEC("struct_ops/enqueue")
REJECT("write access at off 64 with size 8 beyond the member of sk_buff ended at 68")
int writes_beyond(u64 *ctx)
{
	struct sk_buff *skb = (void *)ctx[0];
	*(u64 *)(skb->cb + 24) = 1;
	bpf_kfree_skb(skb);
	return 1;
}
MEMBER(enqueue, writes_beyond);

SEC("struct_ops/init")
REJECT("only read is supported")
int writes_answer(u64 *ctx)
{
	struct netlink_ext_ack *ack = (void *)ctx[2];
	ack->_msg = 0;
	return 0;
}
MEMBER(init, writes_answer);

SEC("struct_ops/enqueue")
ACCEPT int sets_alarm(u64 *ctx)
{
	bpf_qdisc_watchdog_schedule((void *)ctx[1], 1, 2);
	bpf_kfree_skb((void *)ctx[0]);
	return 1;
}
MEMBER(enqueue, sets_alarm);

SEC("struct_ops/init")
REJECT("calling kernel function bpf_qdisc_watchdog_schedule is not allowed")
int sets_alarm_early(u64 *ctx)
{
	bpf_qdisc_watchdog_schedule((void *)ctx[0], 1, 2);
	return 0;
}
MEMBER(init, sets_alarm_early);

SEC("struct_ops/init")
REJECT("calling kernel function bpf_qdisc_init_prologue is not allowed")
int prologue(u64 *ctx)
{
	bpf_qdisc_init_prologue((void *)ctx[0], (void *)ctx[2]);
	return 0;
}
MEMBER(init, prologue);

SEC("struct_ops/enqueue")
ACCEPT int looks_inside(u64 *ctx)
{
	struct bpf_dynptr packet;
	char byte = 0;
	bpf_dynptr_from_skb((void *)ctx[0], 0, &packet);
	bpf_dynptr_read(&byte, 1, &packet, 0, 0);
	bpf_kfree_skb((void *)ctx[0]);
	return byte;
}
MEMBER(enqueue, looks_inside);

SEC("struct_ops/enqueue")
REJECT("program with __ref argument cannot tail call")
int jumps_away(u64 *ctx)
{
	bpf_kfree_skb((void *)ctx[0]);
	bpf_tail_call(ctx, &jumps, 0);
	return 1;
}
MEMBER(enqueue, jumps_away);

SEC("struct_ops/dequeue")
ACCEPT unsigned long jumps_on(u64 *ctx)
{
	bpf_tail_call(ctx, &jumps, 0);
	return 0;
}
MEMBER(dequeue, jumps_on);

static __noinline int jump(u64 *ctx)
{
	bpf_tail_call(ctx, &jumps, 0);
	return 1;
}

SEC("struct_ops/enqueue")
REJECT("program with __ref argument cannot tail call")
int jumps_below(u64 *ctx)
{
	bpf_kfree_skb((void *)ctx[0]);
	return jump(ctx);
}
MEMBER(enqueue, jumps_below);

static __noinline void free_it(u64 *ctx)
{
	bpf_kfree_skb((void *)ctx[0]);
}

SEC("struct_ops/enqueue")
ACCEPT int frees_below(u64 *ctx)
{
	free_it(ctx);
	return 1;
}
MEMBER(enqueue, frees_below);

__noinline int free_globally_found(void *ctx __attribute__((btf_decl_tag("arg:ctx"))))
{
	bpf_kfree_skb((void *)((u64 *)ctx)[0]);
	return 1;
}

SEC("struct_ops/enqueue")
REJECT("invalid bpf_context access off=0. Reference may already be released")
int frees_in_global(u64 *ctx)
{
	free_globally_found(ctx);
	bpf_kfree_skb((void *)ctx[0]);
	return 1;
}
MEMBER(enqueue, frees_in_global);

__noinline int free_globally(u64 *ctx)
{
	bpf_kfree_skb((void *)ctx[0]);
	return 1;
}

SEC("struct_ops/enqueue")
REJECT("Caller passes invalid args into func#1 ('free_globally')")
int frees_globally(u64 *ctx)
{
	return free_globally(ctx);
}
MEMBER(enqueue, frees_globally);

__noinline int peeks_globally(u64 *ctx)
{
	return ((struct sk_buff *)ctx[0])->len;
}

SEC("struct_ops/enqueue")
REJECT("Caller passes invalid args into func#1 ('peeks_globally')")
int asks_globally(u64 *ctx)
{
	int found = peeks_globally(ctx);
	bpf_kfree_skb((void *)ctx[0]);
	return found;
}
MEMBER(enqueue, asks_globally);

SEC("struct_ops/enqueue")
ACCEPT unsigned long returns_packet(u64 *ctx)
{
	return ctx[0];
}
MEMBER(enqueue, returns_packet);

SEC("struct_ops/enqueue")
REJECT("program of this type cannot use helper bpf_setsockopt#49")
int sets_option(u64 *ctx)
{
	int value = 1;
	bpf_setsockopt((void *)ctx[0], 6, 1, &value, 4);
	bpf_kfree_skb((void *)ctx[0]);
	return 1;
}
MEMBER(enqueue, sets_option);

SEC("struct_ops/enqueue")
REJECT("invalid bpf_context access off=24 size=8")
int fourth(u64 *ctx)
{
	bpf_kfree_skb((void *)ctx[0]);
	return ctx[3];
}
MEMBER(enqueue, fourth);

SEC("struct_ops/enqueue")
REJECT("kernel function bpf_kfree_skb args#0 expected pointer to STRUCT sk_buff but R1 has a pointer to STRUCT Qdisc")
int frees_queue(u64 *ctx)
{
	bpf_kfree_skb((void *)ctx[1]);
	return 1;
}
MEMBER(enqueue, frees_queue);

SEC("struct_ops/enqueue")
REJECT("R1 must be referenced or trusted")
int frees_next(u64 *ctx)
{
	struct sk_buff *skb = (void *)ctx[0];
	bpf_kfree_skb(skb->next);
	return 1;
}
MEMBER(enqueue, frees_next);

SEC("struct_ops/enqueue")
ACCEPT int holds_lock(u64 *ctx)
{
	bpf_spin_lock(&queue_lock);
	bpf_spin_unlock(&queue_lock);
	bpf_kfree_skb((void *)ctx[0]);
	return 1;
}
MEMBER(enqueue, holds_lock);

SEC("struct_ops/enqueue")
REJECT("function calls are not allowed while holding a lock")
int frees_under_lock(u64 *ctx)
{
	bpf_spin_lock(&queue_lock);
	bpf_kfree_skb((void *)ctx[0]);
	bpf_spin_unlock(&queue_lock);
	return 1;
}
MEMBER(enqueue, frees_under_lock);

extern void bpf_throw(u64 cookie) __ksym;

SEC("struct_ops/enqueue")
ACCEPT int reads_in_part(u64 *ctx)
{
	unsigned char part = *(volatile unsigned char *)&ctx[2];
	bpf_qdisc_skb_drop((void *)ctx[0], (void *)ctx[2]);
	return part;
}
MEMBER(enqueue, reads_in_part);

SEC("struct_ops/enqueue")
REJECT("invalid bpf_context access off=8 size=1")
int reads_queue_in_part(u64 *ctx)
{
	unsigned char part = *(volatile unsigned char *)&ctx[1];
	bpf_qdisc_skb_drop((void *)ctx[0], (void *)ctx[2]);
	return part;
}
MEMBER(enqueue, reads_queue_in_part);

SEC("struct_ops/dequeue")
REJECT("At program exit the register R1 has smin=5 smax=5 should have been in [0, 0]")
unsigned long throws_number(u64 *ctx)
{
	bpf_throw(5);
	return 0;
}
MEMBER(dequeue, throws_number);

SEC("struct_ops/dequeue")
ACCEPT unsigned long throws_nothing(u64 *ctx)
{
	bpf_throw(0);
	return 0;
}
MEMBER(dequeue, throws_nothing);

SEC("struct_ops/dequeue")
ACCEPT unsigned long counts_atomically(u64 *ctx)
{
	struct Qdisc *sch = (void *)ctx[0];
	__sync_fetch_and_add(&sch->q.qlen, 1);
	return 0;
}
MEMBER(dequeue, counts_atomically);
