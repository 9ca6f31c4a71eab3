/* Maps of maps, storages, queues, and maps that programs may only read or write. */
#include "expect.h"

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
	__type(key, struct bpf_cgroup_storage_key);
	__type(value, long);
} cs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
	__type(key, struct bpf_cgroup_storage_key);
	__type(value, long);
} cs2 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE);
	__type(key, struct bpf_cgroup_storage_key);
	__type(value, long);
} pcs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, 1);
	__type(key, int);
	__type(value, long);
} ss SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, 1);
	__type(key, int);
	__type(value, long);
} ts SEC(".maps");

struct inn {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, long);
} inn SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, int);
	__array(values, struct inn);
} outer SEC(".maps") = {.values = {&inn}};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, int);
	__array(values, struct inn);
} houter SEC(".maps") = {.values = {&inn}};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2);
	__type(key, int);
	__type(value, long);
	__uint(map_flags, 1);
} nph SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, int);
	__type(value, long);
	__uint(map_flags, 1024);
} mmp SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, int);
	__type(value, long);
	__uint(map_flags, 128);
} ro SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, int);
	__type(value, long);
	__uint(map_flags, 256);
} wo SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 2);
	__type(value, long);
} bl SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 2);
	__uint(key_size, 4);
	__uint(value_size, 80);
} st SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 2);
	__type(key, int);
	__type(value, long);
} ph SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 2);
	__uint(key_size, 0);
	__type(value, long);
} qu SEC(".maps");

int g;
SEC("cgroup_skb/ingress")
ACCEPT int c1(void *c)
{
	long *p = bpf_get_local_storage(&cs, 0);
	return *p & 1;
}

SEC("cgroup_skb/ingress")
REJECT("only one cgroup storage of each type is allowed")
int c2(void *c)
{
	long *p = bpf_get_local_storage(&cs, 0), *q = bpf_get_local_storage(&cs2, 0);
	return *p & *q & 1;
}

SEC("cgroup_skb/ingress")
ACCEPT int c3(void *c)
{
	long *p = bpf_get_local_storage(&cs, 0), *q = bpf_get_local_storage(&pcs, 0);
	return *p & *q & 1;
}

SEC("cgroup_skb/ingress")
REJECT("get_local_storage() doesn't support non-zero flags")
int c4(void *c)
{
	long *p = bpf_get_local_storage(&cs, 1);
	return *p & 1;
}

SEC("cgroup_skb/ingress")
REJECT("get_local_storage() doesn't support non-zero flags")
int c5(void *c)
{
	long *p = bpf_get_local_storage(&cs, g);
	return *p & 1;
}

SEC("cgroup_skb/ingress")
REJECT("R0 min value is outside of the allowed memory range")
int c6(void *c)
{
	long *p = bpf_get_local_storage(&cs, 0);
	return p[1] & 1;
}

SEC("cgroup_skb/ingress")
REJECT("cannot pass map_type 19 into func bpf_map_lookup_elem#1")
int c7(void *c)
{
	struct bpf_cgroup_storage_key k = {};
	long *p = bpf_map_lookup_elem(&cs, &k);
	return p ? *p & 1 : 0;
}

SEC("tc")
REJECT("program of this type cannot use helper bpf_get_local_storage#81")
int c8(void *c)
{
	long *p = bpf_get_local_storage(&cs, 0);
	return *p & 1;
}

SEC("tc")
ACCEPT int s1(struct __sk_buff *c)
{
	struct bpf_sock *s = c->sk;
	if (!s)
		return 0;
	s = bpf_sk_fullsock(s);
	if (!s)
		return 0;
	long *p = bpf_sk_storage_get(&ss, s, 0, 1);
	return p ? *p : 0;
}

SEC("tc")
ACCEPT int s2(struct __sk_buff *c)
{
	struct bpf_sock *s = c->sk;
	if (!s)
		return 0;
	long *p = bpf_sk_storage_get(&ss, s, 0, 1);
	return p ? *p : 0;
}

SEC("tc")
REJECT("R2 type=sock_common_or_null expected=sock_common, sock, tcp_sock, xdp_sock, ptr_, trusted_ptr_")
int s3(struct __sk_buff *c)
{
	struct bpf_sock *s = c->sk;
	long *p = bpf_sk_storage_get(&ss, s, 0, 1);
	return p ? *p : 0;
}

SEC("tc")
ACCEPT int s4(struct __sk_buff *c)
{
	int k = 0;
	struct bpf_sock *s = c->sk;
	if (!s)
		return 0;
	long v = 1;
	long *p = bpf_sk_storage_get(&ss, s, &v, 1);
	return p ? *p : 0;
}

SEC("tc")
REJECT("cannot pass map_type 29 into func bpf_sk_storage_get#107")
int s5(struct __sk_buff *c)
{
	struct bpf_sock *s = c->sk;
	if (!s)
		return 0;
	long *p = bpf_sk_storage_get(&ts, s, 0, 1);
	return p ? *p : 0;
}

SEC("tc")
REJECT("cannot pass map_type 24 into func bpf_map_lookup_elem#1")
int s6(struct __sk_buff *c)
{
	int k = 0;
	long *p = bpf_map_lookup_elem(&ss, &k);
	return p ? *p : 0;
}

