/* SPDX-License-Identifier: GPL-2.0-only */
/* Domain mm, second half: the programs. A fault has three moments, begin, major (it had to read), end; each kernel shows
 * them at other places, so there are two sets of programs and the loader attaches one:
 *   fentry      do_swap_page, filemap_map_pages, filemap_fault / swapin_readahead, filemap_fault's return / handle_mm_fault's return
 *   tracepoint  page_fault_user, page_fault_kernel / count_memcg_events PGMAJFAULT / count_memcg_events PGFAULT
 * The ledger of real reads (block_bio_queue) is common to both. */
#ifndef RMT_MM_PROGRAMS_BPF_H
#define RMT_MM_PROGRAMS_BPF_H

#include "rmt/pagetable.bpf.h"

/* ---- scope ------------------------------------------------------------------------------------------------------------ */

/* kernfs id of the memory cgroup that the task is charged to: st_ino of its directory, v1 and v2. */
static __always_inline __u64 rmt_task_cgroup(struct task_struct *task)
{
	return task->cgroups->subsys[bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id)]->cgroup->kn->id;
}

/* The agent and its workers may live inside the cgroup that they serve; what they touch is never an event. */
static __always_inline bool rmt_is_agent(struct task_struct *task, struct rmt_ctl *ctl)
{
	__u32 own = task->tgid, parent = task->real_parent->tgid;

	return ctl->agent_tgid && (own == ctl->agent_tgid || parent == ctl->agent_tgid);
}

/* This task's record when it is in scope and the policy is on, else NULL. */
static __always_inline struct rmt_task *rmt_scope_task(struct task_struct *task, struct rmt_cgroup **cg)
{
	__u64 id = rmt_task_cgroup(task);
	struct rmt_task *t;
	struct rmt_ctl *ctl;

	ctl = rmt_get_ctl();
	if (!ctl || !(ctl->scope_bits[id / 64 & (RMT_SCOPE_BITS / 64 - 1)] >> (id & 63) & 1))
		return NULL;
	*cg = bpf_map_lookup_elem(&rmt_scope, &id);
	if (!*cg)
		return NULL;
	if (ctl->mode == RMT_MODE_OFF || rmt_is_agent(task, ctl))
		return NULL;
	t = bpf_task_storage_get(&rmt_tasks, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!t) {
		rmt_add(*cg, RMT_STAT_NO_STORAGE, 1);
		return NULL;
	}
	t->cgroup = id;
	return t;
}

/* ---- a fault's three moments --------------------------------------------------------------------------------------------- */

#ifdef RMT_USES_MEMCG_USAGE_PERCENT
static __always_inline __u32 rmt_usage_percent(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	void *css = task->cgroups->subsys[bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id)];
	struct mem_cgroup *memcg = css; /* its first member */
	__u64 usage = BPF_CORE_READ(memcg, memory.usage.counter);
	__u64 max = BPF_CORE_READ(memcg, memory.max);

	if (!max)
		return 100;
	usage = usage * 100 / max;
	return usage > 100 ? 100 : usage;
}
#endif

static __always_inline void rmt_make_event(struct rmt_event *ev, struct rmt_task *t, struct rmt_cgroup *cg)
{
	__u64 who = bpf_get_current_pid_tgid();

	__builtin_memset(ev, 0, sizeof(*ev));
	ev->task = t;
	ev->cg = cg;
	ev->page = t->page;
	ev->kind = t->kind;
	ev->major = t->major;
	ev->write = t->write;
	ev->prefetched = t->tagged && !t->major;
	ev->asked = t->asked;
	ev->lead = t->lead;
	ev->pid = (__u32)who;
	ev->tgid = who >> 32;
#ifdef RMT_USES_COMM
	bpf_get_current_comm(ev->comm, sizeof(ev->comm));
#endif
}

