// SPDX-License-Identifier: MIT
// Making small pictures of a video: frames of three planes with 16-bit samples (4:4:4, rows padded to whole pages, as video
// decoders allocate them), scaled down bilinearly. Frame after frame, output row after output row, plane after plane, as
// video scalers work: the two source rows that the output row lies between, then the same of the next plane; the rows in
// between are never read. A tone curve per output sample stands for what a pipeline does with the picture.
#include "bench/workload_patterns_impl.h"

namespace rmt::bench {

namespace {

constexpr std::size_t kPlanes = 3;
constexpr std::size_t kRing = 4;  // frames of output that are kept

class Resize final : public Pattern {
public:
    explicit Resize(const Options& options)
        : width_(options.width),
          height_(options.height),
          out_width_(options.width / options.scale),
          out_height_(options.height / options.scale),
          row_pages_((options.width * 2 + kPage - 1) / kPage),
          frames_((options.mb << 8) / (kPlanes * out_height_ * 2 * row_pages_)),
          work_(options.work ? options.work : 160),
          seed_(options.seed),
          ring_(kRing * kPlanes * out_width_ * out_height_) {}
    std::size_t frames() const { return frames_; }
    std::size_t pages() const override { return frames_ * kPlanes * height_ * row_pages_; }

    void fill(Region& region) override {
        Random random(seed_);
        for (std::size_t p = 0; p < pages(); ++p)
            for (std::size_t i = 0; i < kPage / 8; ++i) region.words(p)[i] = random.next();
    }

    std::uint64_t pass(Region& region, Meter& meter, unsigned) override {
        std::uint64_t sum = 0;
        for (std::size_t f = 0; f < frames_; ++f)
            for (std::size_t y = 0; y < out_height_; ++y)
                for (std::size_t plane = 0; plane < kPlanes; ++plane) sum = sum * 31 + scale_row(region, meter, f, plane, y);
        return sum;
    }

private:
    const std::uint16_t* source_row(Region& region, Meter& meter, std::size_t frame, std::size_t plane, std::size_t y) {
        const std::size_t first = ((frame * kPlanes + plane) * height_ + y) * row_pages_;
        for (std::size_t i = 0; i < row_pages_; ++i) meter.read(region.page(first + i));
        return reinterpret_cast<const std::uint16_t*>(region.page(first));
    }

    // Coordinates in 1/65536 of a sample: centre to centre, clamped at the far border.
    struct Place {
        std::size_t at;
        std::uint32_t weight;  // of at + 1, in 1/65536
    };
    static Place place(std::size_t out, std::size_t out_size, std::size_t size) {
        const std::uint64_t twice = ((2 * out + 1) * (static_cast<std::uint64_t>(size) << 16)) / out_size;
        const std::uint64_t centre = twice / 2 >= 0x8000 ? twice / 2 - 0x8000 : 0;
        const std::size_t at = std::min<std::size_t>(centre >> 16, size - 2);
        return {at, static_cast<std::uint32_t>(centre & 0xffff)};
    }

    std::uint64_t scale_row(Region& region, Meter& meter, std::size_t frame, std::size_t plane, std::size_t y) {
        const Place v = place(y, out_height_, height_);
        const std::uint16_t* r0 = source_row(region, meter, frame, plane, v.at);
        const std::uint16_t* r1 = source_row(region, meter, frame, plane, v.at + 1);
        std::uint16_t* to = &ring_[((frame % kRing * kPlanes + plane) * out_height_ + y) * out_width_];
        for (std::size_t x = 0; x < out_width_; ++x) {
            const Place h = place(x, out_width_, width_);
            const std::uint64_t a = r0[h.at] * (65536ull - h.weight) + r0[h.at + 1] * static_cast<std::uint64_t>(h.weight);
            const std::uint64_t b = r1[h.at] * (65536ull - h.weight) + r1[h.at + 1] * static_cast<std::uint64_t>(h.weight);
            to[x] = static_cast<std::uint16_t>(((a >> 16) * (65536ull - v.weight) + (b >> 16) * v.weight) >> 16);
        }
        for (unsigned round = 0; round < work_; ++round) tone(to);
        std::uint64_t sum = 0;
        for (std::size_t x = 0; x < out_width_; ++x) sum += to[x];
        return sum;
    }

    // One step of a smooth curve, v + v (1 - v) / 8 in 1/65536.
    void tone(std::uint16_t* to) const {
        for (std::size_t x = 0; x < out_width_; ++x) {
            const std::uint32_t v = to[x];
            to[x] = static_cast<std::uint16_t>(v + ((v * (65535u - v)) >> 19));
        }
    }

    const std::size_t width_, height_, out_width_, out_height_, row_pages_, frames_;
    const unsigned work_;
    const std::uint64_t seed_;
    std::vector<std::uint16_t> ring_;
};

}  // namespace

std::unique_ptr<Pattern> make_resize(const Options& options, std::string& error) {
    if (options.pattern != "resize") return nullptr;
    if (options.scale < 2 || options.width / options.scale < 1 || options.height / options.scale < 1 || options.width < 2) {
        error = "--scale " + std::to_string(options.scale) + " of a frame of " + std::to_string(options.width) + "x" +
                std::to_string(options.height) + " is not possible; expected 2 or more, and at most the frame's size";
        return nullptr;
    }
    auto pattern = std::make_unique<Resize>(options);
    if (pattern->frames() == 0) {
        error = std::to_string(options.mb) + " MB hold no frame of " + std::to_string(options.width) + "x" +
                std::to_string(options.height) + "; give a larger --mb or a smaller frame";
        return nullptr;
    }
    return pattern;
}

}  // namespace rmt::bench
