/* Formats, strings, numbers read from text, and a context passed as memory. */
#include "expect.h"
char out[64];
unsigned long long data[8];
int g;
char wfmt[] = "%d";
#define FMT(s) static const char fmt[] = s
SEC("tc")
REJECT("Invalid format string")
int s2(void *c)
{
	FMT("%d");
	return bpf_snprintf(out, 64, fmt, data, g & 8);
}

SEC("tc")
REJECT("Invalid format string")
int s3(void *c)
{
	FMT("%d");
	return bpf_snprintf(out, 64, fmt, data, g & 15);
}

SEC("tc")
ACCEPT int s4(void *c)
{
	FMT("a");
	return bpf_snprintf(out, 64, fmt, 0, 0);
}

SEC("tc")
ACCEPT int s5(void *c)
{
	FMT("a");
	return bpf_snprintf(0, 0, fmt, 0, 0);
}

SEC("tc")
REJECT("R3 does not point to a readonly map'")
int s6(void *c)
{
	return bpf_snprintf(out, 64, wfmt, data, 8);
}

SEC("tc")
REJECT("R3 type=fp expected=map_value")
int s7(void *c)
{
	char f[] = "%d";
	return bpf_snprintf(out, 64, f, data, 8);
}

SEC("tc")
ACCEPT int s8(void *c)
{
	FMT("%d");
	return bpf_snprintf(out, 65, fmt, data, 8);
}

SEC("tc")
REJECT("R4 min value is outside of the allowed memory range")
int s9(void *c)
{
	FMT("%d");
	return bpf_snprintf(out, 64, fmt, data, 72);
}

SEC("tc")
REJECT("R3 is not a constant address'")
int s10(void *c)
{
	FMT("%d %d");
	return bpf_snprintf(out, 64, fmt + (g & 1), data, 16);
}

SEC("tc")
REJECT("Invalid format string")
int s11(void *c)
{
	FMT("%d");
	int n = g;
	if (n < 8 || n > 16)
		return 0;
	return bpf_snprintf(out, 64, fmt, data, n);
}

SEC("tc")
ACCEPT int n1(void *c)
{
	FMT("abc");
	return bpf_strncmp(out, 64, fmt);
}

SEC("tc")
REJECT("R3 does not point to a readonly map'")
int n2(void *c)
{
	return bpf_strncmp(out, 64, wfmt);
}

SEC("tc")
REJECT("R2 invalid zero-sized read: u64=[0,0]")
int n3(void *c)
{
	FMT("abc");
	return bpf_strncmp(out, 0, fmt);
}

SEC("tc")
ACCEPT int n4(void *c)
{
	static const char fmt[3] = {'a', 'b', 'c'};
	return bpf_strncmp(out, 3, fmt);
}

SEC("tc")
ACCEPT int n5(void *c)
{
	FMT("abc");
	return bpf_strncmp(out, 65, fmt);
}

SEC("tc")
REJECT("R2 invalid zero-sized read: u64=[0,7]")
int n6(void *c)
{
	FMT("abc");
	return bpf_strncmp(out, g & 7, fmt);
}

SEC("cgroup/sysctl")
ACCEPT int t1(void *c)
{
	long v;
	FMT("12");
	return bpf_strtol(fmt, 2, 0, &v) & 1;
}

SEC("cgroup/sysctl")
ACCEPT int t2(void *c)
{
	long v;
	FMT("12");
	bpf_strtol(fmt, 2, 0, &v);
	return v & 1;
}

SEC("cgroup/sysctl")
REJECT("invalid write to stack R4 off=-4 size=8")
int t3(void *c)
{
	int v;
	FMT("12");
	return bpf_strtol(fmt, 2, 0, (long *)&v) & 1;
}

SEC("cgroup/sysctl")
REJECT("misaligned stack access off 0+-19+0 size 8")
int t4(void *c)
{
	char b[20];
	FMT("12");
	return bpf_strtol(fmt, 2, 0, (long *)(b + 1)) & 1;
}

SEC("cgroup/sysctl")
REJECT("R2 invalid zero-sized read: u64=[0,0]")
int t5(void *c)
{
	unsigned long v;
	FMT("12");
	return bpf_strtoul(fmt, 0, 0, &v) & 1;
}

SEC("cgroup/setsockopt")
ACCEPT int r1(void *c)
{
	bpf_set_retval(-5);
	return bpf_get_retval() & 1;
}

SEC("cgroup/setsockopt")
ACCEPT int r2(void *c)
{
	bpf_set_retval(g);
	return 1;
}

SEC("cgroup/setsockopt")
ACCEPT int r3(void *c)
{
	bpf_set_retval((long)c);
	return 1;
}

