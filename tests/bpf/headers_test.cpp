// SPDX-License-Identifier: MIT
// bpf/include/rmt/{arith,state,table}.bpf.h, compiled natively under ASan and UBSan, against plain C++.
#include "tests/bpf/native.h"

#include "rmt/arith.bpf.h"
#include "rmt/state.bpf.h"
#include "rmt/table.bpf.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <random>
#include <string>

#include "tests/rmt_test.h"

namespace {

using Wide = __int128;

int64_t cut(Wide x, Wide lo = INT64_MIN, Wide hi = INT64_MAX) { return static_cast<int64_t>(std::clamp(x, lo, hi)); }

// Every pair of these, and as many random ones: small, of both signs, at the edges of each width.
std::vector<int64_t> interesting() {
    std::vector<int64_t> v = {0, 1, -1, 2, -2, 3, 7, -7, 10, 100, 46341, 3037000499, 3037000500, -3037000500};
    for (int bits : {7, 8, 15, 16, 31, 32, 33, 47, 52, 62})
        for (int64_t d : {-1, 0, 1}) {
            v.push_back((INT64_C(1) << bits) + d);
            v.push_back(-(INT64_C(1) << bits) + d);
        }
    for (int64_t d = 0; d < 3; d++) {
        v.push_back(INT64_MAX - d);
        v.push_back(INT64_MIN + d);
    }
    return v;
}

void check_pair(int64_t a, int64_t b) {
    CAPTURE(a, b);
    const Wide wa = a, wb = b;
    REQUIRE(rmt_add64(a, b) == cut(wa + wb));
    REQUIRE(rmt_sub64(a, b) == cut(wa - wb));
    REQUIRE(rmt_mul64(a, b) == cut(wa * wb));
    REQUIRE(rmt_div(a, b) == (b == 0 ? 0 : cut(wa / wb)));
    REQUIRE(rmt_mod(a, b) == (b == 0 ? 0 : cut(wa % wb)));
    REQUIRE(rmt_min(a, b) == std::min(a, b));
    REQUIRE(rmt_max(a, b) == std::max(a, b));
    REQUIRE((rmt_key(a) < rmt_key(b)) == (a < b));
    const int64_t lo = std::min(a, b), hi = std::max(a, b);
    for (const int64_t x : {lo, hi, int64_t{0}, cut(wa + wb)}) REQUIRE(rmt_clamp(x, lo, hi) == std::clamp(x, lo, hi));
}

}  // namespace

TEST_CASE("two operands: exact, cut to 64 bits, never undefined") {
    const std::vector<int64_t> v = interesting();
    for (const int64_t a : v)
        for (const int64_t b : v) check_pair(a, b);
    std::mt19937_64 random(20261124);
    for (int i = 0; i < 100000; i++) {
        const int64_t a = static_cast<int64_t>(random()) >> (random() % 64), b = static_cast<int64_t>(random()) >> (random() % 64);
        check_pair(a, b);
    }
}

TEST_CASE("one operand, shifts, and stores of every width") {
    std::vector<int64_t> v = interesting();
    std::mt19937_64 random(7);
    for (int i = 0; i < 10000; i++) v.push_back(static_cast<int64_t>(random()) >> (random() % 64));
    for (const int64_t a : v) {
        CAPTURE(a);
        const Wide w = a;
        REQUIRE(rmt_neg(a) == cut(-w));
        REQUIRE(rmt_abs(a) == cut(w < 0 ? -w : w));
        for (const int n : {0, 1, 3, 31, 32, 62, 63}) {
            REQUIRE(rmt_shl64(a, n) == cut(w * (Wide{1} << n)));
            REQUIRE(rmt_shr64(a, n) == a >> n);
        }
        REQUIRE(rmt_shl64(a, 64) == (a == 0 ? 0 : a < 0 ? INT64_MIN : INT64_MAX));
        REQUIRE(rmt_shl64(a, -1) == a);
        REQUIRE(rmt_shr64(a, 1000) == (a < 0 ? -1 : 0));
        REQUIRE(rmt_shr64(a, INT64_MIN) == a);
        REQUIRE(rmt_sat_u8(a) == cut(w, 0, UINT8_MAX));
        REQUIRE(rmt_sat_u16(a) == cut(w, 0, UINT16_MAX));
        REQUIRE(rmt_sat_u32(a) == cut(w, 0, UINT32_MAX));
        REQUIRE(rmt_sat_u64(a) == static_cast<__u64>(cut(w, 0, INT64_MAX)));
        REQUIRE(rmt_sat_i8(a) == cut(w, INT8_MIN, INT8_MAX));
        REQUIRE(rmt_sat_i16(a) == cut(w, INT16_MIN, INT16_MAX));
        REQUIRE(rmt_sat_i32(a) == cut(w, INT32_MIN, INT32_MAX));
        REQUIRE(rmt_sat_i64(a) == a);
        REQUIRE(rmt_sat_bool(a) == (a != 0));
        REQUIRE(rmt_sat_page(a) == static_cast<__u64>(cut(w, 0, (Wide{1} << 52) - 1)));
        REQUIRE(rmt_sat_ns(a) == static_cast<__u64>(cut(w, 0, INT64_MAX)));
    }
}

