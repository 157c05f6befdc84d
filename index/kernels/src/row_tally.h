// RowTally: counts the values of some properties over stored objects, all together or by groups.
//
// The values of a group-by property make the groups: an object is in the group of each of its
// different values. Values are held as bytes: texts and ids as they lie there, numbers as f64,
// whole numbers as i64 (both of the machine's byte order), booleans as one byte, dates as the
// inverted index has them (core/codec.py), so that one instant is one value. Lists count each
// element.
//
// A tally goes to another node as bytes, and is added to others there:
//
//   tally  := version:u8 is_grouped:u8 names:varint groups:varint group*     # version 1
//   group  := size:varint value:bytes[size] objects:varint counts[names]
//   counts := values:varint (size:varint value:bytes[size] occurs:varint)[values]
//
// Numbers keep the byte order of the machine: the nodes of one cluster share it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace weft {

class RowTally {
  public:
    using Counts = std::unordered_map<std::string, uint64_t>;
    struct Group {
        uint64_t objects = 0;
        std::vector<Counts> counts;  // by property
    };

    // With `is_grouped` the first of `names` makes the groups; its own values are not counted
    // unless it is named again.
    RowTally(std::vector<std::string> names, bool is_grouped);

    // Throws DamagedReply; nothing of the object is counted then.
    void add(std::string_view stored);

    // Counts what was counted elsewhere. Throws DamagedReply; a part may have been taken then.
    void take(std::string_view tally);
    // The same of values of one length, side by side, that the inverted index counted: of a
    // property, or with `is_group` the groups and their objects.
    void take_values(size_t name, std::string_view joined, size_t width,
                     const std::vector<uint64_t>& counts, bool is_group);
    // None above `bytes_max`.
    std::optional<std::string> dump(size_t bytes_max) const;

    // Without groups there is one, under the empty value.
    const std::unordered_map<std::string, Group>& groups() const { return groups_; }
    uint64_t total(const std::string& group, size_t name) const;
    // The most frequent values, equal ones in the order of their bytes.
    std::vector<std::pair<std::string, uint64_t>> top(const std::string& group, size_t name,
                                                      size_t count) const;
    const Counts& counts(const std::string& group, size_t name) const;
    void clear() { groups_.clear(); }  // the end of it: nothing may be asked or added after this

  private:
    void count_into(Group& group) const;

    std::vector<std::string> names_;
    bool is_grouped_;
    std::unordered_map<std::string, Group> groups_;
    std::vector<std::vector<std::string>> values_;  // of the object in hand, by property
};

}  // namespace weft