/* Shows the current fault to the policy and carries out what it asks for. */
static __noinline int rmt_show(struct rmt_task *t, struct rmt_cgroup *cg)
{
	struct rmt_event ev;

	if (!t || !cg)
		return 0;
	rmt_make_event(&ev, t, cg);
	ev.now = bpf_ktime_get_ns();
#ifdef RMT_USES_MEMCG_USAGE_PERCENT
	ev.usage_percent = rmt_usage_percent();
#endif
	if (t->seen)
		ev.delta = rmt_sat_i32((__s64)(t->page - t->last_page));
	t->last_page = t->page;
	t->seen = 1;
	t->stage = RMT_STAGE_SHOWN;
	t->rec.n = 0;
	rmt_add(cg, RMT_STAT_EVENTS, 1);
#ifdef RMT_HAS_FAULT
	rmt_on_fault(&ev, &t->state);
	rmt_emit(&ev);
	rmt_note_passed(&ev);
#endif
	return 0;
}

static __noinline int rmt_show_outcome(struct rmt_task *t, struct rmt_cgroup *cg, __u32 outcome)
{
#ifdef RMT_HAS_OUTCOME
	struct rmt_event ev;

	if (!t || !cg)
		return 0;
	rmt_make_event(&ev, t, cg);
	ev.now = bpf_ktime_get_ns();
	ev.outcome = outcome;
	ev.outcome_page = t->page;
	t->rec.n = 0;
	rmt_on_outcome(&ev, &t->state);
#endif
	return 0;
}

/* The fault begins. The caller has filled page, slot, kind, write and VMA bounds. A page that we brought in is shown at
 * once: its fault will not wait, and the sooner the next pages are asked for the better. */
static __noinline int rmt_begin(struct rmt_task *t, struct rmt_cgroup *cg)
{
	__u64 who = bpf_get_current_pid_tgid(), key, now;
	__u32 tgid = who >> 32, state, ahead;
	struct rmt_slot *slot;
	struct rmt_tag *tag;

	if (!t || !cg)
		return 0;
	now = bpf_ktime_get_ns();
	t->start_ns = now;
	t->tagged = 0;
	t->asked = 0;
	t->lead = 0;
	t->major = 0;
	t->stage = RMT_STAGE_BEGUN;
	rmt_add(cg, RMT_STAT_FAULTS, 1);
	tag = rmt_find_tag(t->page, tgid);
	if (tag) {
		state = rmt_tag_state(tag->word);
		if (state == RMT_TAG_SHADOW)
			rmt_add(cg, RMT_STAT_SHADOW_HIT, 1);
		if (state == RMT_TAG_FILE && !t->slot) {
			t->tagged = 1;
			t->kind = RMT_PAGE_FILE;
		}
		/* In shadow nothing comes: then a page is as good as not asked for. */
		if ((state == RMT_TAG_ASKED || state == RMT_TAG_FILE) && rmt_tag_fresh(tag->word, now)) {
			t->asked = 1;
			ahead = t->sequence - tag->sequence;
			t->lead = tag->thread != (__u32)who ? 0 : ahead > 255 ? 255 : ahead;
		}
		tag->word = 0;
	}
	if (t->slot) {
		t->kind = RMT_PAGE_ANON;
		key = t->slot << 1 | 1;
		slot = rmt_find_slot(t->slot);
		if (slot && slot->key == key && __sync_val_compare_and_swap(&slot->key, key, 0) == key)
			t->tagged = 1;
	}
	if (t->tagged)
		rmt_show(t, cg);
	return 0;
}

/* The page has to be read: it is submitted, the task has not begun to wait. */
static __noinline int rmt_major(struct rmt_task *t, struct rmt_cgroup *cg)
{
	if (!t || !cg || t->stage == RMT_STAGE_NONE || t->major)
		return 0;
	t->major = 1;
	if (!t->kind)
		t->kind = RMT_PAGE_FILE; /* a swapped page would have been recognised at the beginning */
	rmt_add(cg, RMT_STAT_MAJOR, 1);
	if (t->tagged) {
		rmt_add(cg, RMT_STAT_WASTED, 1);
		rmt_show_outcome(t, cg, RMT_OUTCOME_WASTED);
	}
	if (t->stage == RMT_STAGE_BEGUN)
		rmt_show(t, cg);
	return 0;
}

