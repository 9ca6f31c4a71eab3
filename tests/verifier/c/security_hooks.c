/* Security hooks, functions and iterators in earnest: what their arguments may be used for. */
#include "expect.h"

#define CORE __attribute__((preserve_access_index))

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
} CORE;

struct inode {
	unsigned long i_ino;
} CORE;

struct dentry {
	struct inode *d_inode;
	struct dentry *d_parent;
} CORE;

struct file {
	struct path f_path;
	struct inode *f_inode;
	unsigned int f_flags;
} CORE;

struct linux_binprm {
	struct file *file;
	struct mm_struct *mm;
	const char *filename;
} CORE;

struct task_struct {
	int pid;
	struct task_struct *real_parent;
	struct mm_struct *mm;
	struct cgroups *cgroups;
} CORE;

struct sock {
	struct sock_common *__sk_common;
} CORE;

struct socket {
	struct sock *sk;
} CORE;

struct cgroup;
struct sk_buff {
	unsigned int len;
} CORE;

int bpf_get_dentry_xattr(struct dentry *dentry, const char *name, struct bpf_dynptr *value) __ksym;
int bpf_get_file_xattr(struct file *file, const char *name, struct bpf_dynptr *value) __ksym;
int bpf_set_dentry_xattr(struct dentry *dentry, const char *name, const struct bpf_dynptr *value, int flags) __ksym;
int bpf_remove_dentry_xattr(struct dentry *dentry, const char *name) __ksym;
struct file *bpf_get_task_exe_file(struct task_struct *task) __ksym;
void bpf_put_file(struct file *file) __ksym;
int bpf_path_d_path(struct path *path, char *buf, unsigned long size) __ksym;
struct task_struct *bpf_task_acquire(struct task_struct *task) __ksym;
void bpf_task_release(struct task_struct *task) __ksym;
void bpf_rcu_read_lock(void) __ksym;
void bpf_rcu_read_unlock(void) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, long);
} tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_INODE_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, long);
} inodes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, long);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
	__type(key, __u64);
	__type(value, long);
} groups SEC(".maps");

char name[] = "user.skep";
const char attribute[] = "security.bpf.skep";
char place[64];
long seen;

SEC("lsm/file_open") ACCEPT int reads_a_file(struct file **ctx)
{
	seen = ctx[0]->f_inode->i_ino + ctx[0]->f_flags;
	return 0;
}

SEC("lsm/file_open") ACCEPT int prints_a_path(struct file **ctx)
{
	return bpf_d_path(&ctx[0]->f_path, place, sizeof(place)) > 1000 ? -1 : 0;
}

SEC("lsm/file_open") ACCEPT int prints_a_path_anew(struct file **ctx)
{
	seen = bpf_path_d_path(&ctx[0]->f_path, place, sizeof(place));
	return 0;
}

SEC("lsm/file_free_security") REJECT("R1 must be referenced or trusted")
int prints_a_path_that_may_be_gone(struct file **ctx)
{
	seen = bpf_path_d_path(&ctx[0]->f_path, place, sizeof(place));
	return 0;
}

SEC("lsm.s/file_open") ACCEPT int reads_an_attribute(struct file **ctx)
{
	struct bpf_dynptr to;

	bpf_dynptr_from_mem(place, sizeof(place), 0, &to);
	seen = bpf_get_file_xattr(ctx[0], attribute, &to);
	return 0;
}

SEC("lsm/file_open") REJECT("program must be sleepable to call sleepable kfunc bpf_get_file_xattr")
int reads_an_attribute_awake(struct file **ctx)
{
	struct bpf_dynptr to;

	bpf_dynptr_from_mem(place, sizeof(place), 0, &to);
	seen = bpf_get_file_xattr(ctx[0], attribute, &to);
	return 0;
}

SEC("lsm.s/file_open") REJECT("R2 does not point to a readonly map'")
int reads_an_attribute_named_by_a_variable(struct file **ctx)
{
	struct bpf_dynptr to;

	bpf_dynptr_from_mem(place, sizeof(place), 0, &to);
	seen = bpf_get_file_xattr(ctx[0], name, &to);
	return 0;
}

