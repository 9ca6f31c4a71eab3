/* Programs that replace a function of another program: which functions may be, and by what. */
#include "expect.h"

struct task_struct {
	int pid;
} __attribute__((preserve_access_index));

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} __attribute__((preserve_access_index));

struct pt_regs {
	unsigned long r15;
};

typedef struct pt_regs bpf_user_pt_regs_t;

struct bpf_perf_event_data {
	bpf_user_pt_regs_t regs;
	__u64 sample_period;
	__u64 addr;
};

#define __arg_nonnull __attribute((btf_decl_tag("arg:nonnull")))
#define __arg_ctx __attribute__((btf_decl_tag("arg:ctx")))
#define __arg_trusted __attribute((btf_decl_tag("arg:trusted")))
#define NI __attribute__((noinline))

struct pair {
	int x;
	int y;
};

struct other {
	int x;
	int y;
};

union two {
	int x;
	char bytes[8];
};

char room[16];

enum answer { NO, YES };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct pair);
} values SEC(".maps");

int seen;

/* What is replaced. */

NI int g_int(int x)
{
	return x + seen;
}

NI int g_two(int x, long y)
{
	return x + y + seen;
}

NI long g_long(long x)
{
	return x + seen;
}

NI unsigned int g_unsigned(unsigned int x)
{
	return x + seen;
}

NI int g_pair(struct pair *p)
{
	return p ? p->x : 0;
}

NI int g_pair_nonnull(struct pair *p __arg_nonnull)
{
	return p->x;
}

NI int g_context(struct xdp_md *ctx)
{
	return ctx->data_end - ctx->data + seen;
}

NI enum answer g_enum(enum answer a)
{
	return a ? seen : NO;
}

static NI int s_int(int x)
{
	seen += x;
	return x * 3 + seen;
}

static NI int s_pair(struct pair *p, int unused)
{
	seen += p->x;
	return p->y * 5 + seen;
}

NI int g_moves(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_head(ctx, 0);
}

static NI void s_void(int x)
{
	seen += x * 7;
}

NI int g_unused(int x)
{
	return x - seen;
}

SEC("xdp") ACCEPT int target(struct xdp_md *ctx)
{
	struct pair pair = {};

	s_void(ctx->rx_queue_index);
	return g_int(1) + g_two(1, 2) + g_long(3) + g_unsigned(7) + g_pair(&pair) + g_pair_nonnull(&pair) + g_context(ctx) +
	       g_enum(YES) + s_int(ctx->ingress_ifindex) + s_pair(&pair, 0) +
	       g_moves(ctx);
}

NI int t_context(struct __sk_buff *skb)
{
	return skb->len + seen;
}

SEC("tc") ACCEPT int target_tc(struct __sk_buff *skb)
{
	return t_context(skb);
}

SEC("kprobe") ACCEPT int target_kprobe(void *ctx)
{
	return g_int(1);
}

SEC("fentry/bpf_fentry_test1") ACCEPT int target_fentry(void *ctx)
{
	seen = g_int(1);
	return 0;
}

SEC("raw_tp") ACCEPT int target_raw(void *ctx)
{
	return g_int(1);
}

SEC("syscall") ACCEPT int target_syscall(void *ctx)
{
	return g_int(1);
}

NI int g_sleeps(void *user)
{
	char to[8];

	return bpf_copy_from_user(to, 8, user) ? 0 : seen;
}

SEC("cgroup/connect4") ACCEPT int target_connect(struct bpf_sock_addr *ctx)
{
	return g_int(1) & 1;
}

SEC("fentry/bpf_fentry_test1") ACCEPT int typed_fentry(unsigned long long *ctx __arg_ctx)
{
	seen = g_int(1);
	return 0;
}

SEC("fexit/bpf_fentry_test1") ACCEPT int typed_fexit(unsigned long long *ctx __arg_ctx)
{
	return 0;
}

SEC("tp_btf/sched_switch") ACCEPT int typed_tp_btf(unsigned long long *ctx __arg_ctx)
{
	return g_int(1);
}

SEC("fmod_ret/bpf_modify_return_test") ACCEPT int typed_fmod_ret(unsigned long long *ctx __arg_ctx)
{
	return 0;
}

SEC("lsm/file_open") ACCEPT int typed_lsm(unsigned long long *ctx __arg_ctx)
{
	seen = g_int(1);
	return 0;
}

SEC("iter/task") ACCEPT int typed_iter(struct bpf_iter__task *ctx)
{
	seen = g_int(1);
	return 0;
}