static __noinline int rmt_end(struct rmt_task *t, struct rmt_cgroup *cg)
{
	struct rmt_ctl *ctl = rmt_get_ctl();
	__u64 took;
	bool late;

	if (!t || !cg || !ctl || t->stage == RMT_STAGE_NONE)
		return 0;
	took = bpf_ktime_get_ns() - t->start_ns;
	if ((t->tagged || t->asked) && took >= RMT_STUCK_NS)
		rmt_add(cg, RMT_STAT_STUCK, 1);
	if (t->major) {
		rmt_add(cg, RMT_STAT_STALL_MAJOR, took);
	} else if (t->tagged) {
		late = took > ctl->late_ns;
		rmt_add(cg, RMT_STAT_HIT, 1);
		rmt_add(cg, RMT_STAT_LEAD, t->lead);
		rmt_add(cg, t->kind == RMT_PAGE_FILE ? RMT_STAT_FILE_USED : RMT_STAT_USED, 1);
		rmt_add(cg, RMT_STAT_STALL_HIT, took);
		if (late)
			rmt_add(cg, RMT_STAT_LATE, 1);
		rmt_show_outcome(t, cg, late ? RMT_OUTCOME_LATE : RMT_OUTCOME_USED);
	} else if (t->slot) {
		rmt_add(cg, RMT_STAT_OTHER, 1);
		if (t->stage == RMT_STAGE_BEGUN)
			rmt_show(t, cg);
	}
	t->stage = RMT_STAGE_NONE;
	return 0;
}

/* A later moment of a fault that began in scope. */
static __always_inline struct rmt_task *rmt_current_fault(struct rmt_cgroup **cg)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct rmt_task *t = bpf_task_storage_get(&rmt_tasks, task, NULL, 0);
	__u64 id;

	if (!t || t->stage == RMT_STAGE_NONE)
		return NULL;
	id = t->cgroup;
	*cg = bpf_map_lookup_elem(&rmt_scope, &id);
	return *cg ? t : NULL;
}

/* ---- set 1: tracepoints -------------------------------------------------------------------------------------------------- */

static __always_inline int rmt_tp_fault(unsigned long address, unsigned long error_code)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct rmt_cgroup *cg;
	struct rmt_task *t;
	struct rmt_ctl *ctl;

	t = rmt_scope_task(task, &cg);
	if (!t)
		return 0;
	ctl = rmt_get_ctl();
	if (!ctl)
		return 0;
	t->page = address >> 12;
	t->slot = rmt_pte_to_slot(rmt_read_pte((__u64)task->mm->pgd, address, ctl->direct_map, ctl->pt_levels));
	t->kind = 0;
	t->write = error_code >> 1 & 1;
	t->vma_start = 0;
	t->vma_end = 0;
	return rmt_begin(t, cg);
}

SEC("tp_btf/page_fault_user")
int BPF_PROG(rmt_tp_user, unsigned long address, struct pt_regs *regs, unsigned long error_code)
{
	return rmt_tp_fault(address, error_code);
}

/* The kernel touches user memory on the task's behalf: read(2) into a swapped buffer. */
SEC("tp_btf/page_fault_kernel")
int BPF_PROG(rmt_tp_kernel, unsigned long address, struct pt_regs *regs, unsigned long error_code)
{
	if (address >> 47)
		return 0;
	return rmt_tp_fault(address, error_code);
}

SEC("tp_btf/count_memcg_events")
int BPF_PROG(rmt_tp_memcg, struct mem_cgroup *memcg, int item, unsigned long count)
{
	bool major = item == bpf_core_enum_value(enum vm_event_item, PGMAJFAULT);
	struct rmt_cgroup *cg;
	struct rmt_task *t;

	if (!major && item != bpf_core_enum_value(enum vm_event_item, PGFAULT))
		return 0;
	t = rmt_current_fault(&cg);
	if (!t)
		return 0;
	return major ? rmt_major(t, cg) : rmt_end(t, cg);
}

/* ---- set 2: fentry -------------------------------------------------------------------------------------------------------- */

static __always_inline int rmt_fe_fault(struct vm_fault *vmf, __u64 slot, __u32 kind)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct rmt_cgroup *cg;
	struct rmt_task *t;

	/* A fault that had to wait comes again for the same access. */
	if (vmf->flags & bpf_core_enum_value(enum fault_flag, FAULT_FLAG_TRIED))
		return 0;
	t = rmt_scope_task(task, &cg);
	if (!t)
		return 0;
	/* filemap_fault after filemap_map_pages: still the same fault. */
	if (t->stage != RMT_STAGE_NONE && t->page == vmf->address >> 12 && t->kind == kind)
		return 0;
	t->page = vmf->address >> 12;
	t->slot = slot;
	t->kind = kind;
	t->write = vmf->flags & bpf_core_enum_value(enum fault_flag, FAULT_FLAG_WRITE);
	t->vma_start = vmf->vma->vm_start >> 12;
	t->vma_end = vmf->vma->vm_end >> 12;
	return rmt_begin(t, cg);
}

