/* Names of the kernel: missing ones, functions, and what is not a per-CPU variable. */
#include "expect.h"

struct rq {
	int cpu;
} __attribute__((preserve_access_index));
extern const struct rq runqueues __ksym;
extern const int bpf_prog_active __ksym;
extern const int nosuchvar __ksym __attribute__((weak));
extern const void bpf_link_fops __ksym;
extern const void nosuchaddr __ksym __attribute__((weak));
extern void bpf_throw(unsigned long long) __ksym;
extern void bpf_nosuchkfunc(int) __ksym __attribute__((weak));
extern int bpf_testmod_ksym_percpu __ksym __attribute__((weak));
SEC("raw_tp")
ACCEPT int v8(void *c)
{
	if (&nosuchvar)
		return nosuchvar;
	return 0;
}

SEC("raw_tp")
ACCEPT int v9(void *c)
{
	if (&nosuchaddr)
		return *(int *)&nosuchaddr;
	return 0;
}

SEC("raw_tp")
ACCEPT int v10(void *c)
{
	if (&bpf_nosuchkfunc)
		bpf_nosuchkfunc(1);
	return 0;
}

SEC("raw_tp")
REJECT("invalid func unknown#2002000001")
int v10b(void *c)
{
	bpf_nosuchkfunc(1);
	return 0;
}

SEC("tc")
ACCEPT int v11(void *c)
{
	if (bpf_throw)
		bpf_throw(1);
	return 0;
}

SEC("tc")
REJECT("R1 min value is outside of the allowed memory range")
int v12(void *c)
{
	return *(int *)bpf_throw;
}

SEC("raw_tp")
REJECT("R1 type=ctx expected=percpu_ptr_, percpu_rcu_ptr_, percpu_trusted_ptr_")
int v18(void *c)
{
	int *r = bpf_this_cpu_ptr(c);
	return *r;
}

SEC("raw_tp")
REJECT("R1 invalid mem access 'scalar'")
int v19(void *c)
{
	return bpf_testmod_ksym_percpu;
}
