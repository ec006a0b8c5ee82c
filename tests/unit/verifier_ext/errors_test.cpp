// SPDX-License-Identifier: MIT
// docs/errors-verifier.md lists every id that the sources can give, and no other.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "tests/rmt_test.h"

namespace {

std::set<std::string> ids_in(const std::string& text, const std::string& pattern) {
    std::set<std::string> ids;
    std::regex regex(pattern);
    for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it) ids.insert((*it)[1]);
    return ids;
}

std::string read(const std::filesystem::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

TEST_CASE("every id of the verifier is documented, once") {
    std::filesystem::path root = RMT_SOURCE_DIR;
    std::set<std::string> used;
    for (auto& entry : std::filesystem::directory_iterator(root / "verifier_ext"))
        if (entry.path().extension() == ".cpp") used.merge(ids_in(read(entry.path()), "\"(V0[0-9]{3})\""));
    std::string text = read(root / "docs/errors-verifier.md");
    CHECK(used == ids_in(text, "### (V0[0-9]{3}) "));
    CHECK(used.size() > 30);
    for (auto& id : used) {
        INFO(id);
        CHECK(text.find("error[" + id + "]") != std::string::npos);
        CHECK(text.find("### " + id) == text.rfind("### " + id));
    }
}