SEC("fentry/do_swap_page")
int BPF_PROG(rmt_fe_swap, struct vm_fault *vmf)
{
	__u64 slot = rmt_pte_to_slot(vmf->orig_pte.pte);

	return slot ? rmt_fe_fault(vmf, slot, RMT_PAGE_ANON) : 0;
}

SEC("fentry/swapin_readahead")
int BPF_PROG(rmt_fe_swapin, unsigned long entry, __u32 gfp, struct vm_fault *vmf)
{
	struct rmt_cgroup *cg;
	struct rmt_task *t = rmt_current_fault(&cg);

	return t ? rmt_major(t, cg) : 0;
}

SEC("fentry/filemap_map_pages")
int BPF_PROG(rmt_fe_map, struct vm_fault *vmf, unsigned long start, unsigned long end)
{
	return rmt_fe_fault(vmf, 0, RMT_PAGE_FILE);
}

SEC("fentry/filemap_fault")
int BPF_PROG(rmt_fe_file, struct vm_fault *vmf)
{
	return rmt_fe_fault(vmf, 0, RMT_PAGE_FILE);
}

SEC("fexit/filemap_fault")
int BPF_PROG(rmt_fx_file, struct vm_fault *vmf, unsigned int ret)
{
	struct rmt_cgroup *cg;
	struct rmt_task *t;

	if (!(ret & bpf_core_enum_value(enum vm_fault_reason, VM_FAULT_MAJOR)))
		return 0;
	t = rmt_current_fault(&cg);
	return t ? rmt_major(t, cg) : 0;
}

SEC("fexit/handle_mm_fault")
int BPF_PROG(rmt_fx_fault, struct vm_area_struct *vma, unsigned long address, unsigned int flags, struct pt_regs *regs,
	     unsigned int ret)
{
	struct rmt_cgroup *cg;
	struct rmt_task *t;

	if (ret & bpf_core_enum_value(enum vm_fault_reason, VM_FAULT_RETRY))
		return 0;
	t = rmt_current_fault(&cg);
	return t ? rmt_end(t, cg) : 0;
}

/* ---- the ledger of real reads and writes ----------------------------------------------------------------------------------- */

/* The first word of struct page and struct folio holds the flags on every kernel (a plain word to 6.17, memdesc_flags_t
 * of one word since). */
static __always_inline bool rmt_is_swap_folio(struct page *page)
{
	__u64 flags = 0;

	if (bpf_probe_read_kernel(&flags, sizeof(flags), page))
		return false;
	return flags >> bpf_core_enum_value(enum pageflags, PG_swapcache) & 1 &&
	       flags >> bpf_core_enum_value(enum pageflags, PG_swapbacked) & 1;
}

static __noinline int rmt_slot_read(__u64 entry, __u64 cgroup, struct rmt_cgroup *cg)
{
	struct rmt_slot *slot = rmt_find_slot(entry);
	struct rmt_cgroup *owner;
	__u64 old, old_cgroup;

	if (!slot || !cg)
		return 0;
	old_cgroup = slot->cgroup;
	old = __sync_lock_test_and_set(&slot->key, entry << 1 | 1);
	slot->cgroup = cgroup;
	rmt_add(cg, RMT_STAT_READ, 1);
	if (old) { /* read again, or pushed out, before it was used */
		owner = bpf_map_lookup_elem(&rmt_scope, &old_cgroup);
		if (owner)
			rmt_add(owner, RMT_STAT_WASTED, 1);
	}
	return 0;
}

