// SPDX-License-Identifier: MIT
// The parser's state and helpers, shared by parser*.cpp only. An error is reported where it is found, then Panic
// unwinds to the nearest `recovered`, which skips to the next statement. Panic never leaves parse().
#pragma once

#include <string>
#include <vector>

#include "rmt_lang/ast.h"
#include "rmt_lang/support/diagnostics.h"

namespace rmt::lang {

class Parser {
public:
    Parser(const Source& source, Diagnostics& diagnostics);

    std::optional<Ast> file();
    std::optional<AstEntry> single_entry();

private:
    struct Panic {};
    static constexpr int kMaxDepth = 64;      // of nesting: the tree is walked by recursion
    static constexpr int kMaxOperators = 256; // of one chain `a + b + ...`, for the same reason

    class Deeper {
    public:
        explicit Deeper(Parser& parser);
        ~Deeper() { parser_.depth_--; }

    private:
        Parser& parser_;
    };

    // ---- parser.cpp: tokens, errors, recovery, the file
    const Token& peek(size_t ahead = 0) const;
    bool at(Tok kind) const { return peek().kind == kind; }
    bool at_word(const char* word) const { return at(Tok::Name) && peek().text == word; }
    Token take();
    bool accept(Tok kind);
    bool accept_word(const char* word);
    Token expect(Tok kind, const std::string& what);     // what: "';' after the mode"
    void expect_word(const char* word, const std::string& where);
    void expect_semicolon(const std::string& after);
    [[noreturn]] void expected(const std::string& what, const std::string& help = {});
    [[noreturn]] void fail(const char* id, Span at, std::string message, std::string label = {}, std::string help = {});
    [[noreturn]] void unknown_word(const std::string& place, const std::vector<std::string>& known);
    void not_closed(Span brace);
    bool at_outer_keyword() const;
    bool after_broken() const { return pos_ > 0 && lexed_.tokens[pos_ - 1].broken; }
    void synchronise(size_t start);
    Span since(Span begin) const { return {begin.begin, last_end_}; }
    AstName name(const std::string& what, bool dots = false);
    AstName declared_name(const std::string& what);      // not a reserved word

    template <class F>
    void recovered(F parse_one) {
        const size_t start = pos_;
        try {
            parse_one();
        } catch (const Panic&) {
            synchronise(start);
        }
    }

    // `{ item item ... }`, each item recovered by itself; returns the span of the braces. What begins an outer item
    // (`table t`, inside an action) shows that the brace was not closed: it is reported and taken as closed.
    template <class F>
    Span braced(const std::string& what, F item) {
        const Span open = expect(Tok::LBrace, "'{' after " + what).span;
        braces_++;
        while (!at(Tok::RBrace)) {
            if (at(Tok::End) || at_outer_keyword()) {
                braces_--;
                not_closed(open);
                return since(open);
            }
            recovered(item);
        }
        take();
        braces_--;
        return since(open);
    }

    void version(Ast& ast);
    void top(Ast& ast);
    void definition(Ast& ast);
    AstPolicy policy();
    void policy_item(AstPolicy& policy);

    // ---- parser_expr.cpp
    AstExpr expr();
    AstExpr binary(int min_precedence);
    AstExpr unary();
    AstExpr primary();
    AstExpr value_or_list();                 // of a define
    AstExpr literal_string(const std::string& what);  // "..." or $NAME
    AstType type(const std::string& what);
    AstPattern pattern(const char* end);
    AstCall call(const std::string& what);
    std::vector<AstExpr> arguments();

    // ---- parser_stmt.cpp
    AstBlock block(const std::string& what);
    AstStmt statement();
    AstIf if_statement();
    AstMatch match_statement();
    AstCollect collect_statement();
    AstStmt assignment_or_call();

    // ---- parser_items.cpp
    AstLimit limit();
    AstLimitRule limit_rule();
    AstLimitOn limit_on();
    AstState state();
    AstModel model();
    AstModelItem model_item();
    AstModelOutput model_output();
    AstModelTrain model_train();
    AstRatio ratio();
    std::vector<AstRatio> scales();
    AstAction action();
    AstTable table();
    void table_part(AstTable& table);
    AstEntry entry();
    AstTest test();
    AstDsq dsq();

    const Source& source_;
    Diagnostics& diagnostics_;
    Tokens lexed_;
    size_t pos_ = 0;
    uint32_t last_end_ = 0;
    int depth_ = 0;
    int braces_ = 0;                         // open ones, as the parser sees them
    bool outside_ = false;                   // items outside of a policy were reported
    size_t unclosed_at_ = SIZE_MAX;          // token where a missing brace was reported
};

bool is_reserved_word(const std::string& word);

}  // namespace rmt::lang
