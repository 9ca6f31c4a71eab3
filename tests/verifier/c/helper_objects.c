/* Kernel objects passed to helpers and returned by them. */
#include "expect.h"
#define NOINL __attribute__((noinline))

struct path {
	void *mnt;
};

struct file {
	struct path f_path;
} __attribute__((preserve_access_index));
struct mm_struct;

struct task_struct {
	int pid;
	int tgid;
	struct task_struct *parent;
	struct mm_struct *mm;
	char comm[16];
} __attribute__((preserve_access_index));
struct cgroup;
struct seq_file;
struct sock;

struct vm_area_struct {
	unsigned long vm_start;
} __attribute__((preserve_access_index));

struct bpf_iter_meta {
	struct seq_file *seq;
	unsigned long long session_id, seq_num;
} __attribute__((preserve_access_index));

struct it_task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct it_tf {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	unsigned fd;
	struct file *file;
};

struct it_tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk;
};

struct sock_common {
	unsigned short skc_family;
} __attribute__((preserve_access_index));

struct tcp_sock {
	unsigned snd_cwnd;
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, 1);
	__type(key, int);
	__type(value, long);
} ts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, 1);
	__type(key, int);
	__type(value, long);
} ss SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, long);
	__type(value, long);
} h SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} pe SEC(".maps");

int g;
char buf[64];
#define CUR ((struct task_struct *)bpf_get_current_task_btf())

static NOINL long vma_cb(struct task_struct *t, struct vm_area_struct *v, int *c)
{
	*c = v->vm_start;
	return t->pid & 1;
}

static NOINL long vma_bad(struct task_struct *t, struct vm_area_struct *v, int *c)
{
	return 2;
}

static NOINL long vma_wr(struct task_struct *t, struct vm_area_struct *v, int *c)
{
	v->vm_start = 1;
	return 0;
}
SEC("raw_tp")
ACCEPT int a1(void *c)
{
	return CUR->pid;
}

SEC("raw_tp")
ACCEPT int a2(void *c)
{
	long *p = bpf_task_storage_get(&ts, CUR, 0, 1);
	return p ? *p : 0;
}

SEC("raw_tp")
ACCEPT int a3(void *c)
{
	long *p = bpf_task_storage_get(&ts, 0, 0, 1);
	return p ? *p : 0;
}

SEC("raw_tp")
ACCEPT int a4(void *c)
{
	long *p = bpf_task_storage_get(&ts, CUR->parent, 0, 1);
	return p ? *p : 0;
}

SEC("raw_tp")
REJECT("R2 type=ctx expected=ptr_, trusted_ptr_, rcu_ptr_")
int a5(void *c)
{
	long *p = bpf_task_storage_get(&ts, c, 0, 1);
	return p ? *p : 0;
}

SEC("raw_tp")
ACCEPT int a6(void *c)
{
	bpf_task_storage_delete(&ts, CUR);
	return 0;
}

SEC("raw_tp")
REJECT("R2 is of type mm_struct but task_struct is expected")
int a7(void *c)
{
	long *p = bpf_task_storage_get(&ts, (void *)CUR->mm, 0, 1);
	return p ? *p : 0;
}

SEC("raw_tp")
REJECT("bpf_probe_read_kernel() may write into memory pointed by R1 type=trusted_ptr_")
int a8(void *c)
{
	bpf_probe_read_kernel(CUR, 8, c);
	return 0;
}

SEC("raw_tp")
ACCEPT int a9(void *c)
{
	return bpf_probe_read_kernel(buf, 16, CUR);
}

SEC("raw_tp")
REJECT("bpf_map_update_elem() may write into memory pointed by R2 type=trusted_ptr_")
int a10(void *c)
{
	bpf_map_update_elem(&h, CUR, buf, 0);
	return 0;
}

SEC("raw_tp")
REJECT("bpf_map_update_elem() may write into memory pointed by R3 type=trusted_ptr_")
int a11(void *c)
{
	long k = 0;
	bpf_map_update_elem(&h, &k, CUR, 0);
	return 0;
}

SEC("raw_tp")
ACCEPT int a12(void *c)
{
	return bpf_get_task_stack(CUR, buf, 64, 0);
}

SEC("raw_tp")
ACCEPT int a13(void *c)
{
	struct task_struct *t = CUR;
	return bpf_perf_event_output(c, &pe, 0, t, 8);
}