SEC("tc")
ACCEPT int m1(void *c)
{
	int k = 0;
	void *in = bpf_map_lookup_elem(&outer, &k);
	if (!in)
		return 0;
	long *v = bpf_map_lookup_elem(in, &k);
	return v ? *v : 0;
}

SEC("tc")
REJECT("R1 type=map_value_or_null expected=map_ptr")
int m2(void *c)
{
	int k = 0;
	void *in = bpf_map_lookup_elem(&outer, &k);
	long *v = bpf_map_lookup_elem(in, &k);
	return v ? *v : 0;
}

SEC("tc")
ACCEPT int m3(void *c)
{
	int k = 0;
	void *in = bpf_map_lookup_elem(&houter, &k);
	if (!in)
		return 0;
	long *v = bpf_map_lookup_elem(in, &k);
	return v ? *v : 0;
}

SEC("tc")
ACCEPT int m4(void *c)
{
	int k = 0;
	void *in = bpf_map_lookup_elem(&outer, &k);
	if (!in)
		return 0;
	return *(int *)in;
}

SEC("tc")
REJECT("cannot pass map_type 12 into func bpf_map_update_elem#2")
int m5(void *c)
{
	int k = 0;
	long v = 0;
	bpf_map_update_elem(&outer, &k, &v, 0);
	return 0;
}

SEC("tc")
ACCEPT int m6(void *c)
{
	int k = 0;
	void *in = bpf_map_lookup_elem(&outer, &k);
	if (!in)
		return 0;
	long *v = bpf_map_lookup_elem(in, &k);
	return *v;
}

SEC("tc")
REJECT("R0 pointer arithmetic on map_ptr prohibited")
int m7(void *c)
{
	int k = 0;
	void *in = bpf_map_lookup_elem(&outer, &k);
	if (!in)
		return 0;
	in += 8;
	long *v = bpf_map_lookup_elem(in, &k);
	return v ? *v : 0;
}

SEC("perf_event")
ACCEPT int n1(void *c)
{
	int k = 0;
	long *v = bpf_map_lookup_elem(&nph, &k);
	return v ? *v : 0;
}

SEC("kprobe/x")
ACCEPT int n2(void *c)
{
	int k = 0;
	long *v = bpf_map_lookup_elem(&nph, &k);
	return v ? *v : 0;
}

SEC("tc")
REJECT("write into map forbidden, value_size=8 off=0 size=8")
int r1(void *c)
{
	int k = 0;
	long *v = bpf_map_lookup_elem(&ro, &k);
	if (v)
		*v = 1;
	return 0;
}

SEC("tc")
REJECT("read from map forbidden, value_size=8 off=0 size=8")
int r2(void *c)
{
	int k = 0;
	long *v = bpf_map_lookup_elem(&wo, &k);
	return v ? *v : 0;
}

SEC("tc")
REJECT("write into map forbidden")
int r3(void *c)
{
	int k = 0;
	long v = 0;
	bpf_map_update_elem(&ro, &k, &v, 0);
	return 0;
}

SEC("tc")
ACCEPT int r4(void *c)
{
	int k = 0;
	long *v = bpf_map_lookup_elem(&wo, &k);
	if (v)
		bpf_skb_load_bytes(c, 0, v, 8);
	return 0;
}

SEC("tc")
REJECT("write into map forbidden, value_size=8 off=0 size=8")
int r5(void *c)
{
	int k = 0;
	long *v = bpf_map_lookup_elem(&ro, &k);
	if (v)
		bpf_skb_load_bytes(c, 0, v, 8);
	return 0;
}

SEC("tc")
ACCEPT int b1(void *c)
{
	long v = 0;
	return bpf_map_push_elem(&bl, &v, 0) + bpf_map_peek_elem(&bl, &v);
}

SEC("tc")
REJECT("cannot pass map_type 30 into func bpf_map_pop_elem#88")
int b2(void *c)
{
	long v = 0;
	return bpf_map_pop_elem(&bl, &v);
}

SEC("tc")
ACCEPT int b3(void *c)
{
	long v;
	return bpf_map_peek_elem(&bl, &v);
}

SEC("tc")
ACCEPT int b4(void *c)
{
	long v;
	return bpf_map_peek_elem(&qu, &v) + v;
}

SEC("tc")
ACCEPT int b5(void *c)
{
	long v;
	return bpf_map_pop_elem(&qu, &v) + v;
}

SEC("kprobe/x")
ACCEPT int k1(void *c)
{
	return bpf_get_stackid(c, &st, 0);
}

SEC("kprobe/x")
REJECT("cannot pass map_type 7 into func bpf_map_lookup_elem#1")
int k2(void *c)
{
	int k = 0;
	long *v = bpf_map_lookup_elem(&st, &k);
	return v ? *v : 0;
}

SEC("kprobe/x")
REJECT("cannot pass map_type 1 into func bpf_get_stackid#27")
int k3(void *c)
{
	return bpf_get_stackid(c, &nph, 0);
}

SEC("tc")
ACCEPT int p1(void *c)
{
	int k = 0;
	long *v = bpf_map_lookup_percpu_elem(&ph, &k, 0);
	return v ? *v : 0;
}

SEC("tc")
REJECT("cannot pass map_type 1 into func bpf_map_lookup_percpu_elem#195")
int p2(void *c)
{
	int k = 0;
	long *v = bpf_map_lookup_percpu_elem(&nph, &k, 0);
	return v ? *v : 0;
}