SEC("raw_tp") ACCEPT int typed_raw(struct bpf_raw_tracepoint_args *ctx)
{
	return 0;
}

SEC("kprobe") ACCEPT int typed_kprobe(struct pt_regs *ctx)
{
	return 0;
}

SEC("kprobe") ACCEPT int typed_kprobe_user(bpf_user_pt_regs_t *ctx)
{
	return 0;
}

SEC("perf_event") ACCEPT int typed_perf_event(struct bpf_perf_event_data *ctx)
{
	return 0;
}

NI int g_tagged(struct __sk_buff *ctx __arg_ctx)
{
	return ctx->len + seen;
}

NI int g_dynptr(const struct bpf_dynptr *d)
{
	return bpf_dynptr_data(d, 0, 1) ? 1 : seen;
}

NI int g_trusted(struct task_struct *task __arg_trusted)
{
	return task ? seen : 0;
}

NI int g_union(union two *u)
{
	return u ? u->x : 0;
}

NI int g_five(int a, int b, int c, int d, int e)
{
	return a + b + c + d + e + seen;
}

NI int g_number(unsigned long *p)
{
	return p ? *p : seen;
}

NI int g_short(short a, char b, _Bool c)
{
	return a + b + c + seen;
}

SEC("tc") ACCEPT int target_more(struct __sk_buff *ctx)
{
	struct bpf_dynptr d;
	union two u = {};
	unsigned long n = 0;

	bpf_dynptr_from_mem(room, sizeof(room), 0, &d);
	return g_tagged(ctx) + g_dynptr(&d) + g_union(&u) + g_five(1, 2, 3, 4, 5) + g_number(&n) + g_short(1, 2, 1);
}

SEC("tp_btf/task_newtask") ACCEPT int target_task(unsigned long long *ctx)
{
	return g_trusted((void *)ctx[0]);
}

/* What replaces it. */

#define EXT(function, prog) SEC("freplace/" #function) TARGET(#prog)

EXT(g_int, target) ACCEPT int x_int(int x)
{
	return x + 2;
}

EXT(g_int, target) ACCEPT int x_int_anything(int x)
{
	return bpf_get_prandom_u32();
}

EXT(g_int, target) ACCEPT int x_int_helper(int x)
{
	return bpf_csum_diff(0, 0, 0, 0, x);
}

EXT(g_int, target) REJECT("program of this type cannot use helper bpf_skb_load_bytes#26")
int x_int_other_helper(int x)
{
	return bpf_skb_load_bytes((void *)0, 0, 0, 0);
}

EXT(g_int, target) REJECT("R1 invalid mem access 'scalar'")
int x_int_plain_pointer(int x)
{
	return *(int *)(long)x;
}

EXT(g_int, target) REJECT("x_count() has 2 args while g_int() has 1 args")
int x_count(int x, int y)
{
	return x + y;
}

EXT(g_int, target) REJECT("x_none() has 0 args while g_int() has 1 args")
int x_none(void)
{
	return 0;
}

EXT(g_int, target) ACCEPT long x_result(int x)
{
	return x;
}

EXT(g_int, target) ACCEPT unsigned int x_result_unsigned(int x)
{
	return x;
}

EXT(g_int, target) REJECT("Return type PTR of x_result_pointer() doesn't match type INT of g_int()")
void *x_result_pointer(int x)
{
	return 0;
}

EXT(g_int, target) REJECT("Return type UNKNOWN of x_result_void() doesn't match type INT of g_int()")
void x_result_void(int x)
{
	seen = x;
}

EXT(g_int, target) REJECT("arg0 in x_long_argument() has size 8 while g_int() has 4")
int x_long_argument(long x)
{
	return x;
}

EXT(g_int, target) ACCEPT int x_unsigned_argument(unsigned int x)
{
	return x;
}

EXT(g_int, target) REJECT("arg0 in x_pointer_argument() is PTR while g_int() has INT")
int x_pointer_argument(struct pair *x)
{
	return 0;
}

EXT(g_int, target) REJECT("Return type ENUM of x_enum_result() doesn't match type INT of g_int()")
enum answer x_enum_result(int x)
{
	return YES;
}

EXT(g_int, target) REJECT("arg0 in x_enum_argument() is ENUM while g_int() has INT")
int x_enum_argument(enum answer x)
{
	return x;
}

EXT(g_enum, target) ACCEPT enum answer x_enum(enum answer x)
{
	return YES;
}

EXT(g_enum, target) REJECT("Return type INT of x_enum_as_int() doesn't match type ENUM of g_enum()")
int x_enum_as_int(int x)
{
	return 1;
}

