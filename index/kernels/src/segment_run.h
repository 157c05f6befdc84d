// Run: decoded postings of many keys in memory, immutable, found by hash and walked in key order.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "segment.h"

namespace weft {

// What 128 postings can reach at most: no score in the block is higher than that of its highest
// frequency in its shortest length.
struct Impact {
    uint32_t last_doc;
    uint32_t frequency_max;
    uint32_t length_min;
};

constexpr size_t kImpactPostings = 128;

void append_impacts(const ColumnsView& postings, std::vector<Impact>& out);

// Postings of one key, wherever they lie.
struct PostingView {
    const uint32_t* docs = nullptr;
    const void* frequencies = nullptr;  // uint16_t, or uint32_t if `is_wide`
    const void* lengths = nullptr;
    const Impact* impacts = nullptr;  // one each 128 postings
    uint32_t count = 0;
    bool is_wide = false;

    uint32_t frequency(size_t at) const {
        return is_wide ? static_cast<const uint32_t*>(frequencies)[at]
                       : static_cast<const uint16_t*>(frequencies)[at];
    }
    uint32_t length(size_t at) const {
        return is_wide ? static_cast<const uint32_t*>(lengths)[at]
                       : static_cast<const uint16_t*>(lengths)[at];
    }
};

class Run : public PostingSink {
  public:
    explicit Run(bool is_scored) : is_scored_(is_scored) {}

    // Building: keys ascending, then `seal` once.
    void add(std::string_view key, const ColumnsView& postings) override;
    void seal();

    static std::shared_ptr<Run> of_delta(std::string_view bytes, bool is_scored);

    size_t key_count() const { return key_ends_.size(); }
    std::string_view key(size_t at) const {
        size_t start = at == 0 ? 0 : key_ends_[at - 1];
        return std::string_view(keys_).substr(start, key_ends_[at] - start);
    }
    size_t find(std::string_view key) const;         // key_count() if it is not there
    size_t lower_bound(std::string_view key) const;  // first key that is not before `key`
    std::span<const uint32_t> docs(size_t first, size_t last) const;  // of the keys [first, last)
    ColumnsView columns(size_t at) const;
    PostingView view(size_t at) const;
    size_t postings() const { return docs_.size(); }
    size_t bytes() const;

  private:
    bool is_scored_;
    std::string keys_;
    std::vector<size_t> key_ends_;
    std::vector<size_t> posting_ends_;
    std::vector<size_t> impact_ends_;
    std::vector<uint32_t> docs_;
    std::vector<uint32_t> frequencies_;
    std::vector<uint32_t> lengths_;
    std::vector<Impact> impacts_;
    std::vector<uint32_t> slots_;  // key number + 1, 0 is free
};

}  // namespace weft