SEC("raw_tp")
ACCEPT int a13b(void *c)
{
	struct task_struct *t = CUR;
	return bpf_perf_event_output(c, &pe, 0, t->comm, 16);
}

SEC("raw_tp")
REJECT("access beyond the end of member comm (mend:1768) in struct task_struct with off 1752 size 17")
int a13c(void *c)
{
	struct task_struct *t = CUR;
	return bpf_perf_event_output(c, &pe, 0, t->comm, 17);
}

SEC("raw_tp")
ACCEPT int a14(void *c)
{
	void *r = (void *)bpf_task_pt_regs(CUR);
	return *(long *)r;
}

SEC("raw_tp")
ACCEPT int a15(void *c)
{
	int x = 0;
	bpf_find_vma(CUR, 0, vma_cb, &x, 0);
	return x;
}

SEC("raw_tp")
REJECT("At callback return the register R0 has smin=2 smax=2 should have been in [0, 1]")
int a16(void *c)
{
	int x = 0;
	bpf_find_vma(CUR, 0, vma_bad, &x, 0);
	return x;
}

SEC("raw_tp")
REJECT("only read is supported")
int a17(void *c)
{
	int x = 0;
	bpf_find_vma(CUR, 0, vma_wr, &x, 0);
	return x;
}

SEC("raw_tp")
ACCEPT int a18(void *c)
{
	int x = 0;
	bpf_find_vma(CUR->parent, 0, vma_cb, &x, 0);
	return x;
}

SEC("raw_tp")
ACCEPT int a19(void *c)
{
	return bpf_strncmp((void *)CUR->comm, 16, "abc");
}

