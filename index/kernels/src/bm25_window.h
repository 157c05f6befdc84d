// The score of 4,096 docs at a time: one window over all lists of a query.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "bm25_list.h"
#include "bm25_top.h"

namespace weft {

constexpr uint32_t kWindowDocs = 4096;

// Docs that count: allowed by the filter and alive.
struct WindowMask {
    DocMask allow;
    DocMask live;
    uint32_t end;  // of the docs that may be found

    uint64_t word(size_t at) const {
        uint64_t bits = ~uint64_t(0);
        if (allow.words != nullptr) bits = at < allow.count ? allow.words[at] : 0;
        if (live.words != nullptr) bits &= at < live.count ? live.words[at] : 0;
        uint64_t first = uint64_t(at) * 64;
        if (first + 64 <= end) return bits;
        return first >= end ? 0 : bits & ~(~uint64_t(0) << (end - first));
    }
    bool has(uint32_t doc) const { return word(doc / 64) >> (doc % 64) & 1; }
    bool is_empty(uint32_t base) const {
        if (allow.words == nullptr && live.words == nullptr) return base >= end;
        for (size_t at = 0; at < kWindowDocs / 64; ++at)
            if (word(base / 64 + at) != 0) return false;
        return true;
    }
};

// Docs that match any term.
class AnyWindow {
  public:
    explicit AnyWindow(std::vector<ScoredList>& lists) : lists_(lists) {}
    void run(uint32_t base, const WindowMask& mask, TopDocs& top);

  private:
    void score(uint32_t base, const ScoredList& list, float others, const TopDocs& top);
    void run_alone(uint32_t base, float optional_bound, const WindowMask& mask, TopDocs& top);
    void complete(uint32_t doc, double sum, size_t optional, float optional_bound, TopDocs& top);

    std::vector<ScoredList>& lists_;
    std::vector<ScoredList*> active_;
    std::array<double, kWindowDocs> scores_{};
    std::array<uint64_t, kWindowDocs / 64> touched_{};
};

// Docs that must match several terms: within a field, or across all fields of a group.
class StrictWindow {
  public:
    // One condition: of these lists at least `terms_min` different terms must match.
    struct Condition {
        std::vector<ScoredList> lists;  // by term
        uint32_t terms_min;
    };

    explicit StrictWindow(std::vector<Condition>& conditions) : conditions_(conditions) {}
    void run(uint32_t base, const WindowMask& mask, TopDocs& top);

  private:
    bool score(uint32_t base, Condition& condition);

    std::vector<Condition>& conditions_;
    std::array<double, kWindowDocs> totals_{};
    std::array<double, kWindowDocs> scores_{};
    std::array<uint32_t, kWindowDocs> counts_{};
    std::array<uint32_t, kWindowDocs> latest_{};  // last term that was counted, + 1
    std::array<uint64_t, kWindowDocs / 64> touched_{};
    std::array<uint64_t, kWindowDocs / 64> matched_{};
};

}  // namespace weft
