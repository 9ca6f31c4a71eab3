/* Maps of sockets: who may put sockets in, and what a lookup gives; buffers of iterators. */
#include "expect.h"

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 4);
	__type(key, int);
	__type(value, int);
} sm SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 4);
	__type(key, int);
	__type(value, long);
} sh SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, long);
} arr SEC(".maps");

struct task_struct {
	int pid;
} __attribute__((preserve_access_index));

int g;
#define BODY(expr) \
	int k = 0; \
	expr
SEC("sockops")
ACCEPT int u1(struct bpf_sock_ops *c)
{
	BODY(bpf_sock_map_update(c, &sm, &k, 0));
	return 0;
}

SEC("sockops")
ACCEPT int u2(struct bpf_sock_ops *c)
{
	BODY(bpf_sock_hash_update(c, &sh, &k, 0));
	return 0;
}

SEC("sockops")
REJECT("cannot pass map_type 15 into func bpf_sock_hash_update#70")
int u3(struct bpf_sock_ops *c)
{
	BODY(bpf_sock_hash_update(c, &sm, &k, 0));
	return 0;
}

SEC("sockops")
REJECT("cannot pass map_type 15 into func bpf_map_update_elem#2")
int u4(struct bpf_sock_ops *c)
{
	int k = 0;
	struct bpf_sock *s = c->sk;
	if (!s)
		return 0;
	bpf_map_update_elem(&sm, &k, s, 0);
	return 0;
}

SEC("sockops")
REJECT("R3 type=sock_or_null expected=sock_common, sock, tcp_sock, xdp_sock, ptr_, trusted_ptr_")
int u4n(struct bpf_sock_ops *c)
{
	int k = 0;
	struct bpf_sock *s = c->sk;
	bpf_map_update_elem(&sm, &k, s, 0);
	return 0;
}

SEC("sockops")
ACCEPT int u4d(struct bpf_sock_ops *c)
{
	int k = 0;
	bpf_map_delete_elem(&sm, &k);
	return 0;
}

SEC("tc")
ACCEPT int u5(struct __sk_buff *c)
{
	int k = 0;
	struct bpf_sock *s = c->sk;
	if (!s)
		return 0;
	bpf_map_update_elem(&sm, &k, s, 0);
	return 0;
}

SEC("tc")
ACCEPT int u5f(struct __sk_buff *c)
{
	int k = 0;
	struct bpf_sock *s = c->sk;
	if (!s)
		return 0;
	s = bpf_sk_fullsock(s);
	if (!s)
		return 0;
	bpf_map_update_elem(&sh, &k, s, 0);
	return 0;
}

SEC("tc")
REJECT("R3 type=fp expected=sock_common, sock, tcp_sock, xdp_sock, ptr_, trusted_ptr_")
int u6(struct __sk_buff *c)
{
	int k = 0;
	long v = 0;
	bpf_map_update_elem(&sm, &k, &v, 0);
	return 0;
}

