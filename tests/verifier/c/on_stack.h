/* Kernel functions for what programs keep on their stack (dynptrs, iterators, saved interrupt flags), and for sections.
 *
 * Declared by hand, with the sizes that Linux 6.18 has in its types, so that no header of a kernel is needed.
 */
#pragma once

#include "expect.h"

#define __ksym __attribute__((section(".ksyms")))
#define __noinline __attribute__((noinline))
#define CORE __attribute__((preserve_access_index))

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

struct task_struct {
	int pid;
	int tgid;
	struct task_struct *parent;
	struct task_struct *group_leader;
} CORE;
struct cgroup_subsys_state {
	struct cgroup_subsys_state *parent;
	int id;
} CORE;
struct vm_area_struct {
	unsigned long vm_start;
} CORE;
struct kmem_cache {
	unsigned int size;
} CORE;

struct bpf_iter_num {
	u64 __opaque[1];
} __attribute__((aligned(8)));
struct bpf_iter_bits {
	u64 __opaque[2];
} __attribute__((aligned(8)));
struct bpf_iter_task {
	u64 __opaque[3];
} __attribute__((aligned(8)));
struct bpf_iter_css {
	u64 __opaque[3];
} __attribute__((aligned(8)));
struct bpf_iter_task_vma {
	u64 __opaque[1];
} __attribute__((aligned(8)));
struct bpf_iter_css_task {
	u64 __opaque[1];
} __attribute__((aligned(8)));
struct bpf_iter_kmem_cache {
	u64 __opaque[1];
} __attribute__((aligned(8)));

extern int bpf_dynptr_from_skb(struct __sk_buff *skb, u64 flags, struct bpf_dynptr *ptr__uninit) __ksym;
extern int bpf_dynptr_from_skb_meta(struct __sk_buff *skb, u64 flags, struct bpf_dynptr *ptr__uninit) __ksym;
extern int bpf_dynptr_from_xdp(struct xdp_md *xdp, u64 flags, struct bpf_dynptr *ptr__uninit) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *ptr, u32 offset, void *buffer, u32 buffer__szk) __ksym;
extern void *bpf_dynptr_slice_rdwr(const struct bpf_dynptr *ptr, u32 offset, void *buffer, u32 buffer__szk) __ksym;
extern int bpf_dynptr_adjust(const struct bpf_dynptr *ptr, u32 start, u32 end) __ksym;
extern _Bool bpf_dynptr_is_null(const struct bpf_dynptr *ptr) __ksym;
extern _Bool bpf_dynptr_is_rdonly(const struct bpf_dynptr *ptr) __ksym;
extern u32 bpf_dynptr_size(const struct bpf_dynptr *ptr) __ksym;
extern int bpf_dynptr_clone(const struct bpf_dynptr *ptr, struct bpf_dynptr *clone__uninit) __ksym;
extern int bpf_dynptr_copy(struct bpf_dynptr *to, u32 to_offset, struct bpf_dynptr *from, u32 from_offset,
			   u32 size) __ksym;
extern int bpf_dynptr_memset(struct bpf_dynptr *ptr, u32 offset, u32 size, u8 value) __ksym;

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;
extern int bpf_iter_bits_new(struct bpf_iter_bits *it, const u64 *words, u32 count) __ksym;
extern int *bpf_iter_bits_next(struct bpf_iter_bits *it) __ksym;
extern void bpf_iter_bits_destroy(struct bpf_iter_bits *it) __ksym;
extern int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task, u32 flags) __ksym;
extern struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it) __ksym;
extern void bpf_iter_task_destroy(struct bpf_iter_task *it) __ksym;
extern int bpf_iter_css_new(struct bpf_iter_css *it, struct cgroup_subsys_state *start, u32 flags) __ksym;
extern struct cgroup_subsys_state *bpf_iter_css_next(struct bpf_iter_css *it) __ksym;
extern void bpf_iter_css_destroy(struct bpf_iter_css *it) __ksym;
extern int bpf_iter_task_vma_new(struct bpf_iter_task_vma *it, struct task_struct *task, u64 address) __ksym;
extern struct vm_area_struct *bpf_iter_task_vma_next(struct bpf_iter_task_vma *it) __ksym;
extern void bpf_iter_task_vma_destroy(struct bpf_iter_task_vma *it) __ksym;
extern int bpf_iter_kmem_cache_new(struct bpf_iter_kmem_cache *it) __ksym;
extern struct kmem_cache *bpf_iter_kmem_cache_next(struct bpf_iter_kmem_cache *it) __ksym;
extern void bpf_iter_kmem_cache_destroy(struct bpf_iter_kmem_cache *it) __ksym;

extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern void bpf_preempt_disable(void) __ksym;
extern void bpf_preempt_enable(void) __ksym;
extern void bpf_local_irq_save(unsigned long *flags__irq_flag) __ksym;
extern void bpf_local_irq_restore(unsigned long *flags__irq_flag) __ksym;
extern void bpf_throw(u64 cookie) __ksym;
extern int bpf_copy_from_user_str(void *to, u32 size, const void *from, u64 flags) __ksym;
extern struct task_struct *bpf_task_acquire(struct task_struct *task) __ksym;
extern struct task_struct *bpf_task_from_pid(int pid) __ksym;
extern void bpf_task_release(struct task_struct *task) __ksym;
