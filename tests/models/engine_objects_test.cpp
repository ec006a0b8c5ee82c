// SPDX-License-Identifier: MIT
// No engine of the library masks a constant with a sign, in whatever shape it was compiled (V0109 of the RMT verifier): Linux
// 6.18 may crash over that, so it is looked for in the bytes, before any test loads them.
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/rmt_test.h"
#include "verifier_ext/allow.h"
#include "verifier_ext/sign_mask.h"

using namespace rmt::verify;
namespace fs = std::filesystem;

TEST_CASE("no engine masks a constant with a sign") {
    size_t objects = 0;
    for (const auto& entry : fs::directory_iterator(RMT_ENGINE_DIR)) {
        if (entry.path().extension() != ".o") continue;
        std::ifstream file(entry.path(), std::ios::binary);
        const std::vector<uint8_t> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
        INFO(entry.path());
        const Decoded decoded = decode(bytes);
        REQUIRE_FALSE(decoded.rejected);
        REQUIRE_FALSE(check_instructions(decoded.object));
        const auto rejected = check_sign_masks(decoded.object, "");
        INFO((rejected ? rejected->because[0] : ""));
        CHECK_FALSE(rejected);
        objects++;
    }
    CHECK(objects > 25);
}