EXT(g_two, target) ACCEPT int x_two(int x, long y)
{
	return x + y;
}

EXT(g_two, target) REJECT("arg0 in x_two_swapped() has size 8 while g_two() has 4")
int x_two_swapped(long x, int y)
{
	return x + y;
}

EXT(g_long, target) ACCEPT long x_long(long x)
{
	return x;
}

EXT(g_pair, target) ACCEPT int x_pair(struct pair *p)
{
	return p ? p->y : 0;
}

EXT(g_pair, target) REJECT("R1 invalid mem access 'mem_or_null'")
int x_pair_unchecked(struct pair *p)
{
	return p->y;
}

EXT(g_pair, target) ACCEPT int x_pair_nonnull(struct pair *p __arg_nonnull)
{
	return p->y;
}

EXT(g_pair_nonnull, target) ACCEPT int x_pair_nonnull_same(struct pair *p __arg_nonnull)
{
	return p->y;
}

EXT(g_pair_nonnull, target) REJECT("R1 invalid mem access 'mem_or_null'")
int x_pair_nonnull_unchecked(struct pair *p)
{
	return p->y;
}

EXT(g_pair, target) REJECT("arg0 x_pair_other(struct other *) doesn't match g_pair(struct pair *)")
int x_pair_other(struct other *p)
{
	return p ? p->y : 0;
}

EXT(g_pair, target) REJECT("arg0 in x_pair_void() is not a pointer to context")
int x_pair_void(void *p)
{
	return 0;
}

EXT(g_pair, target) REJECT("arg0 in x_pair_int() is not a pointer to context")
int x_pair_int(int *p)
{
	return 0;
}

EXT(g_pair, target) REJECT("arg0 in x_pair_number() is INT while g_pair() has PTR")
int x_pair_number(long p)
{
	return 0;
}

EXT(g_context, target) ACCEPT int x_context(struct xdp_md *ctx)
{
	return ctx->ingress_ifindex;
}

EXT(g_context, target) ACCEPT int x_context_packet(struct xdp_md *ctx)
{
	char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	return data + 1 <= end ? *data : 0;
}

EXT(g_context, target) REJECT("invalid bpf_context access off=64 size=4")
int x_context_outside(struct xdp_md *ctx)
{
	return *(int *)((char *)ctx + 64);
}

EXT(g_context, target) REJECT("arg0 x_context_of_tc(struct __sk_buff *) doesn't match g_context(struct xdp_md *)")
int x_context_of_tc(struct __sk_buff *ctx)
{
	return ctx->len;
}

EXT(g_context, target) REJECT("Extension program changes packet data, while original does not")
int x_context_moves(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_head(ctx, 0);
}

EXT(g_context, target) REJECT("Extension program changes packet data, while original does not")
int x_context_helper_of_tc(struct xdp_md *ctx)
{
	return bpf_skb_pull_data((void *)ctx, 0);
}

EXT(g_context, target) REJECT("arg0 in x_context_void() is not a pointer to context")
int x_context_void(void *ctx)
{
	return 1;
}

EXT(g_context, target) REJECT("arg0 in x_context_tagged() is not a pointer to context")
int x_context_tagged(void *ctx __arg_ctx)
{
	return 1;
}

EXT(g_moves, target) ACCEPT int x_moves(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_head(ctx, 0);
}

EXT(g_moves, target) ACCEPT int x_moves_not(struct xdp_md *ctx)
{
	return 0;
}

EXT(s_int, target) REJECT("s_int() is not a global function")
int x_static(int x)
{
	return x;
}

EXT(g_unused, target) REJECT("Subprog g_unused doesn't exist")
int x_unused(int x)
{
	return x;
}

EXT(target, target) ACCEPT int x_main(struct xdp_md *ctx)
{
	return XDP_DROP;
}

EXT(target, target) ACCEPT int x_main_anything(struct xdp_md *ctx)
{
	return 77;
}

EXT(target, target) ACCEPT int x_main_moves(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_head(ctx, 0);
}

EXT(target, target) REJECT("x_main_two() has 2 args while target() has 1 args")
int x_main_two(struct xdp_md *ctx, int x)
{
	return 0;
}

EXT(target_tc, target_tc) ACCEPT int x_tc(struct __sk_buff *skb)
{
	return skb->len;
}

EXT(t_context, target_tc) ACCEPT int x_tc_function(struct __sk_buff *skb)
{
	skb->mark = 3;
	return skb->priority;
}

EXT(t_context, target_tc) REJECT("arg0 x_tc_xdp(struct xdp_md *) doesn't match t_context(struct __sk_buff *)")
int x_tc_xdp(struct xdp_md *ctx)
{
	return 0;
}