SEC("lsm.s/inode_getxattr") ACCEPT int reads_an_attribute_of_an_entry(struct dentry **ctx)
{
	struct bpf_dynptr to;

	bpf_dynptr_from_mem(place, sizeof(place), 0, &to);
	seen = bpf_get_dentry_xattr(ctx[0], attribute, &to);
	return 0;
}

SEC("lsm.s/inode_getxattr") REJECT("R1 must be referenced or trusted")
int reads_an_attribute_of_a_parent(struct dentry **ctx)
{
	struct bpf_dynptr to;

	bpf_dynptr_from_mem(place, sizeof(place), 0, &to);
	seen = bpf_get_dentry_xattr(ctx[0]->d_parent, attribute, &to);
	return 0;
}

SEC("lsm.s/inode_setxattr") ACCEPT int writes_an_attribute(struct dentry **ctx)
{
	struct bpf_dynptr from;

	bpf_dynptr_from_mem(place, sizeof(place), 0, &from);
	seen = bpf_set_dentry_xattr(ctx[1], attribute, &from, 0);
	return 0;
}

SEC("lsm.s/inode_removexattr") ACCEPT int removes_an_attribute(struct dentry **ctx)
{
	seen = bpf_remove_dentry_xattr(ctx[1], attribute);
	return 0;
}

SEC("lsm.s/bprm_check_security") ACCEPT int sets_options(struct linux_binprm **ctx)
{
	return bpf_bprm_opts_set(ctx[0], 1) ? 0 : -1;
}

SEC("lsm.s/bprm_check_security") REJECT("R1 is of type file but linux_binprm is expected")
int sets_options_of_a_file(struct linux_binprm **ctx)
{
	seen = bpf_bprm_opts_set((void *)ctx[0]->file, 1);
	return 0;
}

SEC("lsm.s/bprm_check_security") ACCEPT int measures(struct linux_binprm **ctx)
{
	seen = bpf_ima_file_hash(ctx[0]->file, place, sizeof(place));
	return 0;
}

SEC("lsm/bprm_check_security") REJECT("helper call might sleep in a non-sleepable prog")
int measures_awake(struct linux_binprm **ctx)
{
	seen = bpf_ima_file_hash(ctx[0]->file, place, sizeof(place));
	return 0;
}

SEC("lsm.s/bprm_check_security") ACCEPT int measures_an_inode(struct linux_binprm **ctx)
{
	seen = bpf_ima_inode_hash(ctx[0]->file->f_inode, place, sizeof(place));
	return 0;
}

