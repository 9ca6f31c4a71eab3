/* Kernel functions: memory and sizes, constants, types that are not to be mixed, who may call what. */
#include "expect.h"

#define PLACED __attribute__((preserve_access_index))

struct nf_conn {
	unsigned int mark;
} PLACED;

struct nf_conn___init;

struct bpf_ct_opts {
	int netns_id;
	int error;
	unsigned char l4proto;
	unsigned char dir;
	unsigned char reserved[2];
};

struct bpf_cpumask;
struct cpumask;
struct bpf_key;

struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *ctx, struct bpf_sock_tuple *tuple, unsigned int size,
				  struct bpf_ct_opts *opts, unsigned int opts_size) __ksym;
struct nf_conn___init *bpf_skb_ct_alloc(struct __sk_buff *ctx, struct bpf_sock_tuple *tuple, unsigned int size,
					struct bpf_ct_opts *opts, unsigned int opts_size) __ksym;
struct nf_conn *bpf_ct_insert_entry(struct nf_conn___init *ct) __ksym;
int bpf_ct_set_timeout(struct nf_conn___init *ct, unsigned int timeout) __ksym;
int bpf_ct_change_timeout(struct nf_conn *ct, unsigned int timeout) __ksym;
void bpf_ct_release(struct nf_conn *ct) __ksym;
struct bpf_cpumask *bpf_cpumask_create(void) __ksym;
void bpf_cpumask_release(struct bpf_cpumask *mask) __ksym;
void bpf_cpumask_set_cpu(unsigned int cpu, struct bpf_cpumask *mask) __ksym;
_Bool bpf_cpumask_test_cpu(unsigned int cpu, const struct cpumask *mask) __ksym;
struct bpf_key *bpf_lookup_system_key(unsigned long long id) __ksym;
struct bpf_key *bpf_lookup_user_key(int serial, unsigned long long flags) __ksym;
void bpf_key_put(struct bpf_key *key) __ksym;
int bpf_strcmp(const char *one, const char *other) __ksym;

