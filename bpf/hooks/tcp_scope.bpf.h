/* SPDX-License-Identifier: GPL-2.0-only */
/* Domain tcp: who is governed. */
#ifndef RMT_TCP_SCOPE_BPF_H
#define RMT_TCP_SCOPE_BPF_H

#define RMT_CGROUP_LEVELS 32 /* looked at above a socket's own */

/* The nearest of a cgroup and its ancestors that a person attached the policy to, 0: none. */
static __noinline __u64 rmt_find_scope(struct cgroup *cgroup)
{
	__u64 id = 0;
	int i;

	bpf_for(i, 0, RMT_CGROUP_LEVELS) {
		struct cgroup_subsys_state *parent;

		if (!cgroup)
			break;
		id = cgroup->kn->id;
		if (bpf_map_lookup_elem(&rmt_scope, &id))
			return id;
		parent = cgroup->self.parent;
		if (!parent)
			break;
		cgroup = parent->cgroup;
	}
	return 0;
}

#endif
