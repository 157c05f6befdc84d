#include "row_tally.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "postings_bytes.h"
#include "stored_fields.h"

namespace weft {
namespace {

// storage/property_codec.py, Value and List.
constexpr unsigned kNumber = 1, kBoolean = 3, kList = 5, kDate = 6, kUuid = 7, kInt = 8, kText = 13;
constexpr unsigned kNumbers = 2, kBooleans = 3, kDates = 5, kUuids = 6, kInts = 7, kTexts = 8;

constexpr char kVersion = 1;

std::string_view read_sized(std::string_view data, size_t& at) {
    const uint64_t size = read_varint(data, at);
    if (size > data.size() - at) throw DamagedReply("a tally is cut off");
    at += size;
    return data.substr(at - size, size);
}

void append_sized(std::string& out, std::string_view bytes) {
    append_varint(out, bytes.size());
    out += bytes;
}

template <class T>
std::string bytes_of(T value) {
    std::string out(sizeof(T), '\0');
    std::memcpy(out.data(), &value, sizeof(T));
    return out;
}

std::string number_of(std::string_view body) {
    if (body.size() != sizeof(double)) throw DamagedReply("a stored number has another length");
    double number;
    std::memcpy(&number, body.data(), sizeof(number));
    return bytes_of(number + 0.0);  // -0 and 0 are one number
}

uint64_t digits(std::string_view text, size_t at, size_t count) {
    uint64_t number = 0;
    for (size_t end = at + count; at < end; ++at) {
        if (at >= text.size() || text[at] < '0' || text[at] > '9')
            throw DamagedReply("a stored date is none");
        number = number * 10 + uint64_t(text[at] - '0');
    }
    return number;
}

// Days since 1970 of a date of the Gregorian calendar (Hinnant, "chrono-compatible low-level date
// algorithms", days_from_civil).
int64_t days_of(int64_t year, int64_t month, int64_t day) {
    year -= month <= 2;
    const int64_t era = (year >= 0 ? year : year - 399) / 400;
    const int64_t year_of_era = year - era * 400;
    const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

// 2024-03-01T12:30:00[.123](Z|+01:00) as core/codec.py encodes it: seconds since 1970 with the sign
// bit flipped, u64, and nanoseconds, u32, both big-endian.
std::string instant_of(std::string_view text) {
    if (text.size() < 20) throw DamagedReply("a stored date is none");
    int64_t seconds =
        days_of(int64_t(digits(text, 0, 4)), int64_t(digits(text, 5, 2)),
                int64_t(digits(text, 8, 2))) *
            86400 +
        int64_t(digits(text, 11, 2) * 3600 + digits(text, 14, 2) * 60 + digits(text, 17, 2));
    size_t at = 19;
    uint64_t fraction = 0;
    if (text[at] == '.' || text[at] == ',') {
        uint64_t unit = 100'000'000;
        for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, unit /= 10)
            fraction += uint64_t(text[at] - '0') * unit;
    }
    if (at < text.size() && text[at] != 'Z') {
        const int64_t shift =
            int64_t(digits(text, at + 1, 2) * 3600 + digits(text, at + 4, 2) * 60);
        seconds += text[at] == '-' ? shift : -shift;
    }
    const uint64_t flipped = uint64_t(seconds) ^ (uint64_t(1) << 63);
    std::string out;
    for (int shift = 56; shift >= 0; shift -= 8) out.push_back(char(flipped >> shift));
    for (int shift = 24; shift >= 0; shift -= 8) out.push_back(char(fraction >> shift));
    return out;
}

void take_packed(unsigned kind, std::string_view body, std::vector<std::string>& out) {
    const size_t width = kind == kBooleans ? 1 : 8;
    if (body.size() % width != 0) throw DamagedReply("a stored list ends inside a value");
    for (size_t at = 0; at < body.size(); at += width) {
        std::string_view item = body.substr(at, width);
        out.push_back(kind == kNumbers ? number_of(item) : std::string(item));
    }
}

void take_list(std::string_view list, std::vector<std::string>& out) {
    if (list.empty()) return;
    size_t begin = 0;
    const Field kind = read_field(list, begin);
    for (size_t at = 0; at < kind.body.size();) {
        const Field item = read_field(kind.body, at);
        switch (kind.number) {
            case kNumbers:
            case kBooleans:
            case kInts: take_packed(kind.number, item.body, out); break;
            case kDates: out.push_back(instant_of(item.body)); break;
            case kUuids:
            case kTexts: out.emplace_back(item.body); break;
            default: return;  // Lists of objects have no values to count.
        }
    }
}

void take_value(std::string_view value, std::vector<std::string>& out) {
    size_t at = 0;
    const Field field = read_field(value, at);
    switch (field.number) {
        case kDate: out.push_back(instant_of(field.body)); break;
        case kUuid:
        case kText: out.emplace_back(field.body); break;
        case kNumber: out.push_back(number_of(field.body)); break;
        case kBoolean: out.emplace_back(1, field.body[0] == 0 ? '\0' : '\1'); break;
        case kInt: {
            size_t inside = 0;
            out.push_back(bytes_of(read_varint(field.body, inside)));
            break;
        }
        case kList: take_list(field.body, out); break;
        default: break;  // Null, and types that have no statistics.
    }
}

}  // namespace

RowTally::RowTally(std::vector<std::string> names, bool is_grouped)
    : names_(std::move(names)), is_grouped_(is_grouped), values_(names_.size()) {
    if (!is_grouped_) groups_[""].counts.resize(names_.size());
}

void RowTally::add(std::string_view stored) {
    for (auto& values : values_) values.clear();
    const std::string_view properties = stored_properties(stored);
    for (size_t at = 0; at < properties.size();) {
        const Field entry = read_field(properties, at);
        size_t inside = 0;
        const Field name = read_field(entry.body, inside);
        for (size_t wanted = 0; wanted < names_.size(); ++wanted) {
            if (names_[wanted] != name.body) continue;
            size_t begin = inside;
            take_value(read_field(entry.body, begin).body, values_[wanted]);
        }
    }
    if (!is_grouped_) return count_into(groups_.at(""));
    std::vector<std::string>& own = values_.front();
    std::sort(own.begin(), own.end());
    own.erase(std::unique(own.begin(), own.end()), own.end());
    for (const std::string& value : own) {
        Group& group = groups_[value];
        group.counts.resize(names_.size());
        count_into(group);
    }
}

void RowTally::count_into(Group& group) const {
    ++group.objects;
    for (size_t name = is_grouped_ ? 1 : 0; name < names_.size(); ++name)
        for (const std::string& value : values_[name]) ++group.counts[name][value];
}

const RowTally::Counts& RowTally::counts(const std::string& group, size_t name) const {
    return groups_.at(group).counts.at(name);
}

uint64_t RowTally::total(const std::string& group, size_t name) const {
    uint64_t sum = 0;
    for (const auto& [value, count] : counts(group, name)) sum += count;
    return sum;
}

void RowTally::take(std::string_view tally) {
    if (tally.size() < 2 || tally[0] != kVersion) throw DamagedReply("a tally of another version");
    if ((tally[1] != 0) != is_grouped_) throw DamagedReply("a tally of another question");
    size_t at = 2;
    if (read_varint(tally, at) != names_.size()) throw DamagedReply("a tally of other properties");
    for (uint64_t groups = read_varint(tally, at); groups > 0; --groups) {
        Group& group = groups_[std::string(read_sized(tally, at))];
        group.counts.resize(names_.size());
        group.objects += read_varint(tally, at);
        for (Counts& counts : group.counts) {
            for (uint64_t values = read_varint(tally, at); values > 0; --values) {
                std::string_view value = read_sized(tally, at);
                counts[std::string(value)] += read_varint(tally, at);
            }
        }
    }
    if (at != tally.size()) throw DamagedReply("a tally does not end where it should");
}

void RowTally::take_values(size_t name, std::string_view joined, size_t width,
                           const std::vector<uint64_t>& counts, bool is_group) {
    if (width == 0 || joined.size() != width * counts.size())
        throw std::invalid_argument("values and counts differ in number");
    if (is_group != is_grouped_ || name >= names_.size())
        throw std::invalid_argument("the tally counts something else");
    for (size_t at = 0; at < counts.size(); ++at) {
        std::string value(joined.substr(at * width, width));
        if (!is_group) {
            groups_.at("").counts[name][value] += counts[at];
            continue;
        }
        Group& group = groups_[value];
        group.counts.resize(names_.size());
        group.objects += counts[at];
    }
}

std::optional<std::string> RowTally::dump(size_t bytes_max) const {
    std::string out{char(kVersion), char(is_grouped_)};
    append_varint(out, names_.size());
    append_varint(out, groups_.size());
    for (const auto& [value, group] : groups_) {
        append_sized(out, value);
        append_varint(out, group.objects);
        for (const Counts& counts : group.counts) {
            append_varint(out, counts.size());
            for (const auto& [one, occurs] : counts) {
                append_sized(out, one);
                append_varint(out, occurs);
                if (out.size() > bytes_max) return std::nullopt;
            }
        }
        if (out.size() > bytes_max) return std::nullopt;
    }
    return out;
}

std::vector<std::pair<std::string, uint64_t>> RowTally::top(const std::string& group, size_t name,
                                                            size_t count) const {
    using Item = const Counts::value_type*;
    std::vector<Item> items;
    for (const auto& item : counts(group, name)) items.push_back(&item);
    count = std::min(count, items.size());
    std::partial_sort(items.begin(), items.begin() + ptrdiff_t(count), items.end(),
                      [](Item left, Item right) {
                          if (left->second != right->second) return left->second > right->second;
                          return left->first < right->first;
                      });
    std::vector<std::pair<std::string, uint64_t>> found;
    for (size_t at = 0; at < count; ++at) found.emplace_back(items[at]->first, items[at]->second);
    return found;
}

}  // namespace weft
