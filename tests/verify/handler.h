/* SPDX-License-Identifier: GPL-2.0-only */
/* The policy's code: a loop that fills the record, a table, and each way to leave the bounds. */

#ifdef FAULT_RECURSION
static __noinline int again(struct task *t, int depth);
static __noinline int once(struct task *t, int depth)
{
	return depth > 3 ? 1 : again(t, depth + 1) * 3 + (int)t->seen;
}
static __noinline int again(struct task *t, int depth)
{
	return once(t, depth + 1) * 5 + (int)t->seen;
}
#endif

#ifdef FAULT_DEEP
#define LEVEL(n, below) static __noinline int n(struct task *t) { t->seen++; return below + (int)t->seen; }
LEVEL(l1, 1) LEVEL(l2, l1(t)) LEVEL(l3, l2(t)) LEVEL(l4, l3(t)) LEVEL(l5, l4(t)) LEVEL(l6, l5(t)) LEVEL(l7, l6(t)) LEVEL(l8, l7(t))
#endif

#ifdef FAULT_GLOBAL_FUNCTION
__noinline int twice(int x)
{
	return 2 * x;
}
#endif

#ifdef FAULT_CALLBACK
static long step(__u32 i, void *t)
{
	return 0;
}
#endif

/* In assembly, because clang writes them as it likes. Never to be loaded: Linux 6.18 may crash over them. */
#ifdef FAULT_SIGN_MASK_CALLED
static __noinline __u64 sign_of(__u64 x)
{
	asm volatile("%0 s>>= 63" : "+r"(x));
	return x;
}
static __noinline __u64 mask_by(__u64 sign, __u64 k)
{
	asm volatile("%0 &= %1" : "+r"(sign) : "r"(k));
	return sign;
}
#endif

#ifdef FAULT_SIGN_MASK_DATA
static const volatile __u64 knob = 5;
#endif