namespace {

// A ring of n (slots: storage) against a deque, with every index, also those outside.
template <int N, int P, class T>
void check_ring(uint64_t seed) {
    struct {
        __u32 head;
        T v[P];
    } ring{}, copy{};
    std::deque<T> oracle(N, 0);
    std::mt19937_64 random(seed);
    for (int round = 0; round < 5 * P; round++) {
        const T value = static_cast<T>(random());
        if constexpr (N <= 8) {
            RMT_RING_PUSH(ring, N, value);
            RMT_RING_COPY(copy, ring, N);
        } else {
            RMT_RING_PUSH_LARGE(ring, P, value);
            RMT_RING_COPY_LARGE(copy, ring, P);
        }
        oracle.push_front(value);
        oracle.pop_back();
        T all[N];
        if constexpr (N <= 8)
            RMT_RING_EXPORT(all, ring, N);
        else
            RMT_RING_EXPORT_LARGE(all, ring, N, P);
        for (int64_t i = -2; i < 2 * P; i++) {
            const int64_t want = i >= 0 && i < N ? static_cast<int64_t>(oracle[static_cast<size_t>(i)]) : 0;
            int64_t got, of_copy;
            if constexpr (N <= 8) {
                got = RMT_RING_AT(ring, N, i);
                of_copy = RMT_RING_AT(copy, N, i);
            } else {
                got = RMT_RING_AT_LARGE(ring, N, P, i);
                of_copy = RMT_RING_AT_LARGE(copy, N, P, i);
            }
            REQUIRE(got == want);
            REQUIRE(of_copy == want);
            if (i >= 0 && i < N) REQUIRE(static_cast<int64_t>(all[i]) == want);
        }
    }
}

}  // namespace

TEST_CASE("rings: pushed, copied, exported, indexed") {
    check_ring<1, 1, __u8>(1);
    check_ring<2, 2, __s8>(2);
    check_ring<3, 3, __s32>(3);
    check_ring<8, 8, __s64>(4);
    check_ring<9, 16, __s32>(5);
    check_ring<16, 16, __u16>(6);
    check_ring<33, 64, __s64>(7);
    check_ring<256, 256, __u8>(8);
}

TEST_CASE("a mean starts at the first sample, settles on a constant, and never overflows") {
    for (const int64_t n : {1, 2, 8, 100, 65536})
        for (const int64_t sample : {INT64_C(0), INT64_C(5), INT64_C(-5), INT64_C(1000000007), INT64_MAX, INT64_MIN}) {
            rmt_ewma mean{};
            CHECK(rmt_ewma_mean(&mean, n) == 0);
            rmt_ewma_feed(&mean, sample, n);
            const bool fits = cut(Wide{sample} * n) == Wide{sample} * n;
            if (fits) CHECK(rmt_ewma_mean(&mean, n) == sample);
            for (int i = 0; i < 100; i++) rmt_ewma_feed(&mean, i % 2 ? INT64_MAX : INT64_MIN, n);
        }
    rmt_ewma mean{};
    rmt_ewma_feed(&mean, 1000, 8);
    int64_t before = 1000;
    for (int i = 0; i < 200; i++) {
        rmt_ewma_feed(&mean, -20, 8);
        CHECK(rmt_ewma_mean(&mean, 8) <= before);
        before = rmt_ewma_mean(&mean, 8);
    }
    CHECK(before == -20);
}

