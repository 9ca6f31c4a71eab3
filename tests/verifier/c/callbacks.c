/* Functions that helpers call back: bpf_loop and bpf_for_each_map_elem. */
#include "expect.h"
#define NI __attribute__((noinline, weak))
#define STATIC static __attribute__((noinline))

struct val {
	long a;
	long b;
};

struct lval {
	struct bpf_spin_lock l;
	int x;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, int);
	__type(value, struct val);
} arr SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, long);
	__type(value, struct val);
} hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__type(key, int);
	__type(value, struct val);
} parr SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4);
	__type(key, long);
	__type(value, struct val);
} lru SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, int);
	__type(value, struct lval);
} larr SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} rb SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 4);
	__uint(map_flags, 1);
	__type(key, long);
	__type(value, struct val);
} lpm SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 4);
	__uint(key_size, 0);
	__type(value, struct val);
} q SEC(".maps");

struct c1 {
	long sum;
	int n;
};

int g;

STATIC int l_ok(int i, struct c1 *c)
{
	c->sum += i;
	return 0;
}

STATIC int l_ret2(int i, void *c)
{
	return 2;
}

STATIC int l_retany(int i, void *c)
{
	return g;
}

STATIC int l_ret01(int i, void *c)
{
	return g & 1;
}

STATIC int l_oob(int i, char *c)
{
	return c[i] & 1;
}

STATIC int l_bnd(unsigned i, char *c)
{
	if (i < 16)
		c[i] = 1;
	return 0;
}

STATIC int l_nest(int i, void *c)
{
	struct c1 x = {};
	bpf_loop(3, l_ok, &x, 0);
	return 0;
}

STATIC int l_nullctx(int i, void *c)
{
	return *(int *)c;
}

STATIC int l_leak(int i, void *c)
{
	void *p = bpf_ringbuf_reserve(&rb, 8, 0);
	return 0;
}

STATIC int l_lock(int i, void *c)
{
	struct lval *v = c;
	bpf_spin_lock(&v->l);
	return 0;
}

NI int l_glob(int i, void *c)
{
	return 0;
}

STATIC int l_recur(int i, void *c)
{
	bpf_loop(2, l_retany, c, 0);
	return 0;
}

STATIC int l_idx3(int i, void *c, int third)
{
	return third & 1;
}

STATIC int l_set(int i, int *c)
{
	*c = 5;
	return 0;
}

STATIC int l_caller(int i, void **c)
{
	*c = (void *)bpf_ringbuf_reserve(&rb, 8, 0);
	return 0;
}

STATIC long m_ok(void *map, int *k, struct val *v, struct c1 *c)
{
	c->sum += v->a;
	v->b = *k;
	return 0;
}

STATIC long m_wkey(void *map, int *k, struct val *v, struct c1 *c)
{
	*k = 1;
	return 0;
}

STATIC long m_oobkey(void *map, long *k, struct val *v, struct c1 *c)
{
	return k[1] & 1;
}

STATIC long m_oobval(void *map, long *k, struct val *v, struct c1 *c)
{
	return ((long *)v)[2] & 1;
}

STATIC long m_lookup(void *map, int *k, struct val *v, struct c1 *c)
{
	struct val *w = bpf_map_lookup_elem(map, k);
	return w ? w->a & 1 : 0;
}

STATIC long m_update(void *map, int *k, struct val *v, struct c1 *c)
{
	struct val x = {};
	bpf_map_update_elem(map, k, &x, 0);
	return 0;
}

STATIC long m_del(void *map, long *k, struct val *v, struct c1 *c)
{
	bpf_map_delete_elem(&hash, k);
	return 0;
}

STATIC long m_lock(void *map, int *k, struct lval *v, void *c)
{
	bpf_spin_lock(&v->l);
	v->x++;
	bpf_spin_unlock(&v->l);
	return 0;
}

STATIC long m_ret2(void *map, int *k, struct val *v, void *c)
{
	return 2;
}

STATIC long m_retneg(void *map, int *k, struct val *v, void *c)
{
	return -1;
}

STATIC long m_nest(void *map, int *k, struct val *v, void *c)
{
	bpf_for_each_map_elem(&hash, m_ret2, 0, 0);
	return 0;
}

