// SPDX-License-Identifier: Apache-2.0
// Fair queueing: packets wait in the order of their virtual finishing times, a tree holds them, flows have weights, and
// what has waited for too long is dropped. Objects are allocated, linked, counted and given back by the program.
#include <linux/pkt_cls.h>
#include "headers.h"

#define __contains(kind, member) __attribute__((btf_decl_tag("contains:" #kind ":" #member)))
#define private(name) SEC(".data." #name) __hidden __attribute__((aligned(8)))

/* Linux has them in its interface since 6.2 and 6.3; headers of older systems do not. */
struct bpf_list_head {
	__u64 opaque[2];
} __attribute__((aligned(8)));

struct bpf_list_node {
	__u64 opaque[3];
} __attribute__((aligned(8)));

struct bpf_rb_root {
	__u64 opaque[2];
} __attribute__((aligned(8)));

struct bpf_rb_node {
	__u64 opaque[4];
} __attribute__((aligned(8)));

extern void *bpf_obj_new_impl(__u64 type, void *meta) __ksym;
extern void bpf_obj_drop_impl(void *object, void *meta) __ksym;
extern int bpf_rbtree_add_impl(struct bpf_rb_root *root, struct bpf_rb_node *node,
			       _Bool(less)(struct bpf_rb_node *a, const struct bpf_rb_node *b), void *meta,
			       __u64 offset) __ksym;
extern struct bpf_rb_node *bpf_rbtree_first(struct bpf_rb_root *root) __ksym;
extern struct bpf_rb_node *bpf_rbtree_remove(struct bpf_rb_root *root, struct bpf_rb_node *node) __ksym;
extern int bpf_list_push_back_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta,
				   __u64 offset) __ksym;
extern struct bpf_list_node *bpf_list_pop_front(struct bpf_list_head *head) __ksym;

#define new(type) ((type *)bpf_obj_new_impl(__builtin_btf_type_id(*(type *)0, 0), NULL))

struct waiting {
	__u64 finish;
	__u64 arrived;
	__u32 hash;
	__u32 length;
	struct bpf_rb_node node;
};

struct dropped {
	__u64 when;
	__u32 hash;
	struct bpf_list_node node;
};

struct flow {
	__u64 finish;
	__u64 bytes;
	__u32 weight;
	__u32 packets;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct flow);
} flows SEC(".maps");

private(queue) struct bpf_spin_lock queue_lock;
private(queue) struct bpf_rb_root queue __contains(waiting, node);
private(drops) struct bpf_spin_lock drops_lock;
private(drops) struct bpf_list_head drops __contains(dropped, node);

__u64 now_virtual, count;
const volatile __u64 longest_wait = 100000000;
const volatile __u32 most = 10000;

static _Bool earlier(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return container_of(a, struct waiting, node)->finish < container_of(b, struct waiting, node)->finish;
}

static __noinline int note_drop(__u32 hash, __u64 when)
{
	struct dropped *dropped = new(struct dropped);

	if (!dropped)
		return -1;
	dropped->when = when;
	dropped->hash = hash;
	bpf_spin_lock(&drops_lock);
	bpf_list_push_back_impl(&drops, &dropped->node, NULL, 0);
	bpf_spin_unlock(&drops_lock);
	return 0;
}

SEC("tc")
int enqueue(struct __sk_buff *skb)
{
	__u32 hash = bpf_get_hash_recalc(skb);
	struct flow *flow, fresh = {.weight = 1};
	struct waiting *waiting;

	flow = bpf_map_lookup_elem(&flows, &hash);
	if (!flow) {
		fresh.finish = now_virtual;
		bpf_map_update_elem(&flows, &hash, &fresh, BPF_NOEXIST);
		flow = bpf_map_lookup_elem(&flows, &hash);
		if (!flow)
			return TC_ACT_SHOT;
	}
	if (count >= most) {
		note_drop(hash, bpf_ktime_get_ns());
		return TC_ACT_SHOT;
	}
	waiting = new(struct waiting);
	if (!waiting)
		return TC_ACT_SHOT;
	if (flow->finish < now_virtual)
		flow->finish = now_virtual;
	flow->finish += skb->len / (flow->weight ? flow->weight : 1);
	flow->bytes += skb->len;
	flow->packets++;
	waiting->finish = flow->finish;
	waiting->arrived = bpf_ktime_get_ns();
	waiting->hash = hash;
	waiting->length = skb->len;
	bpf_spin_lock(&queue_lock);
	bpf_rbtree_add_impl(&queue, &waiting->node, earlier, NULL, 0);
	bpf_spin_unlock(&queue_lock);
	__sync_fetch_and_add(&count, 1);
	return TC_ACT_OK;
}

SEC("tc")
int dequeue(struct __sk_buff *skb)
{
	struct bpf_rb_node *node;
	struct waiting *waiting;
	__u32 hash;
	__u64 arrived;

	bpf_spin_lock(&queue_lock);
	node = bpf_rbtree_first(&queue);
	if (!node) {
		bpf_spin_unlock(&queue_lock);
		return TC_ACT_UNSPEC;
	}
	node = bpf_rbtree_remove(&queue, node);
	bpf_spin_unlock(&queue_lock);
	if (!node)
		return TC_ACT_UNSPEC;
	waiting = container_of(node, struct waiting, node);
	now_virtual = waiting->finish;
	hash = waiting->hash;
	arrived = waiting->arrived;
	skb->priority = waiting->length > 1000 ? 1 : 0;
	bpf_obj_drop_impl(waiting, NULL);
	__sync_fetch_and_add(&count, -1);
	if (bpf_ktime_get_ns() - arrived > longest_wait) {
		note_drop(hash, arrived);
		return TC_ACT_SHOT;
	}
	return TC_ACT_OK;
}

SEC("tc")
int forget_drops(struct __sk_buff *skb)
{
	int forgotten = 0;

	for (int i = 0; i < 32; i++) {
		struct bpf_list_node *node;

		bpf_spin_lock(&drops_lock);
		node = bpf_list_pop_front(&drops);
		bpf_spin_unlock(&drops_lock);
		if (!node)
			break;
		bpf_obj_drop_impl(container_of(node, struct dropped, node), NULL);
		forgotten++;
	}
	return forgotten;
}

/* Types that are only named in tags and numbers have to be used somewhere to be described. */
struct waiting *unused_waiting __hidden;
struct dropped *unused_dropped __hidden;

char LICENSE[] SEC("license") = "GPL";
