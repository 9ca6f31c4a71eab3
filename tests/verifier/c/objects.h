/* The kernel's types and functions for objects that programs own: locks, lists, trees, timers, kernel pointers.
 *
 * Declared by hand, with the sizes that Linux 6.18 has in its types, so that no header of a kernel is needed.
 */
#pragma once

#include "expect.h"

#define __kptr __attribute__((btf_type_tag("kptr")))
#define __kptr_untrusted __attribute__((btf_type_tag("kptr_untrusted")))
#define __percpu_kptr __attribute__((btf_type_tag("percpu_kptr")))
#define __uptr __attribute__((btf_type_tag("uptr")))
#define __contains(type, field) __attribute__((btf_decl_tag("contains:" #type ":" #field)))
#define __ksym __attribute__((section(".ksyms")))
#define __weak __attribute__((weak))
#define __hidden __attribute__((visibility("hidden")))
#define __noinline __attribute__((noinline))
#define private(name) SEC(".data." #name) __hidden __attribute__((aligned(8)))
#define container_of(pointer, type, member) ((type *)((char *)(pointer) - __builtin_offsetof(type, member)))

#define BPF_MAP_TYPE_CGRP_STORAGE 32
#define MAP_FLAGS(name, kind, value_type, flags)                                                                       \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_##kind);                                                                     \
		__uint(max_entries, 1);                                                                                \
		__uint(map_flags, flags);                                                                              \
		__type(key, int);                                                                                      \
		__type(value, value_type);                                                                             \
	} name SEC(".maps")
#define MAP(name, kind, value_type) MAP_FLAGS(name, kind, value_type, 0)

typedef unsigned int u32;
typedef unsigned long long u64;

struct bpf_res_spin_lock {
	u32 val;
};
struct bpf_list_head {
	u64 __opaque[2];
} __attribute__((aligned(8)));
struct bpf_list_node {
	u64 __opaque[3];
} __attribute__((aligned(8)));
struct bpf_rb_root {
	u64 __opaque[2];
} __attribute__((aligned(8)));
struct bpf_rb_node {
	u64 __opaque[4];
} __attribute__((aligned(8)));
struct bpf_refcount {
	u32 __opaque[1];
} __attribute__((aligned(4)));
struct bpf_wq {
	u64 __opaque[2];
} __attribute__((aligned(8)));
struct bpf_task_work {
	u64 __opaque;
} __attribute__((aligned(8)));

extern void *bpf_obj_new_impl(u64 local_type_id, void *meta) __ksym;
extern void bpf_obj_drop_impl(void *object, void *meta) __ksym;
extern void *bpf_percpu_obj_new_impl(u64 local_type_id, void *meta) __ksym;
extern void bpf_percpu_obj_drop_impl(void *object, void *meta) __ksym;
extern void *bpf_refcount_acquire_impl(void *object, void *meta) __ksym;
extern int bpf_list_push_front_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta, u64 off) __ksym;
extern int bpf_list_push_back_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta, u64 off) __ksym;
extern struct bpf_list_node *bpf_list_pop_front(struct bpf_list_head *head) __ksym;
extern struct bpf_list_node *bpf_list_pop_back(struct bpf_list_head *head) __ksym;
extern struct bpf_list_node *bpf_list_front(struct bpf_list_head *head) __ksym;
extern struct bpf_list_node *bpf_list_back(struct bpf_list_head *head) __ksym;
extern int bpf_rbtree_add_impl(struct bpf_rb_root *root, struct bpf_rb_node *node,
			       _Bool(less)(struct bpf_rb_node *a, const struct bpf_rb_node *b), void *meta,
			       u64 off) __ksym;
extern struct bpf_rb_node *bpf_rbtree_remove(struct bpf_rb_root *root, struct bpf_rb_node *node) __ksym;
extern struct bpf_rb_node *bpf_rbtree_first(struct bpf_rb_root *root) __ksym;
extern struct bpf_rb_node *bpf_rbtree_root(struct bpf_rb_root *root) __ksym;
extern struct bpf_rb_node *bpf_rbtree_left(struct bpf_rb_root *root, struct bpf_rb_node *node) __ksym;
extern struct bpf_rb_node *bpf_rbtree_right(struct bpf_rb_root *root, struct bpf_rb_node *node) __ksym;
extern int bpf_res_spin_lock(struct bpf_res_spin_lock *lock) __ksym;
extern void bpf_res_spin_unlock(struct bpf_res_spin_lock *lock) __ksym;
extern int bpf_res_spin_lock_irqsave(struct bpf_res_spin_lock *lock, unsigned long *flags) __ksym;
extern void bpf_res_spin_unlock_irqrestore(struct bpf_res_spin_lock *lock, unsigned long *flags) __ksym;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern void bpf_preempt_disable(void) __ksym;
extern void bpf_preempt_enable(void) __ksym;

#define bpf_core_type_id_local(type) __builtin_btf_type_id(*(typeof(type) *)0, 0)
#define bpf_obj_new(type) ((type *)bpf_obj_new_impl(bpf_core_type_id_local(type), 0))
#define bpf_obj_drop(pointer) bpf_obj_drop_impl(pointer, 0)
#define bpf_percpu_obj_new(type) ((type __percpu_kptr *)bpf_percpu_obj_new_impl(bpf_core_type_id_local(type), 0))
#define bpf_percpu_obj_drop(pointer) bpf_percpu_obj_drop_impl(pointer, 0)
#define bpf_refcount_acquire(pointer) ((typeof(pointer))bpf_refcount_acquire_impl(pointer, 0))
#define bpf_list_push_front(head, node) bpf_list_push_front_impl(head, node, 0, 0)
#define bpf_list_push_back(head, node) bpf_list_push_back_impl(head, node, 0, 0)
#define bpf_rbtree_add(root, node, less) bpf_rbtree_add_impl(root, node, less, 0, 0)