SEC("tc")
ACCEPT int u7(struct __sk_buff *c)
{
	int k = 0;
	struct bpf_sock *s = bpf_map_lookup_elem(&sm, &k);
	if (!s)
		return 0;
	int f = s->family;
	bpf_sk_release(s);
	return f;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak")
int u7l(struct __sk_buff *c)
{
	int k = 0;
	struct bpf_sock *s = bpf_map_lookup_elem(&sm, &k);
	if (!s)
		return 0;
	return s->family;
}

SEC("tc")
ACCEPT int u7d(struct __sk_buff *c)
{
	int k = 0;
	bpf_map_delete_elem(&sm, &k);
	return 0;
}

SEC("xdp")
ACCEPT int u8(struct xdp_md *c)
{
	int k = 0;
	struct bpf_sock *s = bpf_map_lookup_elem(&sm, &k);
	if (!s)
		return 0;
	bpf_map_update_elem(&sh, &k, s, 0);
	bpf_sk_release(s);
	return 0;
}

SEC("socket")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak")
int u9(struct __sk_buff *c)
{
	int k = 0;
	struct bpf_sock *s = bpf_map_lookup_elem(&sm, &k);
	if (!s)
		return 0;
	bpf_map_update_elem(&sh, &k, s, 0);
	return 0;
}

SEC("sk_skb/stream_verdict")
REJECT("cannot pass map_type 18 into func bpf_map_update_elem#2")
int u10(struct __sk_buff *c)
{
	int k = 0;
	struct bpf_sock *s = bpf_map_lookup_elem(&sm, &k);
	if (!s)
		return 0;
	bpf_map_update_elem(&sh, &k, s, 0);
	bpf_sk_release(s);
	return 0;
}

SEC("sk_msg")
ACCEPT int u11(struct sk_msg_md *c)
{
	int k = 0;
	return bpf_msg_redirect_map(c, &sm, 0, 0) + bpf_msg_redirect_hash(c, &sh, &k, 0);
}

SEC("sk_msg")
REJECT("cannot pass map_type 15 into func bpf_map_update_elem#2")
int u11b(struct sk_msg_md *c)
{
	int k = 0;
	struct bpf_sock *s = c->sk;
	if (!s)
		return 1;
	bpf_map_update_elem(&sm, &k, s, 0);
	return 1;
}

SEC("sk_skb/stream_verdict")
ACCEPT int u12(struct __sk_buff *c)
{
	int k = 0;
	return bpf_sk_redirect_map(c, &sm, 0, 0) + bpf_sk_redirect_hash(c, &sh, &k, 0);
}

SEC("sk_reuseport")
ACCEPT int u13(struct sk_reuseport_md *c)
{
	int k = 0;
	return bpf_sk_select_reuseport(c, &sm, &k, 0);
}

SEC("sk_reuseport")
ACCEPT int u13b(struct sk_reuseport_md *c)
{
	int k = 0;
	struct bpf_sock *s = c->sk;
	if (!s)
		return 1;
	bpf_map_update_elem(&sm, &k, s, 0);
	return 1;
}

SEC("flow_dissector")
ACCEPT int u14(struct __sk_buff *c)
{
	int k = 0;
	bpf_map_delete_elem(&sm, &k);
	return 0;
}

SEC("sk_lookup")
ACCEPT int u15(struct bpf_sk_lookup *c)
{
	int k = 0;
	struct bpf_sock *s = bpf_map_lookup_elem(&sm, &k);
	if (!s)
		return 1;
	long r = bpf_sk_assign(c, s, 0);
	bpf_map_update_elem(&sm, &k, s, 0);
	bpf_sk_release(s);
	return 1;
}

SEC("raw_tp")
REJECT("cannot pass map_type 15 into func bpf_map_delete_elem#3")
int u16(void *c)
{
	int k = 0;
	bpf_map_delete_elem(&sm, &k);
	return 0;
}

SEC("raw_tp")
REJECT("R3 is of type task_struct but sock_common is expected")
int u16u(void *c)
{
	int k = 0;
	bpf_map_update_elem(&sm, &k, bpf_get_current_task_btf(), 0);
	return 0;
}

SEC("kprobe/x")
REJECT("cannot pass map_type 15 into func bpf_map_delete_elem#3")
int u17(void *c)
{
	int k = 0;
	bpf_map_delete_elem(&sm, &k);
	return 0;
}

SEC("tp/a/b")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak")
int u18(void *c)
{
	int k = 0;
	bpf_map_lookup_elem(&sm, &k);
	return 0;
}

SEC("iter/sockmap")
ACCEPT int u19(struct {
	long m;
	long map;
	int *key;
	struct sock *sk;
} * c)
{
	int k = 0;
	struct sock *s = c->sk;
	if (!s)
		return 0;
	bpf_map_update_elem(&sm, &k, s, 0);
	return 0;
}

SEC("iter/sockmap")
REJECT("R2 type=rdonly_buf expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
int u20(struct {
	long m;
	long map;
	int *key;
	struct sock *sk;
} * c)
{
	int *k = c->key;
	if (!k)
		return 0;
	bpf_map_delete_elem(&sm, k);
	return *k & 1;
}

SEC("iter/bpf_map_elem")
ACCEPT int u21(struct {
	long m;
	long map;
	int *key;
	int *v;
} * c)
{
	int *k = c->key, *v = c->v;
	if (!k || !v)
		return 0;
	*v = *k;
	return v[100] & 1;
}

SEC("iter/bpf_map_elem")
REJECT("R2 cannot write into rdonly_buf")
int u22(struct {
	long m;
	long map;
	int *key;
	int *v;
} * c)
{
	int *k = c->key, *v = c->v;
	if (!k || !v)
		return 0;
	*k = *v;
	return 0;
}

SEC("iter/bpf_map_elem")
REJECT("R2 invalid rdonly buffer access: off=-4, size=4")
int u23(struct {
	long m;
	long map;
	int *key;
	int *v;
} * c)
{
	int *k = c->key, *v = c->v;
	if (!k || !v)
		return 0;
	return k[-1] & 1;
}

SEC("iter/bpf_map_elem")
REJECT("R1 invalid rdwr buffer access: off=-4, size=4")
int u24(struct {
	long m;
	long map;
	int *key;
	int *v;
} * c)
{
	int *k = c->key, *v = c->v;
	if (!k || !v)
		return 0;
	return v[-1] & 1;
}

SEC("iter/bpf_map_elem")
REJECT("R1 invalid variable buffer offset: off=0, var_off=(0x0; 0x1c)")
int u25(struct {
	long m;
	long map;
	int *key;
	int *v;
} * c)
{
	int *k = c->key, *v = c->v;
	if (!k || !v)
		return 0;
	return v[g & 7] & 1;
}

SEC("iter/bpf_map_elem")
REJECT("R1 invalid mem access 'rdonly_buf_or_null'")
int u26(struct {
	long m;
	long map;
	int *key;
	int *v;
} * c)
{
	int *k = c->key;
	return *k & 1;
}

SEC("iter/bpf_map_elem")
REJECT("R2 type=rdonly_buf expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
int u27(struct {
	long m;
	long map;
	int *key;
	int *v;
} * c)
{
	int *k = c->key, *v = c->v;
	if (!k || !v)
		return 0;
	long x = 0;
	bpf_map_update_elem(&arr, k, v, 0);
	return 0;
}

SEC("iter/bpf_map_elem")
REJECT("R1 type=rdonly_buf expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
int u28(struct {
	long m;
	long map;
	int *key;
	int *v;
} * c)
{
	int *k = c->key, *v = c->v;
	if (!k || !v)
		return 0;
	bpf_probe_read_kernel(k, 4, v);
	return 0;
}

SEC("iter/bpf_map_elem")
ACCEPT int u29(struct {
	long m;
	long map;
	int *key;
	int *v;
} * c)
{
	int *k = c->key, *v = c->v;
	if (!k || !v)
		return 0;
	bpf_probe_read_kernel(v, 40, k);
	return 0;
}

SEC("iter/bpf_map_elem")
ACCEPT int u30(struct {
	long m;
	long map;
	int *key;
	int *v;
} * c)
{
	int *v = c->v;
	if (!v)
		return 0;
	v += 2;
	bpf_probe_read_kernel(v, 40, 0);
	return v[-2] & 1;
}

/* To Linux a socket found in a map is not the same as one that was looked up: it takes more steps. */
SEC("tc")
ACCEPT int either_socket(struct __sk_buff *c)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *s;
	long taken;
	int k = 0;

	if (c->len > 100)
		s = bpf_sk_lookup_tcp(c, &tuple, sizeof(tuple.ipv4), -1, 0);
	else
		s = bpf_map_lookup_elem(&sm, &k);
	if (!s)
		return 0;
	asm volatile("r1 = 0; r1 += 1; r1 += 1; r1 += 1; r1 += 1; r1 += 1; r1 += 1" ::: "r1");
	bpf_get_prandom_u32();
	taken = bpf_get_prandom_u32();
	if (taken & 1)
		bpf_get_prandom_u32();
	asm volatile("r1 = 0; r1 += 1; r1 += 1; r1 += 1; r1 += 1; r1 += 1; r1 += 1" ::: "r1");
	bpf_sk_release(s);
	return taken;
}
