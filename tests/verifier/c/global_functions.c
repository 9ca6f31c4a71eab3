/* Global functions: what their parameters take, by type alone. */
#include "expect.h"
#define __arg_ctx __attribute__((btf_decl_tag("arg:ctx")))
#define __arg_nonnull __attribute((btf_decl_tag("arg:nonnull")))
#define __arg_nullable __attribute((btf_decl_tag("arg:nullable")))
#define __arg_trusted __attribute((btf_decl_tag("arg:trusted")))
#define __arg_untrusted __attribute((btf_decl_tag("arg:untrusted")))
#define __arg_arena __attribute((btf_decl_tag("arg:arena")))
#define NI __attribute__((noinline))

struct S {
	int x;
	int y;
};

struct Big {
	char a[600];
};
struct fwd;
int g;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct S);
} arr SEC(".maps");

NI int f_int(int x)
{
	return x + g;
}

NI int f_ptr(struct S *p)
{
	return p ? p->x : 0;
}

NI int f_ptr_nocheck(struct S *p)
{
	return p->x;
}

NI int f_nonnull(struct S *p __arg_nonnull)
{
	return p->y;
}

NI int f_oob(struct S *p __arg_nonnull)
{
	return ((int *)p)[2];
}

NI int f_write(struct S *p __arg_nonnull)
{
	p->y = 3;
	return 0;
}

NI int f_ctx(struct xdp_md *c)
{
	return c->data_end - c->data > 10;
}

NI int f_ctxskb(struct __sk_buff *c)
{
	return c->len;
}

NI int f_ctxtag(void *c __arg_ctx)
{
	return ((struct xdp_md *)c)->ingress_ifindex;
}

NI int f_void(void *c)
{
	return c != 0;
}

NI void f_retvoid(int x)
{
	g = x;
}

NI struct S *f_retptr(int x)
{
	return (void *)(long)g;
}

NI int f_pp(int **p)
{
	return p && *p ? 1 : 0;
}

NI int f_char(char *p)
{
	return p ? *p : 0;
}

NI int f_fwd(struct fwd *p)
{
	return p != 0;
}

NI int f_many(int a, int b, int c, int d, int e)
{
	return a + b + c + d + e + g;
}

NI long f_enum(enum bpf_map_type t)
{
	return t + g;
}

NI int f_arr(int (*p)[4])
{
	return p ? (*p)[3] : 0;
}

NI int f_big(struct Big *p)
{
	return p ? p->a[599] : 0;
}

NI int f_const(const struct S *p)
{
	return p ? p->x : 0;
}

NI int f_union(union {
	int a;
	long b;
} * p)
{
	return p ? p->b : 0;
}