TEST_CASE("a count adds, and stays within 0..2^63-1") {
    __u64 count = 0;
    rmt_count_feed(&count, 5);
    CHECK(count == 5);
    rmt_count_feed(&count, -7);
    CHECK(count == 0);
    rmt_count_feed(&count, INT64_MAX);
    rmt_count_feed(&count, 1);
    CHECK(count == static_cast<__u64>(INT64_MAX));
}

TEST_CASE("state of any size is zeroed, and not a byte more") {
    for (const __u32 size : {1u, 7u, 8u, 511u, 512u, 513u, 5000u}) {
        std::vector<__u8> bytes(size + 16, 0xaa);
        rmt_zero(bytes.data() + 8, size);
        CHECK(bytes[7] == 0xaa);
        CHECK(bytes[8 + size] == 0xaa);
        CHECK(std::all_of(bytes.begin() + 8, bytes.end() - 8, [](__u8 b) { return b == 0; }));
    }
}

TEST_CASE("a run of pages steps from its base and saturates at the ends of memory") {
    const auto run = [](int64_t base, int64_t n, int64_t step) {
        rmt_event event, *ev = &event;
        RMT_PREFETCH_RUN(ev, base, n, step, 64);
        return event.asked;
    };
    CHECK(run(100, 3, 2) == std::vector<__u64>{102, 104, 106});
    CHECK(run(100, 3, -60) == std::vector<__u64>{40, 0, 0});
    CHECK(run(100, 0, 1).empty());
    CHECK(run(100, -5, 1).empty());
    CHECK(run(100, INT64_MAX, 1).size() == 64);
    CHECK(run(RMT_PAGE_MAX - 1, 3, 1) == std::vector<__u64>(3, RMT_PAGE_MAX));
    for (const int64_t step : {INT64_MAX, INT64_MIN}) CHECK(run(INT64_MAX, 64, step) == std::vector<__u64>(64, step > 0 ? RMT_PAGE_MAX : 0));
}

TEST_CASE("matching: ranges at their ends, texts by mask") {
    const rmt_range range{rmt_key(-5), rmt_key(5)};
    for (const auto& [key, inside] : std::vector<std::pair<int64_t, bool>>{{-6, false}, {-5, true}, {0, true}, {5, true}, {6, false}, {INT64_MIN, false}, {INT64_MAX, false}})
        CHECK(rmt_in_range(&range, rmt_key(key)) == inside);
    const rmt_range any{0, ~0ull};
    for (const int64_t key : {INT64_MIN, INT64_C(0), INT64_MAX}) CHECK(rmt_in_range(&any, rmt_key(key)));

    std::mt19937_64 random(11);
    for (int i = 0; i < 20000; i++) {
        const auto letters = [&](size_t most) {
            std::string s;
            for (size_t n = random() % (most + 1); n > 0; n--) s += static_cast<char>('a' + random() % 2);
            return s;
        };
        const std::string pattern = letters(6), name = letters(15);
        const bool prefix = random() % 2;
        rmt_text text{};
        std::memcpy(text.value, pattern.data(), pattern.size());
        std::memset(text.mask, 0xff, prefix ? pattern.size() : 16);
        __u64 words[2] = {};
        std::memcpy(words, name.data(), name.size());
        REQUIRE(rmt_is_text(&text, words) == (prefix ? name.rfind(pattern, 0) == 0 : name == pattern));
    }
}

TEST_CASE("a table without a generation is a miss; hits are counted in their slots only") {
    NativeMap inner, outer, hits;
    rmt_table_header value{};
    CHECK(rmt_table_now(&outer) == nullptr);
    outer.values[0] = &inner;
    CHECK(rmt_table_now(&outer) == nullptr);
    inner.values[0] = &value;
    CHECK(rmt_table_now(&outer) == &value);
    __u64 counts[2] = {};
    hits.values = {{0, &counts[0]}, {1, &counts[1]}};
    rmt_table_hit(&hits, 1);
    rmt_table_hit(&hits, 1);
    rmt_table_hit(&hits, 2);
    CHECK(counts[0] == 0);
    CHECK(counts[1] == 2);
}
