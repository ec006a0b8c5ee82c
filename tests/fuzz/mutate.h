// SPDX-License-Identifier: MIT
// A valid text with a few faults, for fuzz tests: the same ones for the same state of `random`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <random>
#include <string>

namespace rmt::test {

// Rounds of a smoke run, times $RMT_FUZZ_FACTOR for a longer one.
inline int fuzz_rounds(int smoke) {
    const char* factor = std::getenv("RMT_FUZZ_FACTOR");
    return smoke * (factor ? std::max(1, std::atoi(factor)) : 1);
}

inline std::string mutate(std::mt19937_64& random, std::string text) {
    static const char* kTokens[] = {"-1", "0",  "2147483648", "-2147483649", "99999999999999999999", "1e400", "NaN", "null",
                                    "[]", "{}", "\"\"",       "true",        "1.5",                  "[[[[[[[["};
    for (uint64_t edits = 1 + random() % 4; edits > 0 && !text.empty(); edits--) {
        size_t at = random() % text.size();
        switch (random() % 7) {
            case 0:
                text[at] = static_cast<char>(random());
                break;
            case 1:
                text.erase(at, 1 + random() % 8);
                break;
            case 2:
                text.insert(at, text.substr(random() % text.size(), random() % 32));
                break;
            case 3:
                if (random() % 4 == 0) text.resize(at);
                break;
            case 4: {  // a number becomes another token
                size_t digit = text.find_first_of("0123456789", at);
                if (digit == std::string::npos) break;
                size_t end = text.find_first_not_of("0123456789", digit);
                text.replace(digit, (end == std::string::npos ? text.size() : end) - digit, kTokens[random() % std::size(kTokens)]);
                break;
            }
            case 5:
                if (text[at] >= '0' && text[at] <= '9') text[at] = static_cast<char>('0' + random() % 10);
                break;
            case 6:
                text[at] = static_cast<char>(text[at] ^ (1 << random() % 8));
                break;
        }
    }
    return text;
}

}  // namespace rmt::test
