/* Kernel functions that read or fill what a dynptr stands for: copies from memory, cryptography, signatures. */
#include "on_stack.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct bpf_crypto_params {
	char type[14];
	u8 reserved[2];
	char algo[128];
	u8 key[256];
	u32 key_len;
	u32 authsize;
};
struct bpf_crypto_ctx;
struct bpf_key;

extern int bpf_probe_read_kernel_dynptr(struct bpf_dynptr *to, u64 off, u64 size, const void *from) __ksym;
extern int bpf_probe_read_user_dynptr(struct bpf_dynptr *to, u64 off, u64 size, const void *from) __ksym;
extern int bpf_probe_read_kernel_str_dynptr(struct bpf_dynptr *to, u64 off, u64 size, const void *from) __ksym;
extern int bpf_copy_from_user_dynptr(struct bpf_dynptr *to, u64 off, u64 size, const void *from) __ksym;
extern int bpf_copy_from_user_task_dynptr(struct bpf_dynptr *to, u64 off, u64 size, const void *from,
					  struct task_struct *task) __ksym;
extern struct bpf_crypto_ctx *bpf_crypto_ctx_create(const struct bpf_crypto_params *params, u32 params__sz,
						    int *err) __ksym;
extern void bpf_crypto_ctx_release(struct bpf_crypto_ctx *ctx) __ksym;
extern int bpf_crypto_encrypt(struct bpf_crypto_ctx *ctx, const struct bpf_dynptr *src, const struct bpf_dynptr *dst,
			      const struct bpf_dynptr *siv__nullable) __ksym;
extern struct bpf_key *bpf_lookup_system_key(u64 id) __ksym;
extern void bpf_key_put(struct bpf_key *key) __ksym;
extern int bpf_verify_pkcs7_signature(struct bpf_dynptr *data, struct bpf_dynptr *signature, struct bpf_key *key) __ksym;

u64 global[8];

SEC("raw_tp")
ACCEPT int read_kernel(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	return bpf_probe_read_kernel_dynptr(&local, 0, 8, ctx);
}

SEC("raw_tp")
ACCEPT int read_user(void *ctx)
{
	struct bpf_dynptr record;
	int result;

	bpf_ringbuf_reserve_dynptr(&ring, 64, 0, &record);
	result = bpf_probe_read_user_dynptr(&record, 0, 64, 0);
	bpf_ringbuf_submit_dynptr(&record, 0);
	return result;
}

SEC("raw_tp")
REJECT("Expected an initialized dynptr as arg #0") int read_into_none(void *ctx)
{
	struct bpf_dynptr none;

	return bpf_probe_read_kernel_dynptr(&none, 0, 8, ctx);
}

SEC("raw_tp")
ACCEPT int read_string(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	return bpf_probe_read_kernel_str_dynptr(&local, 0, 8, (void *)bpf_get_current_task());
}

SEC("raw_tp")
REJECT("program must be sleepable to call sleepable kfunc bpf_copy_from_user_dynptr") int copied_where_nothing_sleeps(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	return bpf_copy_from_user_dynptr(&local, 0, 8, 0);
}

SEC("syscall")
ACCEPT int copied(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	return bpf_copy_from_user_dynptr(&local, 0, 8, 0);
}

SEC("syscall")
ACCEPT int copied_from_a_task(void *ctx)
{
	struct task_struct *task = bpf_task_from_pid(1);
	struct bpf_dynptr local;

	if (!task)
		return 0;
	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	bpf_copy_from_user_task_dynptr(&local, 0, 8, 0, task);
	bpf_task_release(task);
	return 0;
}

SEC("syscall")
REJECT("kernel func bpf_copy_from_user_dynptr is sleepable within rcu_read_lock region") int copied_in_rcu(void *ctx)
{
	struct bpf_dynptr local;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &local);
	bpf_rcu_read_lock();
	bpf_copy_from_user_dynptr(&local, 0, 8, 0);
	bpf_rcu_read_unlock();
	return 0;
}

struct bpf_crypto_params params;

SEC("syscall")
ACCEPT int encrypted(void *ctx)
{
	struct bpf_dynptr from, to;
	struct bpf_crypto_ctx *crypto;
	int error;

	crypto = bpf_crypto_ctx_create(&params, sizeof(params), &error);
	if (!crypto)
		return 0;
	bpf_crypto_ctx_release(crypto);
	return 0;
}

SEC("syscall")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak") int context_of_cryptography_kept(void *ctx)
{
	int error;

	bpf_crypto_ctx_create(&params, sizeof(params), &error);
	return 0;
}

SEC("tp_btf/sys_enter")
ACCEPT int signature(void *ctx)
{
	struct bpf_dynptr data;
	struct bpf_key *key;

	bpf_dynptr_from_mem(global, sizeof(global), 0, &data);
	key = bpf_lookup_system_key(1);
	if (!key)
		return 0;
	bpf_key_put(key);
	return 0;
}
