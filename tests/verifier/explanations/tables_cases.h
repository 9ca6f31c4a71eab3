/* What the programs in C share that are members of a table of programs. */
#include "objects.h"

#undef ACCEPT
#undef REJECT

struct sk_buff {
	unsigned int len;
} __attribute__((preserve_access_index));
struct Qdisc;
struct bpf_sk_buff_ptr;

struct Qdisc_ops {
	int (*enqueue)(struct sk_buff *packet, struct Qdisc *queue, struct sk_buff **dropped);
	char id[16];
};

extern void bpf_qdisc_skb_drop(struct sk_buff *packet, struct bpf_sk_buff_ptr *dropped) __ksym;

struct hid_bpf_ctx {
	int retval;
} __attribute__((preserve_access_index));

struct hid_bpf_ops {
	int (*hid_rdesc_fixup)(struct hid_bpf_ctx *device);
};

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, int);
} others SEC(".maps");