STATIC long v_cb(void *task, void *vma, void *c)
{
	return 0;
}
SEC("tc")
ACCEPT int p1(void *c)
{
	struct c1 x = {};
	bpf_loop(10, l_ok, &x, 0);
	return x.sum;
}

SEC("tc")
REJECT("At callback return the register R0 has smin=2 smax=2 should have been in [0, 1]")
int p2(void *c)
{
	bpf_loop(10, l_ret2, 0, 0);
	return 0;
}

SEC("tc")
REJECT("At callback return the register R0 has smin=0 smax=4294967295 should have been in [0, 1]")
int p3(void *c)
{
	bpf_loop(10, l_retany, 0, 0);
	return 0;
}

SEC("tc")
ACCEPT int p4(void *c)
{
	bpf_loop(10, l_ret01, 0, 0);
	return 0;
}

SEC("tc")
REJECT("value -2147483648 makes fp pointer be out of bounds")
int p5(void *c)
{
	char b[16] = {};
	bpf_loop(10, l_oob, b, 0);
	return b[0];
}

SEC("tc")
ACCEPT int p6(void *c)
{
	char b[16] = {};
	bpf_loop(10, l_bnd, b, 0);
	return b[0];
}

SEC("tc")
ACCEPT int p7(void *c)
{
	bpf_loop(10, l_nest, 0, 0);
	return 0;
}

SEC("tc")
REJECT("R2 invalid mem access 'scalar'")
int p8(void *c)
{
	bpf_loop(10, l_nullctx, 0, 0);
	return 0;
}

