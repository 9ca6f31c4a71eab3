/* Global functions whose parameters carry tags. */
#include "expect.h"
#define __arg_ctx __attribute__((btf_decl_tag("arg:ctx")))
#define __arg_nonnull __attribute((btf_decl_tag("arg:nonnull")))
#define __arg_nullable __attribute((btf_decl_tag("arg:nullable")))
#define __arg_trusted __attribute((btf_decl_tag("arg:trusted")))
#define __arg_untrusted __attribute((btf_decl_tag("arg:untrusted")))
#define __arg_arena __attribute((btf_decl_tag("arg:arena")))
#define NI __attribute__((noinline, weak))

struct S {
	int x;
	int y;
};

struct task_struct {
	int pid;
} __attribute__((preserve_access_index));

struct nosuch {
	int pid;
};

#define OP(x)                                 \
	({                                    \
		void *_p = (void *)(long)(x); \
		asm volatile("" : "+r"(_p));  \
		_p;                           \
	})
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

NI int f_nonnull(struct S *p __arg_nonnull)
{
	return p->y;
}

NI int f_nonnull_int(int p __arg_nonnull)
{
	return p;
}

NI int f_ctx_int(int p __arg_ctx)
{
	return p;
}

NI int f_trusted_int(int p __arg_trusted)
{
	return p;
}

NI int f_untrusted_int(int p __arg_untrusted)
{
	return p;
}

NI int f_ctx_nonnull(void *p __arg_ctx __arg_nonnull)
{
	return 1;
}

NI int f_nullable(struct S *p __arg_nullable)
{
	return p ? p->x : 0;
}

NI int f_nullable_nonnull(struct S *p __arg_nullable __arg_nonnull)
{
	return p ? p->x : 0;
}

NI int f_trusted(struct task_struct *p __arg_trusted)
{
	return p->pid;
}

NI int f_trusted_nullable(struct task_struct *p __arg_trusted __arg_nullable)
{
	return p ? p->pid : 0;
}

NI int f_trusted_nullable_nc(struct task_struct *p __arg_trusted __arg_nullable)
{
	return p->pid;
}

NI int f_trusted_nosuch(struct nosuch *p __arg_trusted)
{
	return p->pid;
}

NI int f_untrusted(struct task_struct *p __arg_untrusted)
{
	return p->pid;
}

NI int f_untrusted_void(void *p __arg_untrusted)
{
	return *(int *)p;
}

NI int f_untrusted_int_p(int *p __arg_untrusted)
{
	return *p;
}

NI int f_untrusted_w(int *p __arg_untrusted)
{
	*p = 1;
	return 0;
}

NI int f_untrusted_oob(int *p __arg_untrusted)
{
	return p[3];
}

NI int f_untrusted_S(struct S *p __arg_untrusted)
{
	return p->x;
}

NI int f_untrusted_pp(int **p __arg_untrusted)
{
	return **p;
}

NI int f_untr_null(struct task_struct *p __arg_untrusted __arg_nullable)
{
	return p ? p->pid : 0;
}

NI int f_arena(int *p __arg_arena)
{
	return p != 0;
}

NI int f_arena_deref(int *p __arg_arena)
{
	return *p;
}

NI int f_badtag(int *p __attribute__((btf_decl_tag("arg:foo"))))
{
	return *p;
}

NI int f_dynptr(struct bpf_dynptr *p)
{
	return p != 0;
}

NI int f_dynptr_c(const struct bpf_dynptr *p)
{
	return p != 0;
}

struct by {
	int a, b;
};

NI int f_byval(struct by b)
{
	return b.a;
}

NI int f_i128(__int128 b)
{
	return b;
}

NI char f_rchar(int b)
{
	return b;
}

NI unsigned long f_rul(int b)
{
	return b;
}

NI _Bool f_rbool(int b)
{
	return b;
}

NI int f_six(int *a)
{
	return 1;
}

NI int f_func(int (*fn)(int))
{
	return fn != 0;
}

SEC("xdp")
ACCEPT int a4(struct xdp_md *c)
{
	struct S s = {1, 2};
	return f_nonnull(&s);
}

SEC("xdp")
ACCEPT int a4null(struct xdp_md *c)
{
	return f_nonnull(OP(0));
}

