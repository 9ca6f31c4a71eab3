/* What every program in this folder says of itself: the kernel's verdict, and the line that says why.
 *
 * ACCEPT or REJECT("...") stands between SEC() and the function. The message is that of Linux 6.18, whole. TARGET("...")
 * names the program of the same file that this one replaces or watches a function of.
 */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define ACCEPT __attribute__((btf_decl_tag("verdict:accept")))
#define REJECT(message) __attribute__((btf_decl_tag("verdict:reject:" message)))
#define TARGET(program) __attribute__((btf_decl_tag("target:" program)))

char LICENSE[] SEC("license") = "GPL";