EXT(target_kprobe, target_kprobe) REJECT("Cannot replace static functions")
int x_kprobe_main(void *ctx)
{
	return 0;
}

EXT(g_int, target_kprobe) REJECT("R1 type=scalar expected=ctx")
int x_kprobe(int x)
{
	return bpf_get_func_ip((void *)0);
}

EXT(target_fentry, target_fentry) REJECT("Cannot replace static functions")
int x_fentry_main(void *ctx)
{
	return 0;
}

EXT(g_int, target_fentry) REJECT("Cannot extend fentry/fexit")
int x_fentry(int x)
{
	return 0;
}

EXT(g_int, target_raw) ACCEPT int x_raw(int x)
{
	return 0;
}

EXT(target_raw, target_raw) REJECT("Cannot replace static functions")
int x_raw_main(void *ctx)
{
	return 0;
}

EXT(g_int, target_syscall) ACCEPT int x_syscall(int x)
{
	return 0;
}

EXT(g_int, target_syscall) REJECT("helper call might sleep in a non-sleepable prog")
int x_syscall_sleeps(int x)
{
	char to[8];

	return bpf_copy_from_user(to, 8, 0);
}

EXT(target_connect, target_connect) REJECT("At program exit the register R0 has smin=3 smax=3 should have been in [0, 1]")
int x_connect(struct bpf_sock_addr *ctx)
{
	return 3;
}

EXT(g_int, target_connect) REJECT("At program exit the register R0 has smin=3 smax=3 should have been in [0, 1]")
int x_connect_function(int x)
{
	return 3;
}

EXT(x_int, x_int) REJECT("Cannot recursively attach")
int x_extension(int x)
{
	return 0;
}

EXT(g_int, target) ACCEPT int x_tail(int x)
{
	struct pair pair = {};

	return g_pair(&pair);
}

EXT(g_int, target) REJECT("R3 !read_ok")
int x_uninitialised(int x)
{
	int y;
	asm volatile("%0 = r3" : "=r"(y));
	return y;
}

EXT(g_long, target) ACCEPT long x_returns_pointer(long x)
{
	int key = 0;

	return (long)bpf_map_lookup_elem(&values, &key);
}

/* Programs that watch another program. */

#define ENTRY(function, prog) SEC("fentry/" #function) TARGET(#prog)
#define LEAVE(function, prog) SEC("fexit/" #function) TARGET(#prog)

ENTRY(target, target) ACCEPT int e_main(unsigned long long *ctx)
{
	return 0;
}

ENTRY(target, target) ACCEPT int e_main_argument(unsigned long long *ctx)
{
	seen = ctx[0];
	return 0;
}

ENTRY(target, target) REJECT("cannot access ptr member data with moff 0 in struct xdp_buff with off 0 size 1")
int e_main_read(unsigned long long *ctx)
{
	seen = **(char **)ctx;
	return 0;
}

ENTRY(target, target) REJECT("invalid bpf_context access off=8 size=8")
int e_main_second(unsigned long long *ctx)
{
	seen = ctx[1];
	return 0;
}

ENTRY(target, target) REJECT("At program exit the register R0 has smin=1 smax=1 should have been in [0, 0]")
int e_main_one(unsigned long long *ctx)
{
	return 1;
}

LEAVE(target, target) ACCEPT int l_main(unsigned long long *ctx)
{
	seen = ctx[1];
	return 0;
}

LEAVE(target, target) REJECT("invalid bpf_context access off=16 size=8")
int l_main_behind(unsigned long long *ctx)
{
	seen = ctx[2];
	return 0;
}

LEAVE(g_int, target) ACCEPT int l_int(unsigned long long *ctx)
{
	seen = ctx[0] + ctx[1];
	return 0;
}

LEAVE(g_pair, target) REJECT("invalid bpf_context access off=0 size=8")
int l_pair(unsigned long long *ctx)
{
	seen = ctx[0];
	return 0;
}

LEAVE(g_pair, target) REJECT("invalid bpf_context access off=0 size=8")
int l_pair_read(struct pair **ctx)
{
	seen = ctx[0]->x;
	return 0;
}

LEAVE(g_pair, target) REJECT("invalid bpf_context access off=0 size=4")
int l_pair_half(unsigned *ctx)
{
	seen = ctx[0];
	return 0;
}

ENTRY(s_int, target) ACCEPT int e_static(unsigned long long *ctx)
{
	seen = ctx[0];
	return 0;
}