SEC("tp_btf/block_bio_queue")
int BPF_PROG(rmt_bio, struct bio *bio)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 op = bio->bi_opf & 0xff;
	struct rmt_ctl *ctl;
	struct rmt_cgroup *cg;
	struct page *page;
	__u64 id, entry;
	bool agent;

	if (op > 1 || !bio->bi_iter.bi_size)
		return 0;
	ctl = rmt_get_ctl();
	if (!ctl)
		return 0;
	agent = rmt_is_agent(task, ctl);
	id = rmt_task_cgroup(task);
	rmt_opaque(id); /* two loads through different kinds of pointer must not be merged into one instruction */
	if (agent && op == 0)
		id = ctl->agent_cgroup;
	cg = bpf_map_lookup_elem(&rmt_scope, &id);
	if (!cg)
		return 0;
	page = bio->bi_io_vec->bv_page;
	if (!page || !rmt_is_swap_folio(page))
		return 0;
	if (op == 1) {
		rmt_add(cg, RMT_STAT_WRITTEN, bio->bi_iter.bi_size >> 12);
		return 0;
	}
	if (!agent) {
		rmt_add(cg, RMT_STAT_APP_READ, bio->bi_iter.bi_size >> 12);
		return 0;
	}
	entry = BPF_CORE_READ((struct folio *)page, swap.val);
	return rmt_slot_read(entry, id, cg);
}

/* ---- programs for user space ------------------------------------------------------------------------------------------------- */

#define RMT_GIB (1ull << 30)
#define RMT_MAX_GIB 16384 /* of physical address space to try */

/* Tries each 1 GiB below the page directory's own address as the beginning of the direct map; the right one shows the
 * caller's magic behind the caller's address. */
SEC("syscall")
int rmt_calibrate(struct rmt_calibration *c)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 pgd = (__u64)BPF_CORE_READ(task, mm, pgd); /* a number: pointers may not be subtracted from */
	__u64 base, pte, found[2];
	__u32 levels;
	int i;

	c->direct_map = 0;
	bpf_for(i, 0, 2 * RMT_MAX_GIB) {
		levels = i & 1 ? 5 : 4;
		base = (pgd & ~(RMT_GIB - 1)) - (__u64)(i >> 1) * RMT_GIB;
		pte = rmt_read_pte(pgd, c->address, base, levels);
		if (!(pte & 1))
			continue;
		if (bpf_probe_read_kernel(found, sizeof(found), (void *)(base + (pte & RMT_PTE_ADDRESS) + (c->address & 4095))))
			continue;
		if (found[0] == c->magic[0] && found[1] == c->magic[1]) {
			c->direct_map = base;
			c->pt_levels = levels;
			break;
		}
	}
	return 0;
}

/* The policy's own code on an event made by hand, for tests; in the task storage of the caller. */
SEC("syscall")
int rmt_twin(struct rmt_twin *in)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct rmt_task *t = bpf_task_storage_get(&rmt_tasks, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	__u64 id = in->cgroup;
	struct rmt_cgroup *cg = bpf_map_lookup_elem(&rmt_scope, &id);
	struct rmt_event ev;
	int i;

	if (!t || !cg)
		return 1;
	if (in->reset) {
		rmt_zero(&t->state, sizeof(t->state));
		t->seen = 0;
	}
	t->cgroup = id;
	t->page = in->page;
	t->kind = in->kind;
	t->major = in->major;
	t->write = in->write;
	t->tagged = in->prefetched;
	t->asked = in->asked;
	t->lead = in->lead;
	t->vma_start = in->vma_start;
	t->vma_end = in->vma_end;
	t->rec.n = 0;
	rmt_make_event(&ev, t, cg);
	ev.now = bpf_ktime_get_ns();
	ev.comm[0] = in->comm[0];
	ev.comm[1] = in->comm[1];
	ev.usage_percent = in->usage_percent;
	ev.outcome = in->outcome;
	ev.outcome_page = in->page;
	if (in->outcome) {
#ifdef RMT_HAS_OUTCOME
		rmt_on_outcome(&ev, &t->state);
#endif
	} else {
		if (t->seen)
			ev.delta = rmt_sat_i32((__s64)(t->page - t->last_page));
		t->last_page = t->page;
		t->seen = 1;
#ifdef RMT_HAS_FAULT
		rmt_on_fault(&ev, &t->state);
#endif
	}
	in->n = t->rec.n;
	/* Unrolled: a context may only be written at constant offsets. */
#pragma clang loop unroll(full)
	for (i = 0; i < RMT_MAX_PAGES; i++)
		in->out[i] = t->rec.page[i];
	t->rec.n = 0;
	t->stage = RMT_STAGE_NONE;
	return 0;
}

#endif