SEC("tc")
ACCEPT int m1(void *c)
{
	unsigned mtu = 0;
	return bpf_check_mtu(c, 0, &mtu, 0, 0);
}

SEC("tc")
ACCEPT int m2(void *c)
{
	unsigned mtu;
	return bpf_check_mtu(c, 0, &mtu, 0, 0);
}

SEC("tc")
REJECT("misaligned stack access off 0+-15+0 size 4")
int m3(void *c)
{
	char b[12] = {};
	return bpf_check_mtu(c, 0, (void *)(b + 1), 0, 0);
}

SEC("xdp")
ACCEPT int m4(void *c)
{
	unsigned mtu = 0;
	bpf_check_mtu(c, 0, &mtu, 0, 0);
	return mtu;
}

SEC("xdp")
REJECT("R3 type=scalar expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
int m5(void *c)
{
	return bpf_check_mtu(c, 0, 0, 0, 0);
}

SEC("raw_tp")
ACCEPT int x1(void *c)
{
	char b[8];
	bpf_probe_read_kernel(b, 8, c);
	return b[0];
}

SEC("raw_tp")
REJECT("bpf_probe_read_kernel() may write into memory pointed by R1 type=trusted_ptr_")
int x2(void *c)
{
	void *t = bpf_get_current_task_btf();
	bpf_probe_read_kernel(t, 8, c);
	return 0;
}

SEC("raw_tp")
REJECT("R1 type=ctx expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
int x3(void *c)
{
	bpf_probe_read_kernel(c, 8, c);
	return 0;
}

SEC("kprobe/x")
REJECT("R1 type=ctx expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
int x4(void *c)
{
	bpf_probe_read_kernel(c, 8, c);
	return 0;
}

SEC("raw_tp")
REJECT("R1 type=ctx expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
int x5(void *c)
{
	return bpf_strncmp(c, 8, "abc");
}

SEC("kprobe/x")
REJECT("R1 type=ctx expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
int x6(void *c)
{
	return bpf_strncmp(c, 8, "abc");
}

SEC("kprobe/x")
REJECT("R1 type=ctx expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
int x7(void *c)
{
	return bpf_strncmp(c, 169, "abc");
}

SEC("tp/a/b")
REJECT("R1 type=ctx expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
int x8(void *c)
{
	return bpf_strncmp(c, 8, "abc");
}

SEC("tp/a/b")
REJECT("R1 type=ctx expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
int x9(void *c)
{
	return bpf_strncmp(c, 9, "abc");
}

SEC("syscall")
REJECT("R1 type=ctx expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
int x10(void *c)
{
	return bpf_strncmp(c, 9, "abc");
}

SEC("syscall")
REJECT("R1 type=ctx expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
int x11(void *c)
{
	bpf_probe_read_kernel(c, 100, 0);
	return 0;
}

SEC("tc")
REJECT("R1 type=ctx expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
int x12(void *c)
{
	return bpf_strncmp(c, 9, "abc");
}

SEC("syscall")
REJECT("R1 type=ctx expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
int x13(void *c)
{
	return bpf_strncmp(c + 5, 9, "abc");
}

SEC("syscall")
REJECT("R1 type=ctx expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
int x14(void *c)
{
	return bpf_strncmp(c, g & 15, "abc");
}

SEC("syscall")
REJECT("R1 type=ctx expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
int x15(void *c)
{
	return bpf_strncmp(c + (g & 15), 3, "abc");
}

SEC("kprobe/x")
REJECT("R1 type=ctx expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
int x16(void *c)
{
	return bpf_strncmp(c + 8, 3, "abc");
}

SEC("netfilter")
REJECT("R1 type=ctx expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")
int x17(void *c)
{
	return bpf_strncmp(c, 3, "abc") & 1;
}

SEC("syscall")
REJECT("dereference of modified ctx ptr R1 off=64000 disallowed")
int x18(int *c)
{
	c[4000] = 1;
	return c[16000];
}

SEC("syscall")
REJECT("dereference of modified ctx ptr R1 off=65536 disallowed")
int x19(int *c)
{
	return c[16384];
}

SEC("syscall")
REJECT("variable ctx access var_off=(0x0; 0x1c) disallowed")
int x20(int *c)
{
	return c[g & 7];
}

SEC("syscall")
REJECT("BPF_ATOMIC stores into R1 ctx is not allowed")
int x21(int *c)
{
	__sync_fetch_and_add(c, 1);
	return 0;
}

SEC("syscall")
ACCEPT int x22(int *c)
{
	c++;
	return *c;
}

SEC("syscall")
REJECT("math between ctx pointer and register with unbounded min value is not allowed")
int x23(int *c)
{
	c += g;
	return *c;
}
