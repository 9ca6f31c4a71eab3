// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
// The few members of the kernel's own types that these programs read, found in the running kernel by their names.
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define SAME_AS_KERNEL __attribute__((preserve_access_index))

struct qstr {
	const unsigned char *name;
} SAME_AS_KERNEL;

struct super_block {
	__u32 s_dev;
} SAME_AS_KERNEL;

struct inode {
	__u16 i_mode;
	unsigned long i_ino;
	struct super_block *i_sb;
} SAME_AS_KERNEL;

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
} SAME_AS_KERNEL;

struct path {
	struct dentry *dentry;
} SAME_AS_KERNEL;

struct file {
	unsigned int f_flags;
	struct path f_path;
	struct inode *f_inode;
} SAME_AS_KERNEL;

struct task_struct {
	int pid;
	int tgid;
	int prio;
	char comm[16];
	struct task_struct *real_parent;
	struct task_struct *group_leader;
} SAME_AS_KERNEL;

struct linux_binprm {
	struct file *file;
	const char *filename;
} SAME_AS_KERNEL;