SEC("xdp")
ACCEPT int a4maybe(struct xdp_md *c)
{
	int k = 0;
	struct S *s = bpf_map_lookup_elem(&arr, &k);
	return f_nonnull(s);
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f_nonnull')")
int a4maybe2(struct xdp_md *c)
{
	int k = 7;
	struct S *s = bpf_map_lookup_elem(&arr, &k);
	return f_nonnull(s);
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f_nonnull_int')")
int b1(struct xdp_md *c)
{
	return f_nonnull_int(1);
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f_ctx_int')")
int b2(struct xdp_md *c)
{
	return f_ctx_int(1);
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f_trusted_int')")
int b3(struct xdp_md *c)
{
	return f_trusted_int(1);
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f_untrusted_int')")
int b3u(struct xdp_md *c)
{
	return f_untrusted_int(1);
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f_ctx_nonnull')")
int b4(struct xdp_md *c)
{
	return f_ctx_nonnull(c);
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f_nullable')")
int b5(struct xdp_md *c)
{
	return f_nullable(OP(0));
}

SEC("xdp")
REJECT("Caller passes invalid args into func#1 ('f_nullable_nonnull')")
int b6(struct xdp_md *c)
{
	return f_nullable_nonnull(OP(0));
}

SEC("raw_tp")
ACCEPT int b7(void *c)
{
	return f_trusted((void *)bpf_get_current_task_btf());
}

SEC("raw_tp")
REJECT("Caller passes invalid args into func#1 ('f_trusted')")
int b7n(void *c)
{
	return f_trusted(OP(0));
}

SEC("raw_tp")
REJECT("Caller passes invalid args into func#1 ('f_trusted')")
int b7c(void *c)
{
	return f_trusted(c);
}

SEC("raw_tp")
ACCEPT int b8(void *c)
{
	return f_trusted_nullable(OP(0));
}

SEC("raw_tp")
ACCEPT int b8t(void *c)
{
	return f_trusted_nullable((void *)bpf_get_current_task_btf());
}

SEC("raw_tp")
REJECT("R1 invalid mem access 'trusted_ptr_or_null_'")
int b9(void *c)
{
	return f_trusted_nullable_nc((void *)bpf_get_current_task_btf());
}

SEC("raw_tp")
REJECT("Caller passes invalid args into func#1 ('f_trusted_nosuch')")
int b10(void *c)
{
	return f_trusted_nosuch(OP(0));
}

SEC("raw_tp")
ACCEPT int b11(void *c)
{
	return f_untrusted(c);
}

SEC("raw_tp")
ACCEPT int b11t(void *c)
{
	return f_untrusted((void *)bpf_get_current_task_btf());
}

SEC("raw_tp")
ACCEPT int b11s(void *c)
{
	return f_untrusted(OP(5));
}

SEC("raw_tp")
ACCEPT int b12(void *c)
{
	return f_untrusted_void(OP(5));
}

SEC("raw_tp")
ACCEPT int b13(void *c)
{
	return f_untrusted_int_p(OP(5));
}

SEC("raw_tp")
REJECT("R1 cannot write into rdonly_untrusted_mem")
int b14(void *c)
{
	return f_untrusted_w(OP(5));
}

SEC("raw_tp")
ACCEPT int b15(void *c)
{
	return f_untrusted_oob(OP(5));
}

SEC("raw_tp")
REJECT("Caller passes invalid args into func#1 ('f_untrusted_S')")
int b16(void *c)
{
	return f_untrusted_S(OP(5));
}

SEC("raw_tp")
REJECT("Caller passes invalid args into func#1 ('f_untrusted_pp')")
int b17(void *c)
{
	return f_untrusted_pp(OP(5));
}

SEC("raw_tp")
REJECT("Caller passes invalid args into func#1 ('f_untr_null')")
int b18(void *c)
{
	return f_untr_null(OP(5));
}

SEC("raw_tp")
ACCEPT int b19(void *c)
{
	return f_arena(OP(5));
}

SEC("raw_tp")
REJECT("Caller passes invalid args into func#1 ('f_arena')")
int b19c(void *c)
{
	return f_arena(c);
}

SEC("raw_tp")
REJECT("R1 invalid mem access 'scalar'")
int b20(void *c)
{
	return f_arena_deref(OP(5));
}

SEC("raw_tp")
REJECT("Caller passes invalid args into func#1 ('f_badtag')")
int b21(void *c)
{
	return f_badtag(OP(5));
}

SEC("raw_tp")
REJECT("Caller passes invalid args into func#1 ('f_dynptr')")
int b22(void *c)
{
	return f_dynptr(OP(5));
}

SEC("raw_tp")
REJECT("Caller passes invalid args into func#1 ('f_dynptr_c')")
int b22c(void *c)
{
	return f_dynptr_c(OP(5));
}

SEC("raw_tp")
REJECT("Caller passes invalid args into func#1 ('f_byval')")
int b23(void *c)
{
	struct by b = {};
	return f_byval(b);
}

SEC("raw_tp")
ACCEPT int b24(void *c)
{
	return f_i128(5);
}

SEC("raw_tp")
ACCEPT int b25(void *c)
{
	return f_rchar(5);
}

SEC("raw_tp")
ACCEPT int b26(void *c)
{
	return f_rul(5);
}

SEC("raw_tp")
ACCEPT int b27(void *c)
{
	return f_rbool(5);
}

SEC("raw_tp")
ACCEPT int b28(void *c)
{
	return f_func((void *)f_int);
}