ENTRY(s_int, target) REJECT("invalid bpf_context access off=8 size=8")
int e_static_behind(unsigned long long *ctx)
{
	seen = ctx[1];
	return 0;
}

ENTRY(g_unused, target) REJECT("Subprog g_unused doesn't exist")
int e_unused(unsigned long long *ctx)
{
	return 0;
}

ENTRY(target_kprobe, target_kprobe) ACCEPT int e_kprobe(unsigned long long *ctx)
{
	seen = ctx[0];
	return 0;
}

ENTRY(target_kprobe, target_kprobe) ACCEPT int e_kprobe_fifth(unsigned long long *ctx)
{
	seen = ctx[4];
	return 0;
}

ENTRY(target_kprobe, target_kprobe) REJECT("invalid bpf_context access off=40 size=8")
int e_kprobe_sixth(unsigned long long *ctx)
{
	seen = ctx[5];
	return 0;
}

ENTRY(target_tc, target_tc) REJECT("cannot access ptr member next with moff 0 in struct (anon) with off 0 size 1")
int e_tc(unsigned long long *ctx)
{
	seen = **(char **)ctx;
	return 0;
}

ENTRY(target_raw, target_raw) ACCEPT int e_raw(unsigned long long *ctx)
{
	return 0;
}

ENTRY(target_fentry, target_fentry) ACCEPT int e_fentry(unsigned long long *ctx)
{
	return 0;
}

ENTRY(g_int, target_fentry) ACCEPT int e_fentry_function(unsigned long long *ctx)
{
	return 0;
}

ENTRY(x_int, x_int) ACCEPT int e_extension(unsigned long long *ctx)
{
	return 0;
}

SEC("fmod_ret/g_int") TARGET("target") REJECT("can't modify return codes of BPF programs")
int m_int(unsigned long long *ctx)
{
	return 0;
}

SEC("fmod_ret/target") TARGET("target") REJECT("can't modify return codes of BPF programs")
int m_main(unsigned long long *ctx)
{
	return 0;
}

SEC("fentry.s/target") TARGET("target") REJECT("target is not sleepable")
int e_sleepable(unsigned long long *ctx)
{
	return 0;
}

SEC("fentry.s/target_syscall") TARGET("target_syscall") REJECT("target_syscall is not sleepable")
int e_sleepable_syscall(unsigned long long *ctx)
{
	return 0;
}

SEC("tp_btf/g_int") TARGET("target") REJECT("Only FENTRY/FEXIT progs are attachable to another BPF prog")
int e_tracepoint(unsigned long long *ctx)
{
	return 0;
}

SEC("lsm/g_int") TARGET("target") REJECT("only programs of types ext and tracing can name another program")
int e_lsm(unsigned long long *ctx)
{
	return 0;
}

LEAVE(target, target) ACCEPT int l_helpers(unsigned long long *ctx)
{
	__u64 value;

	seen = bpf_get_func_ret(ctx, &value) + bpf_get_func_arg(ctx, 0, &value) + bpf_get_func_arg_cnt(ctx);
	return 0;
}

LEAVE(target, target) ACCEPT int l_address(unsigned long long *ctx)
{
	seen = bpf_get_func_ip(ctx);
	return 0;
}

/* More of both. */

EXT(typed_fentry, typed_fentry) REJECT("Cannot extend fentry/fexit")
int x_typed_fentry(unsigned long long *ctx)
{
	return 0;
}

EXT(g_int, typed_fentry) REJECT("Cannot extend fentry/fexit")
int x_typed_fentry_function(int x)
{
	return 0;
}

EXT(typed_fexit, typed_fexit) REJECT("Cannot extend fentry/fexit")
int x_typed_fexit(unsigned long long *ctx)
{
	return 0;
}

EXT(typed_tp_btf, typed_tp_btf) REJECT("arg0 in x_typed_tp_btf() is not a pointer to context")
int x_typed_tp_btf(unsigned long long *ctx)
{
	return ctx[0];
}

EXT(g_int, typed_tp_btf) ACCEPT int x_typed_tp_btf_function(int x)
{
	return 5;
}

EXT(typed_fmod_ret, typed_fmod_ret) REJECT("arg0 in x_typed_fmod_ret() is not a pointer to context")
int x_typed_fmod_ret(unsigned long long *ctx)
{
	return 0;
}

EXT(typed_lsm, typed_lsm) REJECT("arg0 in x_typed_lsm() is not a pointer to context")
int x_typed_lsm(unsigned long long *ctx)
{
	return 1;
}

