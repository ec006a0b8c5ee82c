// SPDX-License-Identifier: MIT
// Scans: one page after the other in a given order, each page hashed. seq, stride, random, chase.
#include "bench/workload_patterns_impl.h"

namespace rmt::bench {

namespace {

// A chain of multiplications over the whole page: nothing that a compiler could leave out or a CPU could overlap.
std::uint64_t hash_page(const std::uint64_t* q, unsigned rounds) {
    std::uint64_t h = 0xcbf29ce484222325ull;
    for (unsigned r = 0; r < rounds; ++r)
        for (std::size_t i = 0; i < kPage / 8; ++i) h = (h ^ q[i]) * 0x100000001b3ull;
    return h;
}

class Scan : public Pattern {
public:
    explicit Scan(const Options& options)
        : pages_(options.mb << 8), work_(options.work ? options.work : 30), write_(options.write), seed_(options.seed) {}
    std::size_t pages() const override { return pages_; }
    void fill(Region& region) override {
        Random random(seed_);
        for (std::size_t p = 0; p < pages_; ++p)
            for (std::size_t i = 0; i < kPage / 8; ++i) region.words(p)[i] = random.next();
    }

protected:
    // Word 0 is what the first touch reads, word 1 is what writing changes.
    std::uint64_t visit(Region& region, Meter& meter, std::size_t page) {
        std::uint64_t* q = region.words(page);
        const std::uint64_t first = meter.read(q);
        if (write_) q[1] = first + q[1];
        sum_ += hash_page(q, work_);
        return first;
    }
    std::uint64_t finish() { return std::exchange(sum_, 0); }

    const std::size_t pages_;
    const unsigned work_;
    const bool write_;
    const std::uint64_t seed_;

private:
    std::uint64_t sum_ = 0;
};

class Seq final : public Scan {
public:
    using Scan::Scan;
    std::uint64_t pass(Region& region, Meter& meter, unsigned) override {
        for (std::size_t p = 0; p < pages_; ++p) visit(region, meter, p);
        return finish();
    }
};

// 0, s, 2s, ... to the end, then 1, s+1, ...: every page once, as a column-wise walk over a row-wise table.
class Stride final : public Scan {
public:
    explicit Stride(const Options& options) : Scan(options), stride_(options.stride) {}
    std::uint64_t pass(Region& region, Meter& meter, unsigned) override {
        for (std::size_t start = 0; start < stride_; ++start)
            for (std::size_t p = start; p < pages_; p += stride_) visit(region, meter, p);
        return finish();
    }

private:
    const std::size_t stride_;
};

class Uniform final : public Scan {
public:
    using Scan::Scan;
    std::uint64_t pass(Region& region, Meter& meter, unsigned number) override {
        Random random(seed_ * 0x9e3779b97f4a7c15ull + number + 1);
        for (std::size_t i = 0; i < pages_; ++i) visit(region, meter, (random.next() >> 11) % pages_);
        return finish();
    }
};

// One cycle through all pages; where to go next is known only after the page was read.
class Chase final : public Scan {
public:
    using Scan::Scan;
    void fill(Region& region) override {
        Scan::fill(region);
        std::vector<std::uint64_t> next(pages_);
        for (std::size_t i = 0; i < pages_; ++i) next[i] = i;
        Random random(seed_ + 7);
        for (std::size_t i = pages_ - 1; i > 0; --i)  // Sattolo: a single cycle
            std::swap(next[i], next[(random.next() >> 11) % i]);
        for (std::size_t i = 0; i < pages_; ++i) region.words(i)[0] = next[i];
    }
    std::uint64_t pass(Region& region, Meter& meter, unsigned) override {
        std::size_t p = 0;
        for (std::size_t i = 0; i < pages_; ++i) p = visit(region, meter, p);
        return finish();
    }
};

}  // namespace

std::unique_ptr<Pattern> make_scan(const Options& options) {
    if (options.pattern == "seq") return std::make_unique<Seq>(options);
    if (options.pattern == "stride") return std::make_unique<Stride>(options);
    if (options.pattern == "random") return std::make_unique<Uniform>(options);
    if (options.pattern == "chase") return std::make_unique<Chase>(options);
    return nullptr;
}

}  // namespace rmt::bench
