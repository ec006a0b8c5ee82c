// SPDX-License-Identifier: MIT
// Table entries: as bytes of the map's value (bpf/include/rmt/intf.h), and as text.
#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "bpf/include/rmt/intf.h"
#include "rmt_lang/support/manifest.h"

namespace rmt {

namespace {

constexpr size_t kTextBytes = 16;

uint64_t biased(int64_t x) { return static_cast<uint64_t>(x) ^ RMT_KEY_BIAS; }
int64_t unbiased(uint64_t x) { return static_cast<int64_t>(x ^ RMT_KEY_BIAS); }

Unexpected<Error> refuse(const std::string& what) { return fail(ErrorKind::Input, what); }

class Bytes {
public:
    explicit Bytes(std::vector<uint8_t>& to) : to_(to) {}
    template <class T>
    void add(const T& value) {
        const auto* p = reinterpret_cast<const uint8_t*>(&value);
        to_.insert(to_.end(), p, p + sizeof(T));
    }

private:
    std::vector<uint8_t>& to_;
};

class Cursor {
public:
    Cursor(const std::vector<uint8_t>& from, size_t at) : from_(from), at_(at) {}
    template <class T>
    T get() {
        T value;
        RMT_BUG_IF(at_ + sizeof(T) > from_.size(), "read behind a table's value");
        std::memcpy(&value, from_.data() + at_, sizeof(T));
        at_ += sizeof(T);
        return value;
    }

private:
    const std::vector<uint8_t>& from_;
    size_t at_;
};

std::string bounds(int64_t lo, int64_t hi) { return std::to_string(lo) + ".." + std::to_string(hi); }

Result<rmt_text> encode_text(const ManifestKey& key, const KeyMatch& match) {
    rmt_text out{};
    if (std::holds_alternative<KeyAny>(match)) return out;
    const auto* t = std::get_if<KeyText>(&match);
    if (!t) return refuse("key '" + key.name + "' is a string; expected a text in quotes or '*'");
    if (t->prefix && key.match != MatchKind::Prefix) return refuse("key '" + key.name + "' is not matched by prefix");
    if (t->prefix && t->text.empty()) return refuse("key '" + key.name + "': an empty prefix matches everything; write '*'");
    if (t->text.size() >= kTextBytes)
        return refuse("key '" + key.name + "': \"" + t->text + "\" has " + std::to_string(t->text.size()) + " bytes, at most 15 can be matched");
    if (t->text.find('\0') != std::string::npos) return refuse("key '" + key.name + "': a text cannot hold a zero byte");
    std::memcpy(out.value, t->text.data(), t->text.size());
    std::memset(out.mask, 0xff, t->prefix ? t->text.size() : kTextBytes);
    return out;
}

Result<rmt_text> encode_address(const ManifestKey& key, const KeyMatch& match) {
    rmt_text out{};
    if (std::holds_alternative<KeyAny>(match)) return out;
    const auto* p = std::get_if<KeyPrefix>(&match);
    if (!p) return refuse("key '" + key.name + "' is an address; expected one such as 10.0.0.0/8, or '*'");
    if (p->bits > 128) return refuse("key '" + key.name + "': a prefix of " + std::to_string(p->bits) + " bits, an address has 128");
    uint8_t mask[kTextBytes] = {};
    for (uint32_t i = 0; i < p->bits; i++) mask[i / 8] |= static_cast<uint8_t>(0x80 >> i % 8);
    for (size_t i = 0; i < kTextBytes; i++)
        if (p->address[i] & ~mask[i]) return refuse("key '" + key.name + "': " + format_prefix(*p) + " has bits behind its length");
    std::memcpy(out.value, p->address.data(), kTextBytes);
    std::memcpy(out.mask, mask, kTextBytes);
    return out;
}

Result<rmt_range> encode_range(const ManifestKey& key, const KeyMatch& match) {
    if (std::holds_alternative<KeyAny>(match)) return rmt_range{0, ~0ull};
    const auto* r = std::get_if<KeyRange>(&match);
    if (!r) return refuse("key '" + key.name + "' is a number; expected a number, a range or '*'");
    if (r->lo > r->hi) return refuse("key '" + key.name + "': the range " + bounds(r->lo, r->hi) + " is empty");
    if (r->lo < key.min || r->hi > key.max)
        return refuse("key '" + key.name + "': " + bounds(r->lo, r->hi) + " leaves what it can be, " + bounds(key.min, key.max));
    if (key.match == MatchKind::Exact && r->lo != r->hi)
        return refuse("key '" + key.name + "' is matched exactly; expected one value, not the range " + bounds(r->lo, r->hi));
    return rmt_range{biased(r->lo), biased(r->hi)};
}

Result<void> check_run(const Manifest& m, const ManifestTable& table, const ManifestEntry& e) {
    if (e.action >= m.actions.size()) return refuse("there is no action of number " + std::to_string(e.action));
    const ManifestAction& action = m.actions[e.action];
    if (action.params.size() > table.args) return refuse("table '" + table.name + "' has no room for the arguments of '" + action.name + "'");
    if (e.args.size() != action.params.size())
        return refuse("action '" + action.name + "' takes " + std::to_string(action.params.size()) + " argument(s), " +
                      std::to_string(e.args.size()) + " given");
    for (size_t i = 0; i < e.args.size(); i++) {
        const ManifestParam& p = action.params[i];
        if (e.args[i] < p.min || e.args[i] > p.max)
            return refuse("argument '" + p.name + "' of '" + action.name + "' is " + std::to_string(e.args[i]) + ", expected " + bounds(p.min, p.max));
    }
    return {};
}

Result<void> encode_entry(const Manifest& m, const ManifestTable& table, const ManifestEntry& e, uint32_t slot, Bytes& out) {
    if (std::find(table.actions.begin(), table.actions.end(), e.action) == table.actions.end())
        return refuse("action '" + (e.action < m.actions.size() ? m.actions[e.action].name : std::to_string(e.action)) +
                      "' is not one of the actions of table '" + table.name + "'");
    RMT_CHECK(check_run(m, table, e));
    if (e.keys.size() != table.keys.size())
        return refuse("table '" + table.name + "' has " + std::to_string(table.keys.size()) + " key(s), " + std::to_string(e.keys.size()) + " given");
    for (size_t i = 0; i < e.keys.size(); i++) {
        if (table.keys[i].type == "str") {
            RMT_TRY(const rmt_text text, encode_text(table.keys[i], e.keys[i]));
            out.add(text);
        } else if (table.keys[i].type == "address") {
            RMT_TRY(const rmt_text text, encode_address(table.keys[i], e.keys[i]));
            out.add(text);
        } else {
            RMT_TRY(const rmt_range range, encode_range(table.keys[i], e.keys[i]));
            out.add(range);
        }
    }
    out.add(rmt_entry_tail{e.action, slot});
    for (uint32_t i = 0; i < table.args; i++) out.add(int64_t{i < e.args.size() ? e.args[i] : 0});
    return {};
}

Result<KeyMatch> decode_text(const rmt_text& t) {
    char value[kTextBytes];
    uint8_t mask[kTextBytes];
    std::memcpy(value, t.value, kTextBytes);
    std::memcpy(mask, t.mask, kTextBytes);
    size_t n = 0;
    while (n < kTextBytes && mask[n] == 0xff) n++;
    for (size_t i = n; i < kTextBytes; i++)
        if (mask[i] || value[i]) return refuse("a text key has a mask that is not of a prefix");
    if (n == 0) return KeyMatch{KeyAny{}};
    return KeyMatch{KeyText{std::string(value, strnlen(value, n)), n < kTextBytes}};
}

Result<KeyMatch> decode_address(const rmt_text& t) {
    KeyPrefix p;
    uint8_t mask[kTextBytes];
    std::memcpy(p.address.data(), t.value, kTextBytes);
    std::memcpy(mask, t.mask, kTextBytes);
    while (p.bits < 128 && mask[p.bits / 8] & 0x80 >> p.bits % 8) p.bits++;
    for (uint32_t i = p.bits; i < 128; i++)
        if ((mask[i / 8] | p.address[i / 8]) & 0x80 >> i % 8) return refuse("an address key has a mask that is not of a prefix");
    if (p.bits == 0) return KeyMatch{KeyAny{}};
    return KeyMatch{p};
}

Result<ManifestEntry> decode_entry(const Manifest& m, const ManifestTable& table, Cursor in) {
    ManifestEntry e;
    for (const ManifestKey& k : table.keys) {
        if (k.type == "str") {
            RMT_TRY(KeyMatch match, decode_text(in.get<rmt_text>()));
            e.keys.push_back(std::move(match));
            continue;
        }
        if (k.type == "address") {
            RMT_TRY(KeyMatch match, decode_address(in.get<rmt_text>()));
            e.keys.push_back(std::move(match));
            continue;
        }
        const auto range = in.get<rmt_range>();
        if (range.lo > range.hi) return refuse("key '" + k.name + "' has an empty range");
        if (range.lo == 0 && range.hi == ~0ull)
            e.keys.emplace_back(KeyAny{});
        else
            e.keys.emplace_back(KeyRange{unbiased(range.lo), unbiased(range.hi)});
    }
    const auto tail = in.get<rmt_entry_tail>();
    if (tail.action >= m.actions.size()) return refuse("there is no action of number " + std::to_string(tail.action));
    e.action = tail.action;
    for (size_t i = 0; i < m.actions[e.action].params.size() && i < table.args; i++) e.args.push_back(in.get<int64_t>());
    return e;
}

// ---- text ---------------------------------------------------------------------------------------------------------------

std::string quoted(const std::string& s) {
    std::string out = "\"";
    for (const char c : s) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + "\"";
}

// In the largest unit that divides it: 3000000 -> `3ms`.
std::string format_ns(int64_t ns) {
    const std::pair<int64_t, const char*> units[] = {{1000000000, "s"}, {1000000, "ms"}, {1000, "us"}};
    for (const auto& [size, name] : units)
        if (ns != 0 && ns % size == 0) return std::to_string(ns / size) + name;
    return std::to_string(ns) + "ns";
}

// Bytes per second as bits per second: 1250000 -> `10mbit`.
std::string format_rate(int64_t bytes) {
    const std::pair<int64_t, const char*> units[] = {{125000000, "gbit"}, {125000, "mbit"}, {125, "kbit"}};
    for (const auto& [size, name] : units)
        if (bytes != 0 && bytes % size == 0) return std::to_string(bytes / size) + name;
    return std::to_string(bytes);
}

std::string format_number(const std::string& type, int64_t n) { return type == "ns" ? format_ns(n) : type == "rate" ? format_rate(n) : std::to_string(n); }

std::string format_range(const ManifestKey& key, const KeyRange& r) {
    if (r.lo == r.hi) {
        for (const auto& [name, value] : key.values)
            if (value == r.lo) return name;
        return format_number(key.type, r.lo);
    }
    return format_number(key.type, r.lo) + ".." + (r.hi == key.max ? "" : format_number(key.type, r.hi));
}

std::string format_key(const ManifestKey& key, const KeyMatch& match) {
    if (const auto* r = std::get_if<KeyRange>(&match)) return format_range(key, *r);
    if (const auto* t = std::get_if<KeyText>(&match)) return quoted(t->text);
    if (const auto* p = std::get_if<KeyPrefix>(&match)) return format_prefix(*p);
    return "*";
}

}  // namespace

Result<KeyPrefix> parse_prefix(const std::string& text) {
    const size_t slash = text.find('/');
    const std::string address = text.substr(0, slash);
    KeyPrefix out;
    uint32_t offset = 0;
    if (in_addr v4{}; inet_pton(AF_INET, address.c_str(), &v4) == 1) {
        out.address[10] = out.address[11] = 0xff;
        std::memcpy(out.address.data() + 12, &v4, 4);
        offset = 96;
    } else if (inet_pton(AF_INET6, address.c_str(), out.address.data()) != 1) {
        return refuse("'" + text + "' is not an address; expected one such as 10.0.0.0/8 or 2001:db8::/32");
    }
    const uint32_t most = 128 - offset;
    uint32_t bits = most;
    if (slash != std::string::npos) {
        const std::string length = text.substr(slash + 1);
        if (length.empty() || length.size() > 3 || length.find_first_not_of("0123456789") != std::string::npos || std::stoul(length) > most)
            return refuse("'" + text + "': the length of a prefix of this address is 0.." + std::to_string(most));
        bits = static_cast<uint32_t>(std::stoul(length));
    }
    // 0.0.0.0/0 is every IPv4 address, and not every address: the 96 bits before it stay.
    out.bits = offset + bits;
    KeyPrefix cut = out;
    for (uint32_t i = out.bits; i < 128; i++) cut.address[i / 8] &= static_cast<uint8_t>(~(0x80 >> i % 8));
    if (cut.address != out.address) return refuse("'" + text + "' has bits behind its length; the network is " + format_prefix(cut));
    return out;
}

std::string format_prefix(const KeyPrefix& p) {
    char text[INET6_ADDRSTRLEN] = "?";
    static const uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    const bool v4 = p.bits >= 96 && std::memcmp(p.address.data(), kMapped, 12) == 0;
    inet_ntop(v4 ? AF_INET : AF_INET6, p.address.data() + (v4 ? 12 : 0), text, sizeof(text));
    const uint32_t bits = v4 ? p.bits - 96 : p.bits, most = v4 ? 32 : 128;
    return bits == most ? text : std::string(text) + "/" + std::to_string(bits);
}

Result<std::vector<uint8_t>> encode_table(const Manifest& manifest, const ManifestTable& table, const std::vector<ManifestEntry>& entries,
                                          uint32_t version) {
    if (entries.size() > table.size)
        return refuse("table '" + table.name + "' holds at most " + std::to_string(table.size) + " entries, " + std::to_string(entries.size()) + " given");
    if (auto ok = check_run(manifest, table, table.default_entry); !ok) return refuse("default of table '" + table.name + "': " + ok.error().message);
    std::vector<uint8_t> value;
    value.reserve(table.value_size());
    Bytes out(value);
    out.add(rmt_table_header{static_cast<uint32_t>(entries.size()), version, table.default_entry.action, 0});
    for (size_t i = 0; i < entries.size(); i++) {
        const auto ok = encode_entry(manifest, table, entries[i], static_cast<uint32_t>(i), out);
        if (!ok)
            return refuse("entry " + std::to_string(i + 1) + " of table '" + table.name + "' (" + format_entry(manifest, table, entries[i]) +
                          "): " + ok.error().message);
    }
    value.resize(table.value_size());
    return value;
}

Result<std::vector<ManifestEntry>> decode_table(const Manifest& manifest, const ManifestTable& table, const std::vector<uint8_t>& value) {
    if (value.size() != table.value_size())
        return refuse("the value of table '" + table.name + "' has " + std::to_string(value.size()) + " bytes, expected " +
                      std::to_string(table.value_size()));
    const auto header = Cursor(value, 0).get<rmt_table_header>();
    if (header.count > table.size)
        return refuse("the value of table '" + table.name + "' counts " + std::to_string(header.count) + " entries, at most " +
                      std::to_string(table.size) + " fit");
    std::vector<ManifestEntry> entries;
    for (uint32_t i = 0; i < header.count; i++) {
        auto e = decode_entry(manifest, table, Cursor(value, sizeof(header) + size_t{i} * table.entry_size()));
        if (!e) return refuse("entry " + std::to_string(i + 1) + " in the value of table '" + table.name + "': " + e.error().message);
        entries.push_back(std::move(*e));
    }
    return entries;
}

std::string format_entry(const Manifest& manifest, const ManifestTable& table, const ManifestEntry& entry) {
    std::string out;
    for (size_t i = 0; i < entry.keys.size(); i++)
        out += (i ? ", " : "") + (i < table.keys.size() ? format_key(table.keys[i], entry.keys[i]) : std::string("?"));
    out += out.empty() ? "=> " : " => ";
    if (entry.action >= manifest.actions.size()) return out + "?";
    const ManifestAction& action = manifest.actions[entry.action];
    out += action.name + "(";
    for (size_t i = 0; i < entry.args.size(); i++)
        out += (i ? ", " : "") + format_number(i < action.params.size() ? action.params[i].type : "", entry.args[i]);
    out += ")";
    if (!entry.comment.empty()) out += " comment " + quoted(entry.comment);
    return out;
}

}  // namespace rmt
