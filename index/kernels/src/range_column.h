// RangeColumn: the docs of one field of one sealed segment in the order of their values.
//
// A wide range takes the docs of whole blocks from here instead of walking every value in them;
// the two blocks at its ends are read as ever. Costs 4 bytes a posting, lies in the TermCache and
// is made anew from the blocks when it is not there: sealed segments never change.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "postings_cache.h"

namespace weft {

class RangeColumn : public Cached {
  public:
    // `docs[i]` are those of the field in the data block at `first_at + i` of the directory.
    RangeColumn(size_t first_at, const std::vector<std::vector<uint32_t>>& docs);

    // The docs of the data blocks [first, last) of the directory, which must all be of the field.
    std::span<const uint32_t> between(size_t first, size_t last) const;
    size_t bytes() const override;

  private:
    size_t first_at_;
    std::vector<uint32_t> docs_;
    std::vector<size_t> starts_;
};

// Collects a column while the blocks of its field come in, in any order.
class RangeColumnBuilder {
  public:
    RangeColumnBuilder(uint64_t segment, std::string_view field, size_t first_at, size_t blocks)
        : segment_(segment), field_(field), first_at_(first_at), docs_(blocks), left_(blocks) {}

    void add(size_t at, const std::vector<uint32_t>& docs) {
        auto& held = docs_[at - first_at_];
        held.insert(held.end(), docs.begin(), docs.end());
    }
    void expect_one_more() { ++left_; }
    void finish_one(TermCache& cache);  // puts the column into `cache` after the last

  private:
    uint64_t segment_;
    std::string field_;
    size_t first_at_;
    std::vector<std::vector<uint32_t>> docs_;
    size_t left_;
};

std::shared_ptr<const RangeColumn> find_range_column(TermCache& cache, uint64_t segment,
                                                     std::string_view field);

}  // namespace weft