SEC("lsm/inode_unlink") ACCEPT int keeps_with_an_inode(struct inode **ctx)
{
	long *kept = bpf_inode_storage_get(&inodes, ctx[0], 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (kept)
		*kept += 1;
	return 0;
}

SEC("lsm/inode_unlink") ACCEPT int keeps_with_what_an_entry_names(struct dentry **ctx)
{
	long *kept = bpf_inode_storage_get(&inodes, ctx[1]->d_inode, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (kept)
		*kept += 1;
	return 0;
}

SEC("lsm/inode_free_security") ACCEPT int keeps_with_an_inode_that_goes(struct inode **ctx)
{
	long *kept = bpf_inode_storage_get(&inodes, ctx[0], 0, 0);

	if (kept)
		seen = *kept;
	return 0;
}

SEC("lsm/task_alloc") ACCEPT int keeps_with_a_task(struct task_struct **ctx)
{
	long *kept = bpf_task_storage_get(&tasks, ctx[0], 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (kept)
		*kept = 1;
	return 0;
}

SEC("lsm/task_free") ACCEPT int keeps_with_a_task_that_goes(struct task_struct **ctx)
{
	long *kept = bpf_task_storage_get(&tasks, ctx[0], 0, 0);

	if (kept)
		*kept = 1;
	return 0;
}

SEC("lsm/task_free") REJECT("R1 must be a rcu pointer")
int holds_a_task_that_goes(struct task_struct **ctx)
{
	struct task_struct *task = bpf_task_acquire(ctx[0]);

	if (task)
		bpf_task_release(task);
	return 0;
}

SEC("lsm/task_alloc") ACCEPT int holds_a_task(struct task_struct **ctx)
{
	struct task_struct *task = bpf_task_acquire(ctx[0]);

	if (task)
		bpf_task_release(task);
	return 0;
}

SEC("lsm/task_alloc") REJECT("BPF_EXIT instruction in main prog would lead to reference leak")
int leaks_a_task(struct task_struct **ctx)
{
	struct task_struct *task = bpf_task_acquire(ctx[0]);

	return 0;
}

SEC("lsm.s/task_alloc") ACCEPT int leaks_nothing_asleep(struct task_struct **ctx)
{
	struct file *file = bpf_get_task_exe_file(ctx[0]);

	if (!file)
		return 0;
	seen = bpf_path_d_path(&file->f_path, place, sizeof(place));
	bpf_put_file(file);
	return 0;
}

SEC("lsm/task_alloc") REJECT("BPF_EXIT instruction in main prog would lead to reference leak")
int leaks_a_file(struct task_struct **ctx)
{
	struct file *file = bpf_get_task_exe_file(ctx[0]);

	return file ? -1 : 0;
}

SEC("lsm/task_alloc") REJECT("kernel function bpf_put_file args#0 expected pointer to STRUCT file but R1 has a pointer to STRUCT task_struct")
int puts_a_file_of_others(struct task_struct **ctx)
{
	bpf_put_file((void *)ctx[0]);
	return 0;
}

SEC("lsm/socket_post_create") ACCEPT int keeps_with_a_socket(struct socket **ctx)
{
	struct sock *sk = ctx[0]->sk;
	long *kept;

	if (!sk)
		return 0;
	kept = bpf_sk_storage_get(&sockets, sk, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (kept)
		*kept = 1;
	return 0;
}

SEC("lsm/socket_post_create") REJECT("R2 type=trusted_ptr_or_null_ expected=sock_common, sock, tcp_sock, xdp_sock, ptr_, trusted_ptr_")
int keeps_with_a_socket_unchecked(struct socket **ctx)
{
	long *kept = bpf_sk_storage_get(&sockets, ctx[0]->sk, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (kept)
		*kept = 1;
	return 0;
}

SEC("lsm_cgroup/socket_post_create") ACCEPT int sets_an_option(struct socket **ctx)
{
	int value = 1;
	struct sock *sk = ctx[0]->sk;

	if (sk)
		bpf_setsockopt(sk, 1, 2, &value, sizeof(value));
	return 1;
}

SEC("lsm_cgroup/socket_bind") REJECT("program of this type cannot use helper bpf_setsockopt#49")
int sets_an_option_where_it_may_not(struct socket **ctx)
{
	int value = 1;
	struct sock *sk = ctx[0]->sk;

	if (sk)
		bpf_setsockopt(sk, 1, 2, &value, sizeof(value));
	return 1;
}

SEC("lsm_cgroup/socket_bind") ACCEPT int counts_for_its_group(struct socket **ctx)
{
	long *kept = bpf_get_local_storage(&groups, 0);

	*kept += 1;
	return 1;
}

SEC("lsm_cgroup/socket_bind") ACCEPT int sets_its_result(struct socket **ctx)
{
	bpf_set_retval(-1);
	return bpf_get_retval() ? 0 : 1;
}

SEC("lsm_cgroup/socket_bind") ACCEPT int sets_a_wild_result(struct socket **ctx)
{
	bpf_set_retval(seen);
	return 0;
}

SEC("lsm/file_open") REJECT("only read is supported")
int writes_a_file(struct file **ctx)
{
	ctx[0]->f_flags = 1;
	return 0;
}

SEC("lsm/inode_init_security") ACCEPT int reads_a_string(char ***ctx)
{
	seen = *ctx[3][0];
	return 0;
}

SEC("fentry/vfs_unlink") ACCEPT int before_a_function(struct inode **ctx)
{
	seen = ctx[1]->i_ino;
	return 0;
}

SEC("fentry/vfs_unlink") REJECT("program of this type cannot use helper bpf_inode_storage_get#145")
int passes_on_what_it_sees(struct inode **ctx)
{
	seen = (long)bpf_inode_storage_get(&inodes, ctx[1], 0, 0);
	return 0;
}

SEC("fentry/wake_up_new_task") REJECT("R1 must be a rcu pointer")
int holds_what_it_sees(struct task_struct **ctx)
{
	struct task_struct *task = bpf_task_acquire(ctx[0]);

	if (task)
		bpf_task_release(task);
	return 0;
}

SEC("fentry/wake_up_new_task") ACCEPT int keeps_with_what_it_sees(struct task_struct **ctx)
{
	seen = (long)bpf_task_storage_get(&tasks, ctx[0], 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	return 0;
}

SEC("fexit/vfs_open") REJECT("helper call is not allowed in probe")
int prints_a_path_behind_a_function(struct path **ctx)
{
	seen = bpf_d_path(ctx[0], place, sizeof(place));
	return 0;
}

SEC("fexit/vfs_truncate") ACCEPT int prints_a_path_behind_the_right_function(struct path **ctx)
{
	seen = bpf_d_path(ctx[0], place, sizeof(place));
	return 0;
}

SEC("fexit/vfs_open") ACCEPT int asks_for_arguments(unsigned long long *ctx)
{
	__u64 value;

	seen = bpf_get_func_arg(ctx, 1, &value) ? 0 : value;
	seen += bpf_get_func_ret(ctx, &value) ? 0 : value;
	seen += bpf_get_func_arg_cnt(ctx) + bpf_get_func_ip(ctx) + bpf_get_attach_cookie(ctx);
	return 0;
}

SEC("fentry/vfs_open") ACCEPT int asks_for_a_result_that_is_not_there(unsigned long long *ctx)
{
	__u64 value;

	seen = bpf_get_func_ret(ctx, &value) ? 0 : value;
	return 0;
}

SEC("tp_btf/sched_switch") REJECT("program of this type cannot use helper bpf_get_func_arg#183")
int asks_for_arguments_of_a_tracepoint(unsigned long long *ctx)
{
	__u64 value;

	seen = bpf_get_func_arg(ctx, 1, &value) ? 0 : value;
	return 0;
}

SEC("lsm/file_open") ACCEPT int asks_for_arguments_of_a_hook(unsigned long long *ctx)
{
	__u64 value;

	seen = bpf_get_func_arg(ctx, 0, &value) ? 0 : value;
	seen += bpf_get_func_ret(ctx, &value) ? 0 : value;
	return 0;
}

SEC("lsm/file_open") REJECT("func bpf_get_func_ip#173 not supported for program type 29")
int asks_where_it_is(unsigned long long *ctx)
{
	seen = bpf_get_func_ip(ctx);
	return 0;
}

SEC("lsm_cgroup/socket_bind") REJECT("program of this type cannot use helper bpf_get_func_arg#183")
int asks_for_arguments_of_a_group(unsigned long long *ctx)
{
	__u64 value;

	seen = bpf_get_func_arg(ctx, 0, &value) ? 0 : value;
	return 1;
}

SEC("fmod_ret/security_file_open") ACCEPT int answers_for_a_function(struct file **ctx)
{
	seen = bpf_d_path(&ctx[0]->f_path, place, sizeof(place));
	return seen;
}

SEC("fmod_ret/security_file_open") ACCEPT int answers_what_others_did(unsigned long long *ctx)
{
	return ctx[1];
}

SEC("fentry.s/bpf_fentry_test1") ACCEPT int sleeps_before_a_function(unsigned long long *ctx)
{
	seen = bpf_copy_from_user(place, 8, (void *)ctx[0]);
	return 0;
}

SEC("lsm.s/file_open") REJECT("sleepable helper bpf_copy_from_user#148 in rcu_read_lock region")
int sleeps_in_a_section(struct file **ctx)
{
	bpf_rcu_read_lock();
	seen = bpf_copy_from_user(place, 8, (void *)seen);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("lsm.s/task_alloc") ACCEPT int follows_a_parent(struct task_struct **ctx)
{
	seen = ctx[0]->real_parent->pid;
	return 0;
}

SEC("lsm.s/task_alloc") REJECT("R1 must be a rcu pointer")
int holds_a_parent(struct task_struct **ctx)
{
	struct task_struct *task = bpf_task_acquire(ctx[0]->real_parent);

	if (task)
		bpf_task_release(task);
	return 0;
}

SEC("lsm.s/task_alloc") ACCEPT int holds_a_parent_in_a_section(struct task_struct **ctx)
{
	struct task_struct *task;

	bpf_rcu_read_lock();
	task = bpf_task_acquire(ctx[0]->real_parent);
	if (task)
		bpf_task_release(task);
	bpf_rcu_read_unlock();
	return 0;
}
