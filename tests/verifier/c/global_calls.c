/* Calls of global functions: results, locks, sleeping, packets, references. */
#include "expect.h"
#define __arg_ctx __attribute__((btf_decl_tag("arg:ctx")))
#define __arg_nonnull __attribute((btf_decl_tag("arg:nonnull")))
#define NI __attribute__((noinline, weak))
#define OP(x)                                 \
	({                                    \
		void *_p = (void *)(long)(x); \
		asm volatile("" : "+r"(_p));  \
		_p;                           \
	})
int g;

struct val {
	struct bpf_spin_lock l;
	int x;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct val);
} arr SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, int);
} progs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} rb SEC(".maps");

struct S {
	int x, y;
};

NI long r_ctx(void *c __arg_ctx)
{
	return (long)c;
}

NI int f_int(int x)
{
	return x + g;
}

NI int f_ptr(struct S *p)
{
	return p ? p->x : 1;
}

NI void f_void(int x)
{
	g = x;
}

NI int f_sleep(int x)
{
	char b[8];
	bpf_copy_from_user(b, 8, (void *)8);
	return b[0];
}

NI int f_pkt(struct __sk_buff *s)
{
	return bpf_skb_pull_data(s, 0);
}

NI int f_pkt2(struct __sk_buff *s)
{
	return f_pkt(s);
}

NI int f_tail(struct __sk_buff *s)
{
	bpf_tail_call(s, &progs, 0);
	return 1;
}

NI int f_ref(int x)
{
	void *p = bpf_ringbuf_reserve(&rb, 8, 0);
	return p != 0;
}

NI int f_rec2(int x);

NI int f_loadbytes(struct __sk_buff *s)
{
	int x;
	bpf_skb_load_bytes(s, 0, &x, 4);
	return x;
}

static __attribute__((noinline)) int st_pkt(struct __sk_buff *s)
{
	asm volatile("");
	return bpf_skb_pull_data(s, 0);
}
SEC("tc")
REJECT("At subprogram exit the register R0 is not a scalar value (ctx)")
int c1(struct __sk_buff *c)
{
	return r_ctx(c);
}

SEC("tc")
REJECT("use static function instead")
int c2(struct __sk_buff *c)
{
	int k = 0;
	struct val *v = bpf_map_lookup_elem(&arr, &k);
	if (!v)
		return 0;
	bpf_spin_lock(&v->l);
	f_int(1);
	bpf_spin_unlock(&v->l);
	return 0;
}

SEC("tc")
REJECT("use static function instead")
int c2b(struct __sk_buff *c)
{
	int k = 0;
	struct val *v = bpf_map_lookup_elem(&arr, &k);
	if (!v)
		return 0;
	bpf_spin_lock(&v->l);
	f_ptr(OP(7));
	bpf_spin_unlock(&v->l);
	return 0;
}

SEC("tc")
REJECT("use static function instead")
int c2c(struct __sk_buff *c)
{
	int k = 0;
	struct val *v = bpf_map_lookup_elem(&arr, &k);
	if (!v)
		return 0;
	bpf_spin_lock(&v->l);
	f_void(7);
	bpf_spin_unlock(&v->l);
	return 0;
}

SEC("raw_tp")
REJECT("a non-sleepable BPF program context")
int c3(void *c)
{
	return f_sleep(1);
}

SEC("syscall")
ACCEPT int c3s(void *c)
{
	return f_sleep(1);
}

SEC("tc")
REJECT("R6 invalid mem access 'scalar'")
int c4(struct __sk_buff *c)
{
	char *d = (void *)(long)c->data, *e = (void *)(long)c->data_end;
	if (d + 4 > e)
		return 0;
	f_pkt(c);
	return d[0];
}

SEC("tc")
REJECT("R6 invalid mem access 'scalar'")
int c4b(struct __sk_buff *c)
{
	char *d = (void *)(long)c->data, *e = (void *)(long)c->data_end;
	if (d + 4 > e)
		return 0;
	f_pkt2(c);
	return d[0];
}

SEC("tc")
ACCEPT int c4c(struct __sk_buff *c)
{
	char *d = (void *)(long)c->data, *e = (void *)(long)c->data_end;
	if (d + 4 > e)
		return 0;
	f_loadbytes(c);
	return d[0];
}

SEC("tc")
REJECT("R6 invalid mem access 'scalar'")
int c4d(struct __sk_buff *c)
{
	char *d = (void *)(long)c->data, *e = (void *)(long)c->data_end;
	if (d + 4 > e)
		return 0;
	f_tail(c);
	return d[0];
}

SEC("tc")
ACCEPT int c4e(struct __sk_buff *c)
{
	char *d = (void *)(long)c->data, *e = (void *)(long)c->data_end;
	if (d + 4 > e)
		return 0;
	bpf_tail_call(c, &progs, 0);
	return d[0];
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak")
int c5(struct __sk_buff *c)
{
	return f_ref(1);
}

SEC("tc")
ACCEPT int c6(struct __sk_buff *c)
{
	void *p = bpf_ringbuf_reserve(&rb, 8, 0);
	f_int(1);
	if (p)
		bpf_ringbuf_discard(p, 0);
	return 0;
}

SEC("tc")
ACCEPT int c7(struct __sk_buff *c)
{
	void *p = bpf_ringbuf_reserve(&rb, 8, 0);
	if (!p)
		return 0;
	int r = f_ptr(p);
	bpf_ringbuf_discard(p, 0);
	return r;
}

SEC("tc")
ACCEPT int c8(struct __sk_buff *c)
{
	return f_int(OP(c) != 0);
}
