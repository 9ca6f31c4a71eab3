/* Connections that the kernel tracks: found or made, changed as far as that is permitted, and given back. */
#include "objects.h"

union nf_inet_addr {
	u32 all[4];
} __attribute__((preserve_access_index));

struct nf_conn {
	unsigned long status;
	u32 mark;
	u32 timeout;
} __attribute__((preserve_access_index));

struct nf_conn___init {
	struct nf_conn ct;
};

struct bpf_ct_opts {
	int netns_id;
	int error;
	unsigned char l4proto;
	unsigned char dir;
	unsigned short ct_zone_id;
	unsigned char ct_zone_dir;
	unsigned char reserved[3];
};

enum nf_nat_manip_type { NF_NAT_MANIP_SRC, NF_NAT_MANIP_DST };

extern struct nf_conn *bpf_xdp_ct_lookup(struct xdp_md *, struct bpf_sock_tuple *, u32, struct bpf_ct_opts *,
					 u32) __ksym;
extern struct nf_conn___init *bpf_xdp_ct_alloc(struct xdp_md *, struct bpf_sock_tuple *, u32, struct bpf_ct_opts *,
					       u32) __ksym;
extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *, struct bpf_sock_tuple *, u32, struct bpf_ct_opts *,
					 u32) __ksym;
extern struct nf_conn *bpf_ct_insert_entry(struct nf_conn___init *) __ksym;
extern void bpf_ct_release(struct nf_conn *) __ksym;
extern void bpf_ct_set_timeout(struct nf_conn___init *, u32) __ksym;
extern int bpf_ct_change_timeout(struct nf_conn *, u32) __ksym;
extern int bpf_ct_set_status(const struct nf_conn___init *, u32) __ksym;
extern int bpf_ct_change_status(struct nf_conn *, u32) __ksym;
extern int bpf_ct_set_nat_info(struct nf_conn___init *, union nf_inet_addr *, int port,
			       enum nf_nat_manip_type) __ksym;
extern void bpf_rcu_read_lock(void) __ksym;

#define LOOKUP                                                                                                         \
	struct bpf_ct_opts opts = {.netns_id = -1, .l4proto = 6};                                                      \
	struct bpf_sock_tuple tuple = {};                                                                              \
	struct nf_conn *found = bpf_xdp_ct_lookup(ctx, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts))
#define ALLOCATE                                                                                                       \
	struct bpf_ct_opts opts = {.netns_id = -1, .l4proto = 6};                                                      \
	struct bpf_sock_tuple tuple = {};                                                                              \
	struct nf_conn___init *made = bpf_xdp_ct_alloc(ctx, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts))

SEC("xdp")
ACCEPT int finds(struct xdp_md *ctx)
{
	LOOKUP;
	if (!found)
		return 2;
	bpf_ct_change_timeout(found, 100);
	bpf_ct_change_status(found, 8);
	found->mark = 5;
	bpf_ct_release(found);
	return 1;
}

SEC("xdp")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak")
int keeps(struct xdp_md *ctx)
{
	LOOKUP;
	return found ? 1 : 2;
}

SEC("xdp")
REJECT("Possibly NULL pointer passed to trusted arg0")
int releases_nothing(struct xdp_md *ctx)
{
	LOOKUP;
	bpf_ct_release(found);
	return 1;
}

SEC("xdp")
ACCEPT int makes(struct xdp_md *ctx)
{
	union nf_inet_addr address = {};
	ALLOCATE;
	if (!made)
		return 2;
	bpf_ct_set_timeout(made, 100);
	bpf_ct_set_status(made, 8);
	bpf_ct_set_nat_info(made, &address, 80, NF_NAT_MANIP_DST);
	made->ct.mark = 5;
	struct nf_conn *found = bpf_ct_insert_entry(made);
	if (found)
		bpf_ct_release(found);
	return 1;
}

SEC("xdp")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak")
int makes_only(struct xdp_md *ctx)
{
	ALLOCATE;
	if (made)
		bpf_ct_set_timeout(made, 100);
	return 1;
}

SEC("xdp")
REJECT("kernel function bpf_ct_set_timeout args#0 expected pointer to STRUCT nf_conn___init but R1 has a pointer to STRUCT nf_conn")
int sets_of_found(struct xdp_md *ctx)
{
	LOOKUP;
	if (!found)
		return 2;
	bpf_ct_set_timeout((void *)found, 100);
	bpf_ct_release(found);
	return 1;
}

SEC("xdp")
REJECT("kernel function bpf_ct_release args#0 expected pointer to STRUCT nf_conn but R1 has a pointer to STRUCT nf_conn___init")
int releases_made(struct xdp_md *ctx)
{
	ALLOCATE;
	if (made)
		bpf_ct_release((void *)made);
	return 1;
}

SEC("xdp")
REJECT("no write support to nf_conn at off 128")
int writes_status(struct xdp_md *ctx)
{
	LOOKUP;
	if (!found)
		return 2;
	found->status = 5;
	bpf_ct_release(found);
	return 1;
}

SEC("xdp")
REJECT("write access at off 168 with size 8 beyond the member of nf_conn ended at 172")
int writes_beyond(struct xdp_md *ctx)
{
	LOOKUP;
	if (!found)
		return 2;
	*(u64 *)&found->mark = 5;
	bpf_ct_release(found);
	return 1;
}

SEC("xdp")
ACCEPT int reads(struct xdp_md *ctx)
{
	LOOKUP;
	if (!found)
		return 2;
	int seen = found->status + found->timeout;
	bpf_ct_release(found);
	return seen & 3;
}

SEC("tc")
ACCEPT int finds_in_tc(struct __sk_buff *ctx)
{
	struct bpf_ct_opts opts = {.netns_id = -1, .l4proto = 6};
	struct bpf_sock_tuple tuple = {};
	struct nf_conn *found = bpf_skb_ct_lookup(ctx, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	if (found)
		bpf_ct_release(found);
	return 0;
}

SEC("socket")
REJECT("calling kernel function bpf_skb_ct_lookup is not allowed")
int finds_in_filter(struct __sk_buff *ctx)
{
	struct bpf_ct_opts opts = {.netns_id = -1, .l4proto = 6};
	struct bpf_sock_tuple tuple = {};
	struct nf_conn *found = bpf_skb_ct_lookup(ctx, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	if (found)
		bpf_ct_release(found);
	return 0;
}

SEC("xdp")
REJECT("access beyond struct nf_conntrack at off 0 size 8")
int changes_unheld(struct xdp_md *ctx)
{
	LOOKUP;
	if (!found)
		return 2;
	bpf_ct_change_timeout(*(struct nf_conn **)found, 100);
	bpf_ct_release(found);
	return 1;
}
