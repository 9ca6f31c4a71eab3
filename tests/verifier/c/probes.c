/* Where programs of tracing attach to, what they are given there, what they may return. */
#include "expect.h"

#define BODY                                                                                                           \
	{                                                                                                              \
		return 0;                                                                                              \
	}

/* Refused before their code is looked at. */
SEC("fexit/do_exit")
REJECT("Attaching fexit/fmod_ret to __noreturn function 'do_exit' is rejected.")
int exit_of_what_never_returns(void *ctx) BODY

SEC("fentry/do_exit")
ACCEPT int entry_of_what_never_returns(void *ctx) BODY

SEC("fentry/__rcu_read_lock")
REJECT("Attaching tracing programs to function '__rcu_read_lock' is rejected.")
int entry_of_read_section(void *ctx) BODY

SEC("kprobe.session/do_nanosleep")
ACCEPT int session_returns_zero(void *ctx) BODY

SEC("kprobe.session/do_nanosleep")
ACCEPT int session_returns_one(void *ctx)
{
	return 1;
}

SEC("kprobe.session/do_nanosleep")
REJECT("At program exit the register R0 has smin=2 smax=2 should have been in [0, 1]") int session_returns_two(void *ctx)
{
	return 2;
}

SEC("uprobe.session//bin/sh:main")
REJECT("At program exit the register R0 has smin=2 smax=2 should have been in [0, 1]") int user_session_returns_two(void *ctx)
{
	return 2;
}

SEC("kprobe.multi/do_nanosleep")
ACCEPT int multi_returns_two(void *ctx)
{
	return 2;
}

SEC("uprobe.multi.s//bin/sh:main")
ACCEPT int user_multi_sleeps(void *ctx)
{
	int a;

	bpf_copy_from_user(&a, sizeof(a), 0);
	return 0;
}

SEC("uprobe.s//bin/sh:main")
ACCEPT int user_probe_sleeps(void *ctx)
{
	int a;

	bpf_copy_from_user(&a, sizeof(a), 0);
	return 0;
}

SEC("kprobe/do_nanosleep")
REJECT("invalid bpf_context access off=24 size=8") int registers_written(unsigned long long *ctx)
{
	ctx[3] = 1;
	return 0;
}

SEC("uprobe//bin/sh:main")
REJECT("invalid bpf_context access off=24 size=8") int registers_written_for_user(unsigned long long *ctx)
{
	ctx[3] = 1;
	return 0;
}

SEC("tp_btf/sched_switch")
ACCEPT int tracepoint_returns_one(void *ctx)
{
	return 1;
}

SEC("raw_tp.w/sys_enter")
ACCEPT int writes_where_it_may_not(unsigned long long *ctx)
{
	*(volatile long *)ctx[0] = 1;
	return 0;
}

SEC("raw_tp/sys_enter")
REJECT("R1 invalid mem access 'scalar'") int raw_reads_through(unsigned long long *ctx)
{
	return *(volatile long *)ctx[0];
}

SEC("raw_tp/sys_enter")
REJECT("invalid bpf_context access off=96 size=8") int raw_thirteenth(unsigned long long *ctx)
{
	return ctx[12];
}

SEC("tp/syscalls/sys_enter_write")
ACCEPT int fields_read(char *ctx)
{
	return *(volatile int *)(ctx + 8);
}

SEC("tp/syscalls/sys_enter_write")
REJECT("invalid bpf_context access off=8 size=4") int fields_written(char *ctx)
{
	*(volatile int *)(ctx + 8) = 0;
	return 0;
}

SEC("tp/syscalls/sys_enter_write")
REJECT("invalid bpf_context access off=8192 size=4") int fields_far(char *ctx)
{
	return *(volatile int *)(ctx + 8192);
}

SEC("perf_event")
ACCEPT int event_data(char *ctx)
{
	return *(volatile long *)(ctx + 168);
}

SEC("perf_event")
REJECT("invalid bpf_context access off=184 size=8") int event_data_beyond(char *ctx)
{
	return *(volatile long *)(ctx + 184);
}

SEC("syscall")
REJECT("invalid bpf_context access off=100 size=8") int own_context(char *ctx)
{
	*(volatile long *)(ctx + 100) = *(volatile long *)(ctx + 4088);
	return 0;
}

SEC("syscall")
REJECT("dereference of modified ctx ptr R1 off=65528 disallowed") int own_context_far(char *ctx)
{
	return *(volatile long *)(ctx + 65528);
}

SEC("syscall")
REJECT("dereference of modified ctx ptr R1 off=65536 disallowed") int own_context_too_far(char *ctx)
{
	return *(volatile long *)(ctx + 65536);
}

SEC("syscall")
REJECT("variable ctx access var_off=(0x0; 0xff) disallowed") int own_context_at_an_index(char *ctx)
{
	return ctx[bpf_get_prandom_u32() & 255];
}

SEC("xdp")
REJECT("invalid bpf_context access off=0 size=4") int sign_of_a_packet_pointer(void *ctx)
{
	long got;

	asm volatile("%[g] = *(s32 *)(%[c] + 0)" : [g] "=r"(got) : [c] "r"(ctx));
	return got & 0;
}

SEC("tc")
ACCEPT int sign_of_a_field(void *ctx)
{
	long got;

	asm volatile("%[g] = *(s32 *)(%[c] + 8)" : [g] "=r"(got) : [c] "r"(ctx));
	return got & 0;
}

SEC("tc")
ACCEPT int sign_of_part_of_a_field(void *ctx)
{
	long got;

	asm volatile("%[g] = *(s8 *)(%[c] + 8)" : [g] "=r"(got) : [c] "r"(ctx));
	return got & 0;
}

SEC("xdp")
REJECT("invalid bpf_context access off=0 size=2") int half_of_a_packet_pointer(void *ctx)
{
	long got;

	asm volatile("%[g] = *(u16 *)(%[c] + 0)" : [g] "=r"(got) : [c] "r"(ctx));
	return got & 0;
}