EXT(typed_lsm, typed_lsm) REJECT("arg0 in x_typed_lsm_argument() is not a pointer to context")
int x_typed_lsm_argument(unsigned long long *ctx)
{
	seen = ctx[0];
	return 0;
}

EXT(g_int, typed_lsm) ACCEPT int x_typed_lsm_function(int x)
{
	return 1;
}

EXT(g_int, typed_lsm) ACCEPT int x_typed_lsm_function_zero(int x)
{
	return 0;
}

EXT(typed_iter, typed_iter) REJECT("Cannot replace static functions")
int x_typed_iter(struct bpf_iter__task *ctx)
{
	return 0;
}

EXT(g_int, typed_iter) REJECT("programs of iterators cannot be extended")
int x_typed_iter_function(int x)
{
	return 2;
}

EXT(typed_raw, typed_raw) REJECT("At program exit the register R0 has unknown scalar value should have been in [0, 0]")
int x_typed_raw(struct bpf_raw_tracepoint_args *ctx)
{
	return ctx->args[0];
}

EXT(typed_kprobe, typed_kprobe) ACCEPT int x_typed_kprobe(struct pt_regs *ctx)
{
	return ctx->r15;
}

EXT(typed_kprobe_user, typed_kprobe_user) ACCEPT int x_typed_kprobe_user(bpf_user_pt_regs_t *ctx)
{
	return ctx->r15;
}

EXT(typed_perf_event, typed_perf_event) ACCEPT int x_typed_perf_event(struct bpf_perf_event_data *ctx)
{
	return ctx->addr;
}

EXT(g_tagged, target_more) ACCEPT int x_tagged(struct __sk_buff *ctx __arg_ctx)
{
	return 0;
}

EXT(g_tagged, target_more) ACCEPT int x_tagged_as(struct __sk_buff *ctx)
{
	return ctx->len;
}

EXT(g_tagged, target_more) REJECT("arg0 in x_tagged_not() is not a pointer to context")
int x_tagged_not(void *ctx)
{
	return 0;
}

EXT(g_dynptr, target_more) ACCEPT int x_dynptr(const struct bpf_dynptr *d)
{
	return bpf_dynptr_data(d, 0, 1) ? 1 : 0;
}

EXT(g_union, target_more) ACCEPT int x_union(union two *u)
{
	return u ? u->x : 0;
}

EXT(g_five, target_more) ACCEPT int x_five(int a, int b, int c, int d, int e)
{
	return a + e;
}

EXT(g_number, target_more) REJECT("arg0 in x_number() is not a pointer to context")
int x_number(unsigned long *p)
{
	return p ? *p : 0;
}

EXT(g_number, target_more) REJECT("arg0 in x_number_void() is not a pointer to context")
int x_number_void(void *p)
{
	return 0;
}

EXT(g_short, target_more) ACCEPT int x_short(short a, char b, _Bool c)
{
	return a;
}

EXT(g_short, target_more) REJECT("arg1 in x_short_other() has size 2 while g_short() has 1")
int x_short_other(short a, short b, _Bool c)
{
	return a;
}

EXT(g_short, target_more) ACCEPT int x_short_bool(short a, char b, char c)
{
	return a;
}

EXT(g_trusted, target_task) ACCEPT int x_trusted(struct task_struct *task __arg_trusted)
{
	return task->pid;
}

EXT(g_trusted, target_task) ACCEPT int x_trusted_not(struct task_struct *task)
{
	return 0;
}

EXT(s_pair, target) REJECT("Cannot replace static functions")
int x_static_pair(struct pair *p, int unused)
{
	return 0;
}

ENTRY(s_pair, target) ACCEPT int e_static_pair(unsigned long long *ctx)
{
	seen = ctx[0];
	return 0;
}

ENTRY(s_pair, target) ACCEPT int e_static_pair_fourth(unsigned long long *ctx)
{
	seen = ctx[3];
	return 0;
}

LEAVE(s_pair, target) ACCEPT int l_static_pair_fourth(unsigned long long *ctx)
{
	seen = ctx[3];
	return 0;
}

LEAVE(s_pair, target) ACCEPT int l_static_pair_result(unsigned long long *ctx)
{
	seen = ctx[5];
	return 0;
}

LEAVE(s_pair, target) REJECT("invalid bpf_context access off=48 size=8")
int l_static_pair_behind(unsigned long long *ctx)
{
	seen = ctx[6];
	return 0;
}

ENTRY(g_context, target) REJECT("cannot access ptr member data with moff 0 in struct xdp_buff with off 0 size 1")
int e_context(unsigned long long *ctx)
{
	seen = **(char **)ctx;
	return 0;
}

