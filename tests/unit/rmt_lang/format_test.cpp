// SPDX-License-Identifier: MIT
// Round trips over whole policies are in tests/lang; here is what the text looks like.
#include "rmt_lang/format.h"

#include "rmt_lang/parser.h"
#include "tests/rmt_test.h"

using namespace rmt;
using namespace rmt::lang;

namespace {

std::string formatted(const std::string& text) {
    const Source source("t.rmt", text);
    Diagnostics diagnostics;
    const auto ast = parse(source, diagnostics);
    return ast ? format(*ast) : format(diagnostics, source);
}

}  // namespace

TEST_CASE("canonical text") {
    CHECK(formatted("rmt   1;\n# about\npolicy p{domain mm;mode   shadow; # why\n\n\n\n"
                    "limit{prefetch.pages<=32 pages per event;cost<=2us per event;}\n"
                    "action a(x:u8){if(x==1&&(x+2)*3>4){n=1;}else if(x<2){n=2;}else{}}\n"
                    "table t{key{cpu:exact;comm:prefix;}actions{a;}default a(1);entries{1,\"x\"=>a(2);\n# between\n100,*=>a(3)comment \"c\";}}\n"
                    "on mm.fault{match n{1,2..3=>n=1;_=>{n=2;}} collect{pid,tgid}sample 1/4;}}") ==
          "rmt 1;\n"
          "# about\n"
          "policy p {\n"
          "    domain mm;\n"
          "    mode shadow;  # why\n"
          "\n"
          "    limit {\n"
          "        prefetch.pages <= 32 pages per event;\n"
          "        cost <= 2us per event;\n"
          "    }\n"
          "    action a(x: u8) {\n"
          "        if (x == 1 && (x + 2) * 3 > 4) {\n"
          "            n = 1;\n"
          "        } else if (x < 2) {\n"
          "            n = 2;\n"
          "        } else {\n"
          "        }\n"
          "    }\n"
          "    table t {\n"
          "        key {\n"
          "            cpu : exact;\n"
          "            comm : prefix;\n"
          "        }\n"
          "        actions {\n"
          "            a;\n"
          "        }\n"
          "        default a(1);\n"
          "        entries {\n"
          "            1, \"x\" => a(2);\n"
          "            # between\n"
          "            100, * => a(3) comment \"c\";\n"
          "        }\n"
          "    }\n"
          "    on mm.fault {\n"
          "        match n {\n"
          "            1, 2..3 => n = 1;\n"
          "            _ => {\n"
          "                n = 2;\n"
          "            }\n"
          "        }\n"
          "        collect { pid, tgid } sample 1/4;\n"
          "    }\n"
          "}\n");
}

TEST_CASE("brackets stay where the tree needs them") {
    const std::pair<const char*, const char*> cases[] = {
        {"a - (b - c)", "a - (b - c)"}, {"(a - b) - c", "a - b - c"},   {"(a * b) + c", "a * b + c"},
        {"-(a + b)", "-(a + b)"},       {"!(a == b)", "!(a == b)"},     {"(a & b) == c", "(a & b) == c"},
        {"- -a", "--a"},
    };
    for (const auto& [text, expected] : cases) {
        const std::string out = formatted(std::string("rmt 1;\npolicy p { action x() { y = ") + text + "; } }");
        CHECK_THAT(out, ContainsSubstring(std::string("y = ") + expected + ";"));
    }
}