static __noinline int rmt_on_fault(struct task *t, struct rmt_cgroup *cg)
{
	__u32 n = 0, zero = 0;
	int i;

#ifndef FAULT_NO_TABLE
	void *inner = bpf_map_lookup_elem(&rmt_table_t, &zero);
	struct table_value *v = inner ? bpf_map_lookup_elem(inner, &zero) : NULL;

	if (v) {
		bpf_for(i, 0, ENTRIES) {
			if ((__u32)i >= v->head.count)
				break;
			if (t->seen >= v->entry[i & 15].k0.lo && t->seen <= v->entry[i & 15].k0.hi) {
				n = v->entry[i & 15].arg[0];
				break;
			}
		}
	}
#endif
#ifdef FAULT_LOOP_DATA
	while (*(volatile __u64 *)&t->seen)
		n++;
#endif
#ifdef FAULT_LOOP_COUNT
	for (i = 0; i < *(volatile __u32 *)&t->rec.flags; i++)
		t->rec.page[i & 63] = i;
#endif
#ifdef FAULT_LOOP_LONG
#pragma clang loop unroll(disable)
	for (i = 0; i < 100000; i++)
		*(volatile __u64 *)&t->seen += i;
#endif
#ifdef FAULT_LOOP_OVERSHOOT
#pragma clang loop unroll(disable)
	for (i = 1; i != 100; i += 2)
		*(volatile __u64 *)&t->seen += i;
#endif
#ifdef FAULT_LOOP_MAP_BOUND
	bpf_for(i, 0, t->rec.flags)
		t->rec.page[i & 63] = i;
#elif defined(FAULT_LOOP_NESTED)
	int j, k;

	bpf_for(i, 0, 200)
		bpf_for(j, 0, 200)
			bpf_for(k, 0, 200)
				*(volatile __u64 *)&t->seen += k;
#elif defined(VARIANT_LOOP_COUNTED) || defined(FAULT_LOOP_COUNTED_AGAIN) || defined(FAULT_LOOP_COUNTED_STACK)
	struct rmt_loop rows, columns;
	__u32 j, k;

	rmt_loop_begin(rows, t->seen);
	while (rmt_loop_next(rows, j, 4)) {
		rmt_loop_begin(columns, j);
		while (rmt_loop_next(columns, k, 8)) {
			if (8 * j + k >= n)
				break;
			t->rec.page[(8 * j + k) & 63] = t->seen + k;
#ifdef FAULT_LOOP_COUNTED_AGAIN
			if (t->seen == 5)
				rmt_loop_begin(columns, 0);
#endif
#ifdef FAULT_LOOP_COUNTED_STACK
			((volatile __u8 *)&rows.turn)[t->seen & 7] = 0;
#endif
		}
	}
#elif defined(FAULT_MAY_GOTO)
	while (({ __label__ out, end; int more = 1; asm volatile goto("may_goto %l[out]" :::: out); goto end; out: more = 0; end: more; }))
		t->rec.page[t->seen & 63] = t->seen++;
#elif defined(VARIANT_LOOP_CONSTANT)
	for (i = 0; i < 32; i++)
		t->rec.page[i & 63] = t->seen + i;
#pragma clang loop unroll(disable)
	for (i = 0; i < 32; i++)
		*(volatile __u64 *)&t->rec.page[i & 63] = t->seen + i;
#else
	bpf_for(i, 0, 32) {
		if (i >= n)
			break;
		t->rec.page[i & 63] = t->seen + i;
	}
#endif
#ifdef FAULT_TAIL_CALL
	bpf_tail_call(t, &rmt_tags, 0);
#endif
#ifdef FAULT_HELPER
	bpf_probe_write_user(t, &n, 4);
#endif
#ifdef FAULT_PRINTK
	bpf_printk("n %d", n);
#endif
#ifdef FAULT_RESERVE
	void *record = bpf_ringbuf_reserve(&rmt_actions, sizeof(struct rmt_action), 0);

	if (record)
		bpf_ringbuf_submit(record, 0);
#endif
#ifdef FAULT_MAP_UPDATE
	struct rmt_ctl ctl = { .mode = RMT_MODE_ENFORCE };

	bpf_map_update_elem(&rmt_ctl, &zero, &ctl, 0);
#endif
#ifdef FAULT_MAP_USE
	t->seen += (__u64)bpf_map_lookup_elem(&rmt_tasks, &zero);
#endif
#ifdef FAULT_MAP_UNKNOWN
	t->seen += (__u64)bpf_map_lookup_elem(cg, &zero);
#endif
#ifdef FAULT_KFUNC
	struct task_struct *p = bpf_task_from_pid(1);

	if (p)
		bpf_task_release(p);
#endif
#ifdef FAULT_RECURSION
	t->seen += once(t, n);
#endif
#ifdef FAULT_DEEP
	t->seen += l8(t);
#endif
#ifdef FAULT_GLOBAL_FUNCTION
	t->seen += twice(n);
#endif
#ifdef FAULT_CALLBACK
	bpf_loop(32, step, t, 0);
#endif
#ifdef FAULT_GLOBAL_DATA
	counter++;
#endif
	__u64 x = t->seen;

#if defined(FAULT_SIGN_MASK)
	asm volatile("%0 s>>= 63; %0 &= 5" : "+r"(x));
#elif defined(FAULT_SIGN_MASK_REVERSED)
	asm volatile("r4 = %0; r4 s>>= 63; r4 s>>= 2; r5 = 5; r5 &= r4; %0 += r5" : "+r"(x) :: "r4", "r5");
#elif defined(FAULT_SIGN_MASK_SPILLED)
	asm volatile("r4 = %0; r4 s>>= 63; *(u64 *)(r10 - 504) = r4; r4 = 0; r5 = *(u64 *)(r10 - 504); r5 &= 5; %0 += r5"
		     : "+r"(x) :: "r4", "r5");
#elif defined(FAULT_SIGN_MASK_CALLED)
	x += mask_by(sign_of(x), 5);
#elif defined(FAULT_SIGN_MASK_JOINED) /* the constant comes on one path, the sign on another */
	asm volatile("r4 = %0; r5 = %0; if r4 s> 7 goto 1f; r4 s>>= 63; r5 = 5; 1: r5 &= r4; %0 += r5" : "+r"(x) :: "r4", "r5");
#elif defined(FAULT_SIGN_MASK_NARROW)
	asm volatile("r4 = %0; w4 s>>= 31; r4 &= 5; %0 += r4" : "+r"(x) :: "r4");
#elif defined(FAULT_SIGN_MASK_COMPARED) /* known to be 5 behind the comparison */
	asm volatile("r4 = %0; r4 s>>= 63; r5 = %1; if r5 != 5 goto 1f; r4 &= r5; %0 += r4; 1:" : "+r"(x) : "r"(t->seen) : "r4", "r5");
#elif defined(FAULT_SIGN_MASK_NEGATED)
	asm volatile("r4 = %0; r4 &= 1; r4 = -r4; r4 &= 5; %0 += r4" : "+r"(x) :: "r4");
#elif defined(FAULT_SIGN_MASK_DATA) /* read-only data is known to the kernel */
	asm volatile("r4 = %0; r4 s>>= 63; r4 &= %1; %0 += r4" : "+r"(x) : "r"(knob) : "r4");
#elif defined(VARIANT_SIGN_MASK) /* with what is not known, as a bit, and as a product; nothing of it is a constant under a mask */
	asm volatile("r4 = %0; r4 s>>= 63; r5 = %1; r5 &= r4; %0 += r5; r4 >>= 63; r4 &= 5; %0 += r4; r4 = %0; r4 s>>= 62; r4 &= 5; %0 += r4"
		     : "+r"(x) : "r"(t->seen) : "r4", "r5");
	asm volatile("r4 = %0; r4 >>= 63; r4 *= 5; %0 += r4" : "+r"(x) :: "r4");
#endif
	t->seen = x;
	t->rec.n = n;
	return 0;
}