SEC("raw_tp")
REJECT("only read is supported")
int a20(void *c)
{
	CUR->pid = 3;
	return 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int b1(unsigned long long *c)
{
	long *p = bpf_task_storage_get(&ts, (void *)c[1], 0, 1);
	return p ? *p : 0;
}

SEC("tp_btf/sched_switch")
REJECT("R2 type=scalar expected=ptr_, trusted_ptr_, rcu_ptr_")
int b2(unsigned long long *c)
{
	long *p = bpf_task_storage_get(&ts, (void *)c[0], 0, 1);
	return p ? *p : 0;
}

SEC("tp_btf/tcp_probe")
ACCEPT int b3(unsigned long long *c)
{
	struct sock *sk = (void *)c[0];
	long *p = bpf_sk_storage_get(&ss, sk, 0, 1);
	return p ? *p : 0;
}

SEC("tp_btf/tcp_probe")
ACCEPT int b4(unsigned long long *c)
{
	struct sock *sk = (void *)c[0];
	struct tcp_sock *t = (void *)bpf_skc_to_tcp_sock(sk);
	return t ? t->snd_cwnd : 0;
}

SEC("tp_btf/tcp_probe")
REJECT("R0 invalid mem access 'ptr_or_null_'")
int b5(unsigned long long *c)
{
	struct sock *sk = (void *)c[0];
	struct tcp_sock *t = (void *)bpf_skc_to_tcp_sock(sk);
	return t->snd_cwnd;
}

SEC("tp_btf/tcp_probe")
REJECT("R2 is of type sk_buff but sock_common is expected")
int b6(unsigned long long *c)
{
	return bpf_sk_storage_delete(&ss, (void *)c[1]);
}

SEC("tp_btf/kfree_skb")
ACCEPT int b7(unsigned long long *c)
{
	return bpf_skb_output((void *)c[0], &pe, 0, buf, 8);
}

SEC("tp_btf/kfree_skb")
REJECT("R1 type=trusted_ptr_or_null_ expected=ptr_, trusted_ptr_, rcu_ptr_")
int b8(unsigned long long *c)
{
	return bpf_skb_output((void *)c[3], &pe, 0, buf, 8);
}

SEC("iter/task")
ACCEPT int i1(struct it_task *c)
{
	static const char f[] = "%d\n";
	struct task_struct *t = c->task;
	if (!t)
		return 0;
	unsigned long long d[1] = {t->pid};
	bpf_seq_printf(c->meta->seq, f, sizeof(f), d, 8);
	return 0;
}

SEC("iter/task")
REJECT("R1 invalid mem access 'trusted_ptr_or_null_'")
int i2(struct it_task *c)
{
	struct task_struct *t = c->task;
	return t->pid & 1;
}

SEC("iter/task")
ACCEPT int i3(struct it_task *c)
{
	struct task_struct *t = c->task;
	if (!t)
		return 0;
	bpf_seq_write(c->meta->seq, t->comm, 16);
	return 0;
}

SEC("iter/task")
ACCEPT int i4(struct it_task *c)
{
	struct task_struct *t = c->task;
	long *p = bpf_task_storage_get(&ts, t, 0, 0);
	return p ? *p & 1 : 0;
}

SEC("iter/task")
REJECT("R1 is of type task_struct but seq_file is expected")
int i5(struct it_task *c)
{
	struct task_struct *t = c->task;
	if (!t)
		return 0;
	bpf_seq_write((void *)t, buf, 16);
	return 0;
}

SEC("iter/task_file")
ACCEPT int i6(struct it_tf *c)
{
	struct file *f = c->file;
	if (!f)
		return 0;
	bpf_d_path(&f->f_path, buf, 64);
	return 0;
}

SEC("iter/task_file")
ACCEPT int i7(struct it_tf *c)
{
	struct file *f = c->file;
	if (!f)
		return 0;
	void *s = (void *)bpf_sock_from_file(f);
	return s != 0;
}

SEC("iter/tcp")
ACCEPT int i8(struct it_tcp *c)
{
	struct sock_common *s = c->sk;
	if (!s)
		return 0;
	struct tcp_sock *t = (void *)bpf_skc_to_tcp_sock(s);
	if (!t)
		return 0;
	int x;
	return bpf_getsockopt(s, 6, 13, &x, 4) & 1;
}

SEC("iter/tcp")
REJECT("R1 type=trusted_ptr_or_null_ expected=sock_common, sock, tcp_sock, xdp_sock, ptr_, trusted_ptr_")
int i9(struct it_tcp *c)
{
	struct sock_common *s = c->sk;
	int x;
	return bpf_getsockopt(s, 6, 13, &x, 4) & 1;
}

SEC("iter.s/task")
ACCEPT int i10(struct it_task *c)
{
	struct task_struct *t = c->task;
	if (!t)
		return 0;
	return bpf_copy_from_user_task(buf, 16, 0, t, 0) & 1;
}

SEC("tc")
ACCEPT int t1(struct __sk_buff *c)
{
	struct bpf_sock *s = c->sk;
	if (!s)
		return 0;
	struct tcp_sock *t = (void *)bpf_skc_to_tcp_sock(s);
	return t ? t->snd_cwnd : 0;
}

SEC("tc")
ACCEPT int t2(struct __sk_buff *c)
{
	struct bpf_sock_tuple tu = {};
	struct bpf_sock *s = bpf_sk_lookup_tcp(c, &tu, 12, -1, 0);
	if (!s)
		return 0;
	struct tcp_sock *t = (void *)bpf_skc_to_tcp_sock(s);
	int r = t ? t->snd_cwnd : 0;
	bpf_sk_release(s);
	return r;
}

SEC("tc")
ACCEPT int t3(struct __sk_buff *c)
{
	struct bpf_sock_tuple tu = {};
	struct bpf_sock *s = bpf_sk_lookup_tcp(c, &tu, 12, -1, 0);
	if (!s)
		return 0;
	struct tcp_sock *t = (void *)bpf_skc_to_tcp_sock(s);
	if (t)
		bpf_sk_release(t);
	else
		bpf_sk_release(s);
	return 0;
}

SEC("tc")
REJECT("R8 invalid mem access 'scalar'")
int t4(struct __sk_buff *c)
{
	struct bpf_sock_tuple tu = {};
	struct bpf_sock *s = bpf_sk_lookup_tcp(c, &tu, 12, -1, 0);
	if (!s)
		return 0;
	struct tcp_sock *t = (void *)bpf_skc_to_tcp_sock(s);
	bpf_sk_release(s);
	return t ? t->snd_cwnd : 0;
}

/* That a task has saved registers is known to the kernel, and not to its verifier. */
SEC("raw_tp")
REJECT("R1 invalid mem access 'scalar'")
int no_registers(void *c)
{
	void *registers = (void *)bpf_task_pt_regs(CUR);

	if (!registers)
		asm volatile("r1 = 0; r0 = *(u64 *)(r1 + 0); r0 = 0; exit");
	return *(long *)registers & 0;
}