LEAVE(g_context, target) ACCEPT int l_context_result(unsigned long long *ctx)
{
	seen = ctx[1];
	return 0;
}

LEAVE(g_two, target) ACCEPT int l_two(unsigned long long *ctx)
{
	seen = ctx[0] + ctx[1] + ctx[2];
	return 0;
}

LEAVE(g_two, target) ACCEPT int l_two_half(unsigned *ctx)
{
	seen = ctx[0];
	return 0;
}

LEAVE(g_tagged, target_more) ACCEPT int l_tagged(unsigned long long *ctx)
{
	seen = ctx[0];
	return 0;
}

LEAVE(g_number, target_more) ACCEPT int l_number(unsigned long long *ctx)
{
	seen = ctx[0];
	return 0;
}

ENTRY(typed_fentry, typed_fentry) ACCEPT int e_typed_fentry(unsigned long long *ctx)
{
	return 0;
}

ENTRY(typed_fentry, typed_fentry) ACCEPT int e_typed_fentry_argument(unsigned long long *ctx)
{
	seen = ctx[0];
	return 0;
}

ENTRY(typed_lsm, typed_lsm) ACCEPT int e_typed_lsm(unsigned long long *ctx)
{
	seen = ctx[0];
	return 0;
}

ENTRY(typed_raw, typed_raw) ACCEPT int e_typed_raw(unsigned long long *ctx)
{
	seen = ctx[0];
	return 0;
}

ENTRY(typed_kprobe, typed_kprobe) ACCEPT int e_typed_kprobe(unsigned long long *ctx)
{
	seen = ctx[0];
	return 0;
}

ENTRY(typed_kprobe, typed_kprobe) ACCEPT int e_typed_kprobe_read(unsigned long long **ctx)
{
	seen = *ctx[0];
	return 0;
}

ENTRY(typed_iter, typed_iter) ACCEPT int e_typed_iter(unsigned long long *ctx)
{
	seen = ctx[0];
	return 0;
}

ENTRY(e_main, e_main) ACCEPT int e_nested(unsigned long long *ctx)
{
	return 0;
}

LEAVE(l_main, l_main) ACCEPT int l_nested(unsigned long long *ctx)
{
	return 0;
}

ENTRY(e_typed_fentry, e_typed_fentry) REJECT("Cannot nest tracing program attach more than once")
int e_nested_twice(unsigned long long *ctx)
{
	return 0;
}

EXT(e_main, e_main) REJECT("Cannot replace static functions")
int x_nested(unsigned long long *ctx)
{
	return 0;
}

EXT(typed_perf_event, typed_perf_event) REJECT("R2 min value is outside of the allowed memory range")
int x_perf_event_helper(struct bpf_perf_event_data *ctx)
{
	return bpf_perf_prog_read_value(ctx, (void *)room, 24);
}

ENTRY(x_main, x_main) REJECT("cannot access ptr member data with moff 0 in struct xdp_buff with off 0 size 1")
int e_extension_main(unsigned long long *ctx)
{
	seen = **(char **)ctx;
	return 0;
}

LEAVE(x_int, x_int) ACCEPT int l_extension(unsigned long long *ctx)
{
	seen = ctx[1];
	return 0;
}

SEC("fentry/bpf_fentry_test1") ACCEPT int struct_fentry(struct bpf_raw_tracepoint_args *ctx __arg_ctx)
{
	seen = ctx->args[0];
	return 0;
}

SEC("tp_btf/sched_switch") ACCEPT int struct_tp_btf(struct bpf_raw_tracepoint_args *ctx __arg_ctx)
{
	return 0;
}

SEC("fmod_ret/bpf_modify_return_test") ACCEPT int struct_fmod_ret(struct bpf_raw_tracepoint_args *ctx __arg_ctx)
{
	return 0;
}

SEC("lsm/file_open") ACCEPT int struct_lsm(struct bpf_raw_tracepoint_args *ctx __arg_ctx)
{
	return 0;
}

SEC("iter/task") ACCEPT int struct_iter(struct bpf_iter__task *ctx __arg_ctx)
{
	return 0;
}

EXT(struct_fentry, struct_fentry) REJECT("Cannot replace static functions")
int x_struct_fentry(struct bpf_raw_tracepoint_args *ctx __arg_ctx)
{
	return 0;
}

EXT(struct_tp_btf, struct_tp_btf) ACCEPT int x_struct_tp_btf(struct bpf_raw_tracepoint_args *ctx __arg_ctx)
{
	return 3;
}

