// What a program asks of the kernel it meets: its types, its configuration, its symbols. Answers go to global variables.
// The object beside it is checked in; it is built by
//   clang -O2 -g -target bpf -mcpu=v3 -fdebug-compilation-dir=. -c kernel_types.bpf.c -o kernel_types.bpf.o
//   llvm-strip -g kernel_types.bpf.o

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef _Bool bool;

#define SEC(name) __attribute__((section(name), used))
#define KERNEL __attribute__((preserve_access_index))
#define KCONFIG __attribute__((section(".kconfig")))
#define KSYM __attribute__((section(".ksyms")))
#define WEAK __attribute__((weak))

enum { OFFSET, SIZE, EXISTS, SIGNED, LEFT, RIGHT };
#define FIELD(access, what) __builtin_preserve_field_info(access, what)
#define TYPE_EXISTS(type) __builtin_preserve_type_info(*(type *)0, 0)
#define TYPE_SIZE(type) __builtin_preserve_type_info(*(type *)0, 1)
#define TYPE_MATCHES(type) __builtin_preserve_type_info(*(type *)0, 2)
#define TYPE_ID(type) __builtin_btf_type_id(*(type *)0, 1)
#define ENUM_EXISTS(type, name) __builtin_preserve_enum_value(*(type *)name, 0)
#define ENUM_VALUE(type, name) __builtin_preserve_enum_value(*(type *)name, 1)

struct mm_struct;

struct task_struct {
	int tgid;
	int pid;
	char comm[16];
	struct mm_struct *mm;
	struct task_struct *group_leader;
	u32 in_execve : 1;
} KERNEL;

struct task_struct___future {
	int not_there_yet;
	int pid;
} KERNEL;

struct sk_buff {
	u32 len;
	u8 pkt_type : 3;
	u32 hash;
	char cb[48];
} KERNEL;

struct never_was {
	int nothing;
} KERNEL;

enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 77,
	BPF_MAP_TYPE_ARRAY,
	BPF_MAP_TYPE_OF_DREAMS,
};

enum libbpf_tristate { TRI_NO, TRI_YES, TRI_MODULE };

extern int LINUX_KERNEL_VERSION KCONFIG;
extern bool LINUX_HAS_BPF_COOKIE KCONFIG;
extern bool LINUX_HAS_SYSCALL_WRAPPER KCONFIG;
extern bool CONFIG_BPF_SYSCALL KCONFIG;
extern enum libbpf_tristate CONFIG_NET KCONFIG;
extern char CONFIG_BPF_JIT KCONFIG;
extern int CONFIG_HZ KCONFIG;
extern u64 CONFIG_LOG_BUF_SHIFT KCONFIG;
extern char CONFIG_DEFAULT_HOSTNAME[8] KCONFIG;
extern int CONFIG_OF_DREAMS KCONFIG WEAK;

extern const void _text KSYM;
extern const void not_a_symbol KSYM WEAK;

u64 answers[48];
char _license[] SEC("license") = "GPL";

SEC("raw_tp")
int ask_types(u64 *context)
{
	struct task_struct *task = (void *)context[0];
	struct task_struct___future *future = (void *)context[0];
	struct sk_buff *skb = (void *)context[0];
	struct never_was *never = (void *)context[0];

	answers[0] = FIELD(task->pid, OFFSET);
	answers[1] = FIELD(task->comm[3], OFFSET);
	answers[2] = FIELD(task->comm, SIZE);
	answers[3] = FIELD(task->mm, EXISTS);
	answers[4] = FIELD(task->pid, SIGNED);
	answers[5] = FIELD(task->in_execve, OFFSET);
	answers[6] = FIELD(task->in_execve, LEFT);
	answers[7] = FIELD(task->in_execve, RIGHT);
	answers[8] = FIELD(task->in_execve, SIZE);
	answers[9] = FIELD(future->not_there_yet, EXISTS);
	answers[10] = FIELD(future->pid, OFFSET);
	if (FIELD(future->not_there_yet, EXISTS))
		answers[11] = FIELD(future->not_there_yet, OFFSET);
	answers[12] = FIELD(skb->len, OFFSET);
	answers[13] = FIELD(skb->pkt_type, LEFT);
	answers[14] = FIELD(skb->cb[40], OFFSET);
	answers[15] = FIELD(never->nothing, EXISTS);
	answers[16] = TYPE_EXISTS(struct task_struct);
	answers[17] = TYPE_SIZE(struct task_struct);
	answers[18] = TYPE_MATCHES(struct task_struct);
	answers[19] = TYPE_ID(struct sk_buff);
	answers[20] = TYPE_EXISTS(struct never_was);
	answers[21] = TYPE_SIZE(struct never_was);
	answers[22] = ENUM_VALUE(enum bpf_map_type, BPF_MAP_TYPE_ARRAY);
	answers[23] = ENUM_EXISTS(enum bpf_map_type, BPF_MAP_TYPE_OF_DREAMS);
	if (ENUM_EXISTS(enum bpf_map_type, BPF_MAP_TYPE_OF_DREAMS))
		answers[24] = ENUM_VALUE(enum bpf_map_type, BPF_MAP_TYPE_OF_DREAMS);
	answers[25] = FIELD(skb->hash, SIZE);
	return 0;
}

SEC("raw_tp")
int ask_settings(u64 *context)
{
	answers[32] = LINUX_KERNEL_VERSION;
	answers[33] = CONFIG_BPF_SYSCALL;
	answers[34] = CONFIG_NET;
	answers[35] = CONFIG_BPF_JIT;
	answers[36] = CONFIG_HZ;
	answers[37] = CONFIG_LOG_BUF_SHIFT;
	answers[38] = CONFIG_DEFAULT_HOSTNAME[0] | CONFIG_DEFAULT_HOSTNAME[7] << 8;
	answers[39] = CONFIG_OF_DREAMS;
	answers[40] = LINUX_HAS_BPF_COOKIE;
	answers[41] = LINUX_HAS_SYSCALL_WRAPPER;
	answers[42] = (u64)&_text;
	answers[43] = (u64)&not_a_symbol;
	return 0;
}
