/* Globals that lie in an arena: memory that the program and user space share. */
#include "bpf.h"

struct {
	NUMBER(type, ARENA);
	NUMBER(map_flags, 1 << 10);
	NUMBER(max_entries, 10);
	enum { arena_address = 0x100000000000 } map_extra;
} arena SEC(".maps");

int __attribute__((address_space(1))) shared[3] = { 1, 2, 3 };

SEC("syscall")
int touch(void *ctx)
{
	shared[1] += 1;
	return shared[1];
}

char license_text[] SEC("license") = "GPL";