EXT(struct_tp_btf, struct_tp_btf) REJECT("invalid bpf_context access off=8 size=8")
int x_struct_tp_btf_read(struct bpf_raw_tracepoint_args *ctx __arg_ctx)
{
	return ctx->args[1];
}

EXT(struct_fmod_ret, struct_fmod_ret) REJECT("Cannot replace static functions")
int x_struct_fmod_ret(struct bpf_raw_tracepoint_args *ctx __arg_ctx)
{
	return 7;
}

EXT(struct_fmod_ret, struct_fmod_ret) REJECT("Cannot replace static functions")
int x_struct_fmod_ret_read(struct bpf_raw_tracepoint_args *ctx __arg_ctx)
{
	return ctx->args[0];
}

EXT(struct_lsm, struct_lsm) REJECT("Cannot replace static functions")
int x_struct_lsm(struct bpf_raw_tracepoint_args *ctx __arg_ctx)
{
	return 7;
}

EXT(struct_lsm, struct_lsm) REJECT("Cannot replace static functions")
int x_struct_lsm_read(struct bpf_raw_tracepoint_args *ctx __arg_ctx)
{
	return ctx->args[0];
}

EXT(struct_iter, struct_iter) REJECT("programs of iterators cannot be extended")
int x_struct_iter(struct bpf_iter__task *ctx __arg_ctx)
{
	return 0;
}

ENTRY(struct_lsm, struct_lsm) ACCEPT int e_struct_lsm(unsigned long long *ctx)
{
	seen = ctx[0];
	return 0;
}

ENTRY(struct_iter, struct_iter) REJECT("invalid bpf_context access off=0 size=8")
int e_struct_iter(unsigned long long *ctx)
{
	seen = ctx[0];
	return 0;
}

ENTRY(struct_fentry, struct_fentry) ACCEPT int e_struct_fentry(unsigned long long *ctx)
{
	seen = ctx[0];
	return 0;
}

ENTRY(typed_perf_event, typed_perf_event) ACCEPT int e_typed_perf_event(unsigned long long *ctx)
{
	seen = ctx[0];
	return 0;
}

ENTRY(target_connect, target_connect) ACCEPT int e_connect(unsigned long long **ctx)
{
	seen = ctx[0][0];
	return 0;
}

EXT(struct_tp_btf, struct_tp_btf) REJECT("invalid bpf_context access off=0 size=8")
int x_struct_tp_btf_first(struct bpf_raw_tracepoint_args *ctx __arg_ctx)
{
	return ctx->args[0];
}

ENTRY(typed_raw, typed_raw) REJECT("Type 'long long unsigned int' is not a struct")
int e_typed_raw_read(unsigned long long **ctx)
{
	seen = ctx[0][0];
	return 0;
}

ENTRY(typed_raw, typed_raw) REJECT("invalid bpf_context access off=0 size=4")
int e_typed_raw_half(unsigned *ctx)
{
	seen = ctx[0];
	return 0;
}

int bpf_copy_from_user_str(void *to, __u32 size, const void *user, __u64 flags) __ksym __weak;

EXT(g_int, target_syscall) REJECT("Extension program may sleep, while original does not")
int x_syscall_sleeps_in_kfunc(int x)
{
	char to[8];

	return bpf_copy_from_user_str(to, 8, 0, 0);
}

NI int handler(unsigned long long cookie)
{
	return cookie + seen;
}

void bpf_throw(__u64 cookie) __ksym;

SEC("tc") __attribute__((btf_decl_tag("exception_callback:handler"))) ACCEPT int target_throws(struct __sk_buff *ctx)
{
	if (ctx->len > 100)
		bpf_throw(1);
	return g_int(2);
}

EXT(handler, target_throws) REJECT("Extension programs cannot attach to exception callback")
int x_handler(unsigned long long cookie)
{
	return 0;
}

ENTRY(handler, target_throws) REJECT("FENTRY/FEXIT programs cannot attach to exception callback")
int e_handler(unsigned long long *ctx)
{
	return 0;
}

EXT(g_int, target_throws) ACCEPT int x_throws(int x)
{
	bpf_throw(1);
	return 0;
}

EXT(g_int, target) ACCEPT int x_calls(int x)
{
	return g_two(x, 3);
}

EXT(g_int, target_tc) REJECT("Subprog g_int doesn't exist")
int x_elsewhere(int x)
{
	return 0;
}

LEAVE(s_void, target) ACCEPT int l_void(unsigned long long *ctx)
{
	seen = ctx[1];
	return 0;
}

LEAVE(s_void, target) ACCEPT int l_void_argument(unsigned long long *ctx)
{
	seen = ctx[0];
	return 0;
}
