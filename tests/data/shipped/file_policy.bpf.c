// SPDX-License-Identifier: Apache-2.0
// A security policy: which programs may start others, which files they may open, and where they may connect to; what
// a task was allowed once it hands on to its children.
#include "kernel.h"

#define EPERM 1
#define PATH 256
#define MAY_EXEC 1
#define MAY_WRITE 2
#define AF_INET 2

struct label {
	__u32 domain;
	__u32 flags;
	__u64 since;
};

struct rule_key {
	__u32 domain;
	__u32 device;
	__u64 inode;
};

struct rule {
	__u32 allowed;
	__u32 next_domain;
};

struct denial {
	__u64 time;
	__u32 process;
	__u32 domain;
	__u64 inode;
	__u32 wanted;
	char command[16];
	char path[PATH];
};

struct socket;

struct sockaddr {
	__u16 sa_family;
} __attribute__((preserve_access_index));

struct sockaddr_in {
	__u16 sin_family;
	__be16 sin_port;
	struct {
		__be32 s_addr;
	} sin_addr;
} __attribute__((preserve_access_index));

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct label);
} tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_INODE_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct label);
} inodes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct rule_key);
	__type(value, struct rule);
} rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} denials SEC(".maps");

const volatile _Bool only_watch = 1;

static __always_inline struct label *label_of(struct task_struct *task)
{
	return bpf_task_storage_get(&tasks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

static __always_inline int deny(struct denial *denial)
{
	bpf_ringbuf_submit(denial, 0);
	return only_watch ? 0 : -EPERM;
}

static __always_inline struct denial *denial_of(struct label *label, struct inode *inode, __u32 wanted)
{
	struct denial *denial = bpf_ringbuf_reserve(&denials, sizeof(*denial), 0);

	if (!denial)
		return NULL;
	denial->time = bpf_ktime_get_ns();
	denial->process = bpf_get_current_pid_tgid() >> 32;
	denial->domain = label->domain;
	denial->inode = inode->i_ino;
	denial->wanted = wanted;
	denial->path[0] = 0;
	bpf_get_current_comm(denial->command, sizeof(denial->command));
	return denial;
}

SEC("lsm/file_open")
int BPF_PROG(opened, struct file *file)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct label *label = label_of(task);
	struct inode *inode = file->f_inode;
	struct rule_key key = {};
	struct denial *denial;
	struct rule *rule;
	__u32 wanted;

	if (!label || !label->domain)
		return 0;
	key.domain = label->domain;
	key.device = inode->i_sb->s_dev;
	key.inode = inode->i_ino;
	wanted = file->f_flags & 3 ? MAY_WRITE : 4;
	rule = bpf_map_lookup_elem(&rules, &key);
	if (rule && (rule->allowed & wanted) == wanted)
		return 0;
	denial = denial_of(label, inode, wanted);
	if (!denial)
		return -EPERM;
	bpf_d_path(&file->f_path, denial->path, PATH);
	return deny(denial);
}

SEC("lsm.s/bprm_check_security")
int BPF_PROG(started, struct linux_binprm *bprm, int before)
{
	struct label *label = label_of(bpf_get_current_task_btf()), *of_file;
	struct inode *inode = bprm->file->f_inode;
	struct rule_key key = {};
	struct rule *rule;

	if (before || !label)
		return before;
	of_file = bpf_inode_storage_get(&inodes, inode, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (of_file && !of_file->since)
		of_file->since = bpf_ktime_get_boot_ns();
	key.domain = label->domain;
	key.device = BPF_CORE_READ(inode, i_sb, s_dev);
	key.inode = inode->i_ino;
	rule = bpf_map_lookup_elem(&rules, &key);
	if (rule && rule->allowed & MAY_EXEC) {
		label->domain = rule->next_domain;
		label->since = bpf_ktime_get_boot_ns();
		return 0;
	}
	return label->domain && !only_watch ? -EPERM : 0;
}

SEC("lsm/task_alloc")
int BPF_PROG(forked, struct task_struct *task, unsigned long flags, int before)
{
	struct label *parent = label_of(bpf_get_current_task_btf()), *child;

	if (before || !parent)
		return before;
	child = bpf_task_storage_get(&tasks, task, parent, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!child)
		return -12;
	child->since = bpf_ktime_get_boot_ns();
	return 0;
}

SEC("lsm/socket_connect")
int BPF_PROG(connected, struct socket *sock, struct sockaddr *address, int length, int before)
{
	struct label *label = label_of(bpf_get_current_task_btf());
	struct sockaddr_in to;

	if (before || !label || address->sa_family != AF_INET)
		return before;
	if (bpf_probe_read_kernel(&to, sizeof(to), address))
		return 0;
	/* Domain 7 talks to this machine only. */
	if (label->domain == 7 && (to.sin_addr.s_addr & 0xff) != 127)
		return only_watch ? 0 : -EPERM;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
