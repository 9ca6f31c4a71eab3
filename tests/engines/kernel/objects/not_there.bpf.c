// Reads a type that no kernel has. Built like kernel_types.bpf.c.

struct never_was {
	int nothing;
} __attribute__((preserve_access_index));

unsigned long long answer;
char _license[] __attribute__((section("license"), used)) = "GPL";

__attribute__((section("raw_tp"), used))
int reaches_what_is_not_there(unsigned long long *context)
{
	struct never_was *never = (void *)context[0];

	answer = __builtin_preserve_field_info(never->nothing, 0);
	return 0;
}