SEC("xdp")
ACCEPT int a1(struct xdp_md *c)
{
	return f_int(3);
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f_int')")
int a1p(struct xdp_md *c)
{
	return f_int((long)c);
}

SEC("xdp")
ACCEPT int a2(struct xdp_md *c)
{
	struct S s = {1, 2};
	return f_ptr(&s);
}

SEC("xdp")
ACCEPT int a2null(struct xdp_md *c)
{
	return f_ptr(0);
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f_ptr')")
int a2short(struct xdp_md *c)
{
	int s = 0;
	asm volatile("" ::"r"(&s) : "memory");
	return f_ptr((void *)&s);
}

SEC("xdp")
ACCEPT int a2uninit(struct xdp_md *c)
{
	struct S s;
	return f_ptr(&s);
}

SEC("xdp")
ACCEPT int a2map(struct xdp_md *c)
{
	int k = 0;
	struct S *s = bpf_map_lookup_elem(&arr, &k);
	return f_ptr(s);
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f_ptr')")
int a2scalar(struct xdp_md *c)
{
	return f_ptr((void *)(long)c->data_meta);
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f_ptr')")
int a2scalar2(struct xdp_md *c)
{
	return f_ptr((void *)(long)c->ingress_ifindex);
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f_ptr')")
int a2ctx(struct xdp_md *c)
{
	return f_ptr((void *)c);
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f_ptr')")
int a2glob(struct xdp_md *c)
{
	return f_ptr((void *)&g);
}

SEC("xdp")
REJECT("R1 invalid mem access 'mem_or_null'")
int a3(struct xdp_md *c)
{
	struct S s = {1, 2};
	return f_ptr_nocheck(&s);
}

SEC("xdp")
ACCEPT int a4(struct xdp_md *c)
{
	struct S s = {1, 2};
	return f_nonnull(&s);
}

SEC("xdp")
REJECT("R1 invalid mem access 'scalar'")
int a4null(struct xdp_md *c)
{
	return f_nonnull(0);
}

SEC("xdp")
ACCEPT int a4maybe(struct xdp_md *c)
{
	int k = 0;
	struct S *s = bpf_map_lookup_elem(&arr, &k);
	return f_nonnull(s);
}

SEC("xdp")
REJECT("R1 min value is outside of the allowed memory range")
int a5(struct xdp_md *c)
{
	struct S s = {1, 2};
	return f_oob(&s);
}

SEC("xdp")
ACCEPT int a6(struct xdp_md *c)
{
	struct S s = {1, 2};
	return f_write(&s) + s.y;
}

SEC("xdp")
ACCEPT int a7(struct xdp_md *c)
{
	return f_ctx(c);
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f_ctx')")
int a7null(struct xdp_md *c)
{
	return f_ctx(0);
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f_ctx')")
int a7sc(struct xdp_md *c)
{
	return f_ctx((void *)5);
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f_ctx')")
int a7st(struct xdp_md *c)
{
	struct xdp_md m = {};
	return f_ctx(&m);
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f_ctxskb')")
int a8(struct xdp_md *c)
{
	return f_ctxskb((void *)c);
}

SEC("xdp")
ACCEPT int a9(struct xdp_md *c)
{
	return f_ctxtag(c);
}

SEC("tc")
ACCEPT int a9tc(struct __sk_buff *c)
{
	return f_ctxtag(c);
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f_void')")
int a10(struct xdp_md *c)
{
	return f_void(c);
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f_retvoid')")
int a11(struct xdp_md *c)
{
	f_retvoid(1);
	return 0;
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f_retptr')")
int a12(struct xdp_md *c)
{
	return f_retptr(1) != 0;
}

SEC("xdp")
ACCEPT int a13(struct xdp_md *c)
{
	int *p = 0;
	return f_pp(&p);
}

SEC("xdp")
ACCEPT int a14(struct xdp_md *c)
{
	char x = 1;
	return f_char(&x);
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f_fwd')")
int a15(struct xdp_md *c)
{
	return f_fwd((void *)&g);
}

SEC("xdp")
ACCEPT int a16(struct xdp_md *c)
{
	return f_many(1, 2, 3, 4, 5);
}

SEC("xdp")
ACCEPT int a17(struct xdp_md *c)
{
	return f_enum(2);
}

SEC("xdp")
ACCEPT int a18(struct xdp_md *c)
{
	int x[4] = {};
	return f_arr(&x);
}

SEC("xdp")
ACCEPT int a19(struct xdp_md *c)
{
	return f_big(0);
}

SEC("xdp")
ACCEPT int a20(struct xdp_md *c)
{
	struct S s = {1, 2};
	return f_const(&s);
}

SEC("xdp")
ACCEPT int a21(struct xdp_md *c)
{
	long b = 1;
	return f_union((void *)&b);
}

SEC("xdp")
ACCEPT int a22(struct xdp_md *c)
{
	char *d = (void *)(long)c->data, *e = (void *)(long)c->data_end;
	if (d + 8 > e)
		return 0;
	return f_ptr((void *)d);
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f_ptr')")
int a23(struct xdp_md *c)
{
	char *d = (void *)(long)c->data, *e = (void *)(long)c->data_end;
	if (d + 4 > e)
		return 0;
	return f_ptr((void *)d);
}
