// SPDX-License-Identifier: MIT
// A layer of 3x3 convolutions over a large matrix of floats: N filters, each response rectified, all summed into one output
// of the same size. The matrix is walked in column tiles of one page, from top to bottom, as cache-blocked code does: two
// streams of pages, input and output, each a row apart.
#include <cstring>

#include "bench/workload_patterns_impl.h"

namespace rmt::bench {

namespace {

constexpr std::size_t kFloats = kPage / sizeof(float);
constexpr std::size_t kMargin = 2;  // columns of the tile to the left that a tile needs

struct Filter {
    float w[3][3];
};

std::vector<Filter> make_filters(unsigned n, std::uint64_t seed) {
    std::vector<Filter> out(n);
    Random random(seed + 3);
    for (Filter& f : out)
        for (auto& row : f.w)
            for (float& w : row)  // multiples of 1/8 in -1 .. 1
                w = static_cast<float>(static_cast<int>((random.next() >> 20) % 17) - 8) * 0.125f;
    return out;
}

// out[i] += max(0, f * neighbourhood). Row pointers carry the two columns to the left: r[i + 2] is the pixel of column i, so
// output (y, x) is the filter around input (y - 1, x - 1), and a tile never looks at the tile to its right.
void add_filter(const Filter& f, const float* r0, const float* r1, const float* r2, float* __restrict out) {
    for (std::size_t i = 0; i < kFloats; ++i) {
        const float s = f.w[0][0] * r0[i] + f.w[0][1] * r0[i + 1] + f.w[0][2] * r0[i + 2] + f.w[1][0] * r1[i] + f.w[1][1] * r1[i + 1] +
                        f.w[1][2] * r1[i + 2] + f.w[2][0] * r2[i] + f.w[2][1] * r2[i + 1] + f.w[2][2] * r2[i + 2];
        out[i] += s > 0 ? s : 0;
    }
}

class Conv final : public Pattern {
public:
    explicit Conv(const Options& options)
        : width_(options.row_pages),
          height_((options.mb << 8) / 2 / options.row_pages),
          filters_(make_filters(options.work ? options.work : 40, options.seed)),
          seed_(options.seed) {}
    std::size_t pages() const override { return 2 * width_ * height_; }

    void fill(Region& region) override {
        Random random(seed_);
        for (std::size_t p = 0; p < width_ * height_; ++p) {
            auto* f = reinterpret_cast<float*>(region.page(p));
            for (std::size_t i = 0; i < kFloats; ++i) f[i] = static_cast<float>(random.next() >> 40) * (1.0f / 16777216.0f);
        }
        for (std::size_t p = width_ * height_; p < pages(); ++p) std::memset(region.page(p), 0, kPage);
    }

    std::uint64_t pass(Region& region, Meter& meter, unsigned) override {
        double sum = 0;
        std::vector<float> margin(height_ * kMargin, 0.0f);  // the last columns of the tile before
        for (std::size_t x = 0; x < width_; ++x) sum += tile(region, meter, x, margin);
        std::uint64_t bits = 0;
        std::memcpy(&bits, &sum, sizeof bits);
        return bits;
    }

private:
    struct Row {
        float v[kFloats + kMargin];
    };

    double tile(Region& region, Meter& meter, std::size_t x, std::vector<float>& margin) {
        double sum = 0;
        Row rows[3] = {};
        float out[kFloats];
        for (std::size_t y = 0; y < height_; ++y) {
            Row& row = rows[y % 3];
            const auto* in = reinterpret_cast<const float*>(region.page(y * width_ + x));
            meter.read(in);
            std::memcpy(row.v, &margin[y * kMargin], sizeof(float) * kMargin);
            std::memcpy(row.v + kMargin, in, kPage);
            std::memcpy(&margin[y * kMargin], row.v + kFloats, sizeof(float) * kMargin);

            std::memset(out, 0, sizeof out);
            if (y >= 2)  // the two rows of the upper border stay zero
                for (const Filter& f : filters_) add_filter(f, rows[(y + 1) % 3].v, rows[(y + 2) % 3].v, row.v, out);
            char* to = region.page(width_ * height_ + y * width_ + x);
            meter.write(to, 0);
            std::memcpy(to, out, kPage);
            for (float v : out) sum += v;
        }
        return sum;
    }

    const std::size_t width_;   // pages
    const std::size_t height_;  // rows
    const std::vector<Filter> filters_;
    const std::uint64_t seed_;
};

}  // namespace

std::unique_ptr<Pattern> make_conv(const Options& options, std::string& error) {
    if (options.pattern != "conv") return nullptr;
    if (options.row_pages == 0 || (options.mb << 8) / 2 / options.row_pages < 3) {
        error = "a matrix of " + std::to_string(options.mb) + " MB and " + std::to_string(options.row_pages) +
                " pages per row has fewer than 3 rows; give a larger --mb or a smaller --row-pages";
        return nullptr;
    }
    return std::make_unique<Conv>(options);
}

}  // namespace rmt::bench