static inline struct nf_conn *look_up(struct __sk_buff *ctx)
{
	struct bpf_ct_opts opts = {.l4proto = 6, .netns_id = -1};
	struct bpf_sock_tuple tuple = {};

	return bpf_skb_ct_lookup(ctx, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
}

static inline struct nf_conn___init *make(struct __sk_buff *ctx)
{
	struct bpf_ct_opts opts = {.l4proto = 6, .netns_id = -1};
	struct bpf_sock_tuple tuple = {};

	return bpf_skb_ct_alloc(ctx, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
}

SEC("tc")
ACCEPT int look_up_a_connection(struct __sk_buff *ctx)
{
	struct nf_conn *found = look_up(ctx);

	if (!found)
		return 0;
	bpf_ct_change_timeout(found, 10);
	bpf_ct_release(found);
	return 0;
}

SEC("tc")
REJECT("BPF_EXIT instruction in main prog would lead to reference leak")
int keep_a_connection(struct __sk_buff *ctx)
{
	return look_up(ctx) ? 1 : 0;
}

SEC("tc")
ACCEPT int insert_a_connection(struct __sk_buff *ctx)
{
	struct nf_conn___init *made = make(ctx);
	struct nf_conn *found;

	if (!made)
		return 0;
	bpf_ct_set_timeout(made, 10);
	found = bpf_ct_insert_entry(made);
	if (found)
		bpf_ct_release(found);
	return 0;
}

SEC("tc")
REJECT("kernel function bpf_ct_change_timeout args#0 expected pointer to STRUCT nf_conn but R1 has a pointer to STRUCT nf_conn___init")
int change_what_is_being_made(struct __sk_buff *ctx)
{
	struct nf_conn___init *made = make(ctx);
	struct nf_conn *found;

	if (!made)
		return 0;
	bpf_ct_change_timeout((struct nf_conn *)made, 10);
	found = bpf_ct_insert_entry(made);
	if (found)
		bpf_ct_release(found);
	return 0;
}

SEC("tc")
REJECT("kernel function bpf_ct_set_timeout args#0 expected pointer to STRUCT nf_conn___init but R1 has a pointer to STRUCT nf_conn")
int set_what_is_there(struct __sk_buff *ctx)
{
	struct nf_conn *found = look_up(ctx);

	if (!found)
		return 0;
	bpf_ct_set_timeout((struct nf_conn___init *)found, 10);
	bpf_ct_release(found);
	return 0;
}

SEC("tc")
REJECT("arg#1 arg#2 memory, len pair leads to invalid memory access")
int larger_than_the_tuple(struct __sk_buff *ctx)
{
	struct bpf_ct_opts opts = {.l4proto = 6, .netns_id = -1};
	struct bpf_sock_tuple tuple = {};
	struct nf_conn *found = bpf_skb_ct_lookup(ctx, &tuple, 400, &opts, sizeof(opts));

	if (found)
		bpf_ct_release(found);
	return 0;
}

SEC("syscall")
ACCEPT int fill_a_mask(void *ctx)
{
	struct bpf_cpumask *mask = bpf_cpumask_create();

	if (!mask)
		return 0;
	bpf_cpumask_set_cpu(0, mask);
	if (bpf_cpumask_test_cpu(0, (const struct cpumask *)mask))
		bpf_cpumask_set_cpu(1, mask);
	bpf_cpumask_release(mask);
	return 0;
}

SEC("syscall")
REJECT("Possibly NULL pointer passed to trusted arg1")
int fill_a_mask_that_may_be_null(void *ctx)
{
	struct bpf_cpumask *mask = bpf_cpumask_create();

	bpf_cpumask_set_cpu(0, mask);
	if (mask)
		bpf_cpumask_release(mask);
	return 0;
}

SEC("syscall")
REJECT("release kernel function bpf_cpumask_release expects refcounted PTR_TO_BTF_ID")
int release_memory(void *ctx)
{
	char memory[128] = {};

	bpf_cpumask_release((struct bpf_cpumask *)memory);
	return 0;
}

SEC("tp/syscalls/sys_enter_getpid")
REJECT("program must be sleepable to call sleepable kfunc bpf_lookup_user_key")
int sleep_where_nothing_sleeps(void *ctx)
{
	struct bpf_key *key = bpf_lookup_user_key(1, 0);

	if (key)
		bpf_key_put(key);
	return 0;
}

SEC("tp/syscalls/sys_enter_getpid")
ACCEPT int look_up_a_key(void *ctx)
{
	struct bpf_key *key = bpf_lookup_system_key(0);

	if (key)
		bpf_key_put(key);
	return 0;
}

SEC("socket")
REJECT("calling kernel function bpf_lookup_system_key is not allowed")
int keys_are_not_for_filters(struct __sk_buff *ctx)
{
	struct bpf_key *key = bpf_lookup_system_key(0);

	if (key)
		bpf_key_put(key);
	return 0;
}

SEC("socket")
ACCEPT int compare_strings(struct __sk_buff *ctx)
{
	return bpf_strcmp("one", "other") & 0;
}

#define CHANGED(name, found, given_back, change, ...)                                                                  \
	SEC("tc")                                                                                                      \
	__VA_ARGS__ int name(struct __sk_buff *ctx)                                                                    \
	{                                                                                                              \
		struct nf_conn *ct = (void *)found(ctx);                                                               \
		if (!ct)                                                                                               \
			return 0;                                                                                      \
		change;                                                                                                \
		given_back(ct);                                                                                        \
		return 0;                                                                                              \
	}

static inline void insert(struct nf_conn *new)
{
	struct nf_conn *ct = bpf_ct_insert_entry((void *)new);

	if (ct)
		bpf_ct_release(ct);
}

CHANGED(mark_a_connection, look_up, bpf_ct_release, ct->mark = 5, ACCEPT)
CHANGED(mark_a_new_connection, make, insert, ct->mark = 5, ACCEPT)
CHANGED(mark_one_byte, make, insert, *(volatile char *)&ct->mark = 5, ACCEPT)
CHANGED(write_beside_the_mark, look_up, bpf_ct_release, *(volatile int *)((char *)&ct->mark - 4) = 5,
	REJECT("no write support to nf_conn at off 164"))
CHANGED(write_beyond_the_mark, make, insert, asm volatile("*(u64 *)(%0 + 0) = 5" ::"r"(&ct->mark)),
	REJECT("write access at off 168 with size 8 beyond the member of nf_conn ended at 172"))
