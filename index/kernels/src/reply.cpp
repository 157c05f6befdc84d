#include "reply.h"

#include <cstring>

#include "stored_fields.h"

namespace weft {
namespace {

constexpr size_t kUuidBytes = 16, kUuidChars = 36;
constexpr unsigned kItem = 1;
constexpr unsigned kObjectValue = 4, kListValue = 5, kObjectValues = 4;

void put_varint(uint64_t value, std::string& out) {
    while (value >= 0x80) {
        out.push_back(static_cast<char>((value & 0x7F) | 0x80));
        value >>= 7;
    }
    out.push_back(static_cast<char>(value));
}

void put_tag(unsigned number, unsigned kind, std::string& out) {
    put_varint(number << 3 | kind, out);
}

void put_field(unsigned number, std::string_view body, std::string& out) {
    put_tag(number, kLength, out);
    put_varint(body.size(), out);
    out.append(body);
}

void put_flag(unsigned number, std::string& out) {
    put_tag(number, kVarint, out);
    out.push_back(1);
}

void put_float(unsigned number, double value, std::string& out) {
    put_tag(number, kFour, out);
    auto narrow = static_cast<float>(value);
    uint32_t bits;
    std::memcpy(&bits, &narrow, sizeof bits);
    for (unsigned shift = 0; shift < 32; shift += 8)
        out.push_back(static_cast<char>(bits >> shift));
}

void put_time(unsigned number, uint64_t time_ms, std::string& out) {
    put_tag(number, kVarint, out);
    put_varint(time_ms, out);
    put_flag(number + 1, out);
}

void put_id(std::string_view id, std::string& out) {
    static const char* digits = "0123456789abcdef";
    char text[kUuidChars];
    size_t to = 0;
    for (size_t at = 0; at < kUuidBytes; ++at) {
        if (at == 4 || at == 6 || at == 8 || at == 10) text[to++] = '-';
        auto byte = static_cast<uint8_t>(id[at]);
        text[to++] = digits[byte >> 4];
        text[to++] = digits[byte & 15];
    }
    put_field(1, {text, kUuidChars}, out);
    put_field(20, id, out);
}

// A value that holds an object, or a list of objects, with fewer properties in them.
void put_narrowed(std::string_view value, const ReplySelection& inner, std::string& out) {
    size_t at = 0;
    Field kind = read_field(value, at);
    if (kind.number == kObjectValue) {
        std::string kept;
        inner.apply(kind.body, kept);
        put_field(kObjectValue, kept, out);
        return;
    }
    if (kind.number != kListValue || kind.body.empty()) {
        out.append(value);
        return;
    }
    at = 0;
    Field list = read_field(kind.body, at);
    if (list.number != kObjectValues) {
        out.append(value);
        return;
    }
    std::string items, kept;
    for (size_t item = 0; item < list.body.size();) {
        kept.clear();
        inner.apply(read_field(list.body, item).body, kept);
        put_field(kItem, kept, items);
    }
    std::string values;
    put_field(kObjectValues, items, values);
    put_field(kListValue, values, out);
}

}  // namespace

ReplySelection::ReplySelection(std::vector<std::string> names,
                               std::vector<std::shared_ptr<ReplySelection>> inner,
                               std::vector<std::string> nulls)
    : names_(std::move(names)), inner_(std::move(inner)), nulls_(std::move(nulls)) {
    inner_.resize(names_.size());
    nulls_.resize(names_.size());
}

// Objects of a collection mostly hold their properties in the same order, so the search begins
// where the last one ended.
size_t ReplySelection::find(std::string_view name, size_t first) const {
    size_t count = names_.size();
    for (size_t step = 0, at = first; step < count; ++step, ++at) {
        if (at >= count) at -= count;
        if (names_[at] == name) return at;
    }
    return count;
}

void ReplySelection::apply(std::string_view properties, std::string& out) const {
    size_t count = names_.size(), found = 0, next = 0;
    std::vector<bool> seen(count);
    for (size_t at = 0; at < properties.size();) {
        Field entry = read_field(properties, at);
        size_t inside = 0;
        Field name = read_field(entry.body, inside);
        size_t index = find(name.body, next);
        if (index == count) continue;
        next = index + 1 < count ? index + 1 : 0;
        if (!seen[index]) {
            seen[index] = true;
            ++found;
        }
        if (!inner_[index]) {
            out.append(entry.whole);
            continue;
        }
        std::string narrowed, body(name.whole);
        put_narrowed(read_field(entry.body, inside).body, *inner_[index], narrowed);
        put_field(kValue, narrowed, body);
        put_field(kEntry, body, out);
    }
    if (found == count) return;
    for (size_t index = 0; index < count; ++index)
        if (!seen[index]) out.append(nulls_[index]);
}

void ReplyWriter::write(const ReplyHit& hit, bool has_distance, bool has_certainty,
                        std::string& out) {
    const std::string_view properties = stored_properties(hit.stored);
    properties_.assign(head_);
    if (!selection_->is_empty()) {
        kept_.clear();
        selection_->apply(properties, kept_);
        put_field(11, kept_, properties_);
    }
    metadata_.clear();
    write_metadata(hit, has_distance, has_certainty);
    kept_.clear();
    put_field(1, properties_, kept_);
    put_field(2, metadata_, kept_);
    out.append(kept_);
}

void ReplyWriter::write_metadata(const ReplyHit& hit, bool has_distance, bool has_certainty) {
    if (fields_.id) put_id(hit.stored.substr(kUuidAt, kUuidBytes), metadata_);
    if (fields_.created) put_time(3, read_little(hit.stored, kCreatedAt, 8), metadata_);
    if (fields_.updated) put_time(5, read_little(hit.stored, kUpdatedAt, 8), metadata_);
    if (has_distance && fields_.distance) {
        put_float(7, hit.distance, metadata_);
        put_flag(8, metadata_);
    }
    if (has_distance && has_certainty && fields_.certainty) {
        put_float(9, 1.0 - hit.distance / 2.0, metadata_);
        put_flag(10, metadata_);
    }
    if (fields_.score) {
        put_float(11, hit.score, metadata_);
        put_flag(12, metadata_);
    }
    metadata_.append(hit.rest);
}

}  // namespace weft
