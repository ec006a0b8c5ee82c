// SPDX-License-Identifier: MIT
// C text with `#line`: what the emitter writes belongs either to a line of the policy or to the generated file itself.
#pragma once

#include <cstdint>
#include <string>

namespace rmt::lang {

// "a\"b" as a C string literal.
std::string c_string(const std::string& text);

// A literal of the right type: `-1`, `5000000000ll`, `(-9223372036854775807ll - 1)`.
std::string c_number(int64_t value);

// A name of the policy as a C identifier: itself, unless C or our headers own it; then with an underscore behind. What
// is no letter or digit (`fault.page`, `deltas[1]`) becomes an underscore; different plain names stay different.
std::string c_name(const std::string& name);

// "/a/b/x.rmt" -> "x.rmt": no path reaches the output.
std::string base_name(const std::string& path);

class CWriter {
public:
    // policy_file: base name of the policy. The generated text calls itself `<policy_file>.c`.
    explicit CWriter(std::string policy_file) : policy_file_(std::move(policy_file)) {}

    // Whose line follows, the policy's or the generated text's own. Costs a directive only where the count is off.
    void at(uint32_t policy_line) { policy_line_ = policy_line; }
    void own() { policy_line_ = 0; }

    void line(const std::string& text);   // one line, indented
    void blank();
    void open(const std::string& head);   // `head {`
    void reopen(const std::string& middle);  // `} middle {`
    void close(const std::string& tail = {});

    const std::string& text() const { return text_; }

private:
    void raw(const std::string& text);
    void direct();

    std::string policy_file_;
    std::string text_;
    uint32_t policy_line_ = 0;    // 0: the generated text's own
    uint32_t next_ = 1;           // physical number of the next line
    uint32_t presumed_ = 1;       // what the compiler takes it for
    bool presumed_own_ = true;    // and in which file
    int depth_ = 0;
};

}  // namespace rmt::lang
