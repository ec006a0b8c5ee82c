/* SPDX-License-Identifier: GPL-2.0-only */
/* The language's arithmetic: 64 signed bits that saturate, never wrap and never trap. The emitter uses plain C where the
 * types' intervals show that nothing can leave 64 bits, and these where they do not.
 * No 128-bit multiply and no signed division: BPF v3 has neither, clang would call a library. */
#ifndef RMT_ARITH_BPF_H
#define RMT_ARITH_BPF_H

#define RMT_S64_MAX 0x7fffffffffffffffll
#define RMT_S64_MIN (-RMT_S64_MAX - 1)
#define RMT_PAGE_MAX ((1ll << 52) - 1)

/* x < 0, as a bit that clang knows nothing of: of `x < 0 ? 5 : 0` it would make (x s>> 63) & 5, over which Linux 6.18 may crash
 * while it verifies (maybe_fork_scalars); the RMT verifier refuses such a program (V0109). */
static __always_inline bool rmt_negative(__s64 x)
{
	__u64 bit = (__u64)x >> 63;

	asm("" : "+r"(bit));
	return bit != 0;
}

static __always_inline __s64 rmt_min(__s64 a, __s64 b)
{
	return a < b ? a : b;
}

static __always_inline __s64 rmt_max(__s64 a, __s64 b)
{
	return a > b ? a : b;
}

static __always_inline __s64 rmt_clamp(__s64 x, __s64 lo, __s64 hi)
{
	return x < lo ? lo : x > hi ? hi : x;
}

/* |a| as unsigned: right for RMT_S64_MIN too. */
static __always_inline __u64 rmt_magnitude(__s64 a)
{
	return a < 0 ? 0 - (__u64)a : (__u64)a;
}

/* The number of this sign and magnitude, or the nearest that fits. */
static __always_inline __s64 rmt_signed(__u64 magnitude, int negative)
{
	if (negative)
		return magnitude > (__u64)RMT_S64_MAX ? RMT_S64_MIN : -(__s64)magnitude;
	return magnitude > (__u64)RMT_S64_MAX ? RMT_S64_MAX : (__s64)magnitude;
}

static __always_inline __s64 rmt_neg(__s64 a)
{
	return a == RMT_S64_MIN ? RMT_S64_MAX : -a;
}

static __always_inline __s64 rmt_abs(__s64 a)
{
	return a < 0 ? rmt_neg(a) : a;
}

static __always_inline __s64 rmt_add64(__s64 a, __s64 b)
{
	__s64 sum = (__s64)((__u64)a + (__u64)b);

	/* Only numbers of one sign can overflow, and then the sum has the other sign. */
	if (((a ^ sum) & (b ^ sum)) < 0)
		return a < 0 ? RMT_S64_MIN : RMT_S64_MAX;
	return sum;
}

static __always_inline __s64 rmt_sub64(__s64 a, __s64 b)
{
	__s64 difference = (__s64)((__u64)a - (__u64)b);

	if (((a ^ b) & (a ^ difference)) < 0)
		return a < 0 ? RMT_S64_MIN : RMT_S64_MAX;
	return difference;
}

/* By halves: clang knows the usual test, ub > ~0 / ua, and turns it into a 128-bit multiply that BPF does not have. */
static __always_inline __s64 rmt_mul64(__s64 a, __s64 b)
{
	__u64 ua = rmt_magnitude(a), ub = rmt_magnitude(b), cross, low, product;
	int negative = (a ^ b) < 0;

	if (ua >> 32 && ub >> 32)
		return negative ? RMT_S64_MIN : RMT_S64_MAX;
	/* One of the two terms is 0, so the sum fits. */
	cross = (ua >> 32) * (__u32)ub + (__u32)ua * (ub >> 32);
	low = (__u64)(__u32)ua * (__u32)ub;
	product = low + (cross << 32);
	if (cross >> 32 || product < low)
		return negative ? RMT_S64_MIN : RMT_S64_MAX;
	return rmt_signed(product, negative);
}

/* Towards zero; by zero is zero. */
static __always_inline __s64 rmt_div(__s64 a, __s64 b)
{
	__u64 ub = rmt_magnitude(b);

	if (!ub)
		return 0;
	return rmt_signed(rmt_magnitude(a) / ub, (a ^ b) < 0);
}

/* Has the sign of a, so that rmt_div(a, b) * b + rmt_mod(a, b) == a; by zero is zero. */
static __always_inline __s64 rmt_mod(__s64 a, __s64 b)
{
	__u64 ub = rmt_magnitude(b);

	if (!ub)
		return 0;
	return rmt_signed(rmt_magnitude(a) % ub, a < 0);
}

/* a * 2^n; a distance below 0 is 0. */
static __always_inline __s64 rmt_shl64(__s64 a, __s64 n)
{
	__s64 shifted;

	if (n <= 0 || !a)
		return a;
	shifted = (__s64)((__u64)a << (n & 63));
	if (n > 63 || shifted >> (n & 63) != a)
		return a < 0 ? RMT_S64_MIN : RMT_S64_MAX;
	return shifted;
}

/* a / 2^n towards minus infinity; a distance below 0 is 0. */
static __always_inline __s64 rmt_shr64(__s64 a, __s64 n)
{
	return a >> (n < 0 ? 0 : n > 63 ? 63 : n);
}

/* ---- stores: the nearest number that the target can hold ----------------------------------------------------------- */

static __always_inline __u8 rmt_sat_u8(__s64 x)
{
	return rmt_clamp(x, 0, 0xff);
}

static __always_inline __u16 rmt_sat_u16(__s64 x)
{
	return rmt_clamp(x, 0, 0xffff);
}

static __always_inline __u32 rmt_sat_u32(__s64 x)
{
	return rmt_clamp(x, 0, 0xffffffffll);
}

static __always_inline __u64 rmt_sat_u64(__s64 x)
{
	return x < 0 ? 0 : x;
}

static __always_inline __s8 rmt_sat_i8(__s64 x)
{
	return rmt_clamp(x, -0x80, 0x7f);
}

static __always_inline __s16 rmt_sat_i16(__s64 x)
{
	return rmt_clamp(x, -0x8000, 0x7fff);
}

static __always_inline __s32 rmt_sat_i32(__s64 x)
{
	return rmt_clamp(x, -0x7fffffffll - 1, 0x7fffffff);
}

static __always_inline __s64 rmt_sat_i64(__s64 x)
{
	return x;
}

static __always_inline __u8 rmt_sat_bool(__s64 x)
{
	return x != 0;
}

static __always_inline __u64 rmt_sat_page(__s64 x)
{
	return rmt_clamp(x, 0, RMT_PAGE_MAX);
}

static __always_inline __u64 rmt_sat_ns(__s64 x)
{
	return rmt_sat_u64(x);
}

static __always_inline __u64 rmt_sat_rate(__s64 x)
{
	return rmt_sat_u64(x);
}

#endif