SEC("tc")
REJECT("R3 type=ctx expected=fp")
int p8c(void *c)
{
	bpf_loop(10, l_nullctx, c, 0);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak")
int p9(void *c)
{
	bpf_loop(10, l_leak, 0, 0);
	return 0;
}

SEC("tc")
REJECT("R3 type=map_value expected=fp")
int p10(void *c)
{
	int k = 0;
	struct lval *v = bpf_map_lookup_elem(&larr, &k);
	if (!v)
		return 0;
	bpf_loop(10, l_lock, v, 0);
	return 0;
}

SEC("tc")
REJECT("callback function not static")
int p11(void *c)
{
	bpf_loop(10, l_glob, 0, 0);
	return 0;
}

SEC("tc")
REJECT("At callback return the register R0 has smin=0 smax=4294967295 should have been in [0, 1]")
int p12(void *c)
{
	bpf_loop(10, l_recur, 0, 0);
	return 0;
}

SEC("tc")
REJECT("R3 !read_ok")
int p13(void *c)
{
	bpf_loop(10, l_idx3, 0, 0);
	return 0;
}

SEC("tc")
ACCEPT int p14(void *c)
{
	int x;
	bpf_loop(10, l_set, &x, 0);
	return x;
}

SEC("tc")
ACCEPT int p14b(void *c)
{
	int x = 1;
	bpf_loop(10, l_set, &x, 0);
	if (x != 1 && x != 5) {
		char *p = 0;
		return *p;
	}
	return x;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak")
int p15(void *c)
{
	void *x = 0;
	bpf_loop(10, l_caller, &x, 0);
	if (x)
		bpf_ringbuf_discard(x, 0);
	return 0;
}

SEC("tc")
ACCEPT int p16(void *c)
{
	struct c1 x = {};
	bpf_loop(g, l_ok, &x, 0);
	return 0;
}

SEC("tc")
ACCEPT int p17(void *c)
{
	struct c1 x = {};
	bpf_loop(0, l_ok, &x, 0);
	return 0;
}

SEC("tc")
ACCEPT int p18(void *c)
{
	struct c1 x = {};
	return bpf_loop(10, l_ok, &x, 1);
}

SEC("tc")
ACCEPT int p19(void *c)
{
	struct c1 x = {};
	return bpf_loop(1 << 24, l_ok, &x, 0);
}

SEC("tc")
ACCEPT int p20(void *c)
{
	void *p = bpf_ringbuf_reserve(&rb, 8, 0);
	if (!p)
		return 0;
	struct c1 x = {};
	bpf_loop(4, l_ok, &x, 0);
	bpf_ringbuf_discard(p, 0);
	return 0;
}

SEC("tc")
REJECT("function calls are not allowed while holding a lock")
int p21(void *c)
{
	int k = 0;
	struct lval *v = bpf_map_lookup_elem(&larr, &k);
	if (!v)
		return 0;
	struct c1 x = {};
	bpf_spin_lock(&v->l);
	bpf_loop(4, l_ok, &x, 0);
	bpf_spin_unlock(&v->l);
	return 0;
}

SEC("tc")
REJECT("R2 type=scalar expected=func")
int p22(void *c)
{
	struct c1 x = {};
	bpf_loop(10, (void *)5, &x, 0);
	return 0;
}

SEC("tc")
ACCEPT int q1(void *c)
{
	struct c1 x = {};
	bpf_for_each_map_elem(&arr, m_ok, &x, 0);
	return x.sum;
}

SEC("tc")
REJECT("write to change key R2 not allowed")
int q2(void *c)
{
	struct c1 x = {};
	bpf_for_each_map_elem(&arr, m_wkey, &x, 0);
	return x.sum;
}

SEC("tc")
REJECT("R2 min value is outside of the allowed memory range")
int q3(void *c)
{
	struct c1 x = {};
	bpf_for_each_map_elem(&hash, m_oobkey, &x, 0);
	return x.sum;
}

SEC("tc")
REJECT("R3 min value is outside of the allowed memory range")
int q4(void *c)
{
	struct c1 x = {};
	bpf_for_each_map_elem(&hash, m_oobval, &x, 0);
	return x.sum;
}

SEC("tc")
ACCEPT int q5(void *c)
{
	struct c1 x = {};
	bpf_for_each_map_elem(&arr, m_lookup, &x, 0);
	return x.sum;
}

SEC("tc")
ACCEPT int q6(void *c)
{
	struct c1 x = {};
	bpf_for_each_map_elem(&arr, m_update, &x, 0);
	return x.sum;
}

SEC("tc")
ACCEPT int q7(void *c)
{
	struct c1 x = {};
	bpf_for_each_map_elem(&hash, m_del, &x, 0);
	return x.sum;
}

SEC("tc")
ACCEPT int q8(void *c)
{
	bpf_for_each_map_elem(&larr, m_lock, 0, 0);
	return 0;
}

SEC("tc")
REJECT("At callback return the register R0 has smin=2 smax=2 should have been in [0, 1]")
int q9(void *c)
{
	bpf_for_each_map_elem(&arr, m_ret2, 0, 0);
	return 0;
}

SEC("tc")
REJECT("At callback return the register R0 has smin=-1 smax=-1 should have been in [0, 1]")
int q9n(void *c)
{
	bpf_for_each_map_elem(&arr, m_retneg, 0, 0);
	return 0;
}

SEC("tc")
REJECT("At callback return the register R0 has smin=2 smax=2 should have been in [0, 1]")
int q10(void *c)
{
	bpf_for_each_map_elem(&arr, m_nest, 0, 0);
	return 0;
}

SEC("tc")
ACCEPT int q11(void *c)
{
	struct c1 x = {};
	bpf_for_each_map_elem(&parr, m_ok, &x, 0);
	return x.sum;
}

SEC("tc")
ACCEPT int q12(void *c)
{
	struct c1 x = {};
	bpf_for_each_map_elem(&lru, m_ok, &x, 0);
	return x.sum;
}

SEC("tc")
REJECT("callback function not allowed for map")
int q13(void *c)
{
	struct c1 x = {};
	bpf_for_each_map_elem(&lpm, m_ok, &x, 0);
	return x.sum;
}

SEC("tc")
REJECT("callback function not allowed for map")
int q14(void *c)
{
	struct c1 x = {};
	bpf_for_each_map_elem(&q, m_ok, &x, 0);
	return x.sum;
}

SEC("tc")
REJECT("callback function not allowed for map")
int q15(void *c)
{
	struct c1 x = {};
	bpf_for_each_map_elem(&rb, m_ok, &x, 0);
	return x.sum;
}

SEC("tc")
ACCEPT int q16(void *c)
{
	struct c1 x = {};
	bpf_for_each_map_elem(&arr, m_ok, &x, 5);
	return x.sum;
}

SEC("tc")
REJECT("R4 invalid mem access 'scalar'")
int q17(void *c)
{
	bpf_for_each_map_elem(&arr, m_ok, 0, 0);
	return 0;
}

SEC("raw_tp")
ACCEPT int w1(void *c)
{
	bpf_find_vma((void *)bpf_get_current_task_btf(), 0, v_cb, 0, 0);
	return 0;
}
