// ScoredList: postings of one term in one field of one part, with what they are worth.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "bm25.h"

namespace weft {

// Scores `count` postings: weight * f / (f + flat + slope * l).
void score_postings(const PostingView& view, size_t first, size_t count, float weight, float flat,
                    float slope, float* out);

struct ScoredList {
    PostingView view;
    float weight;
    float flat;      // k1 * (1 - b)
    float slope;     // k1 * b / mean length
    uint32_t field;  // among all fields of the query
    uint32_t term;   // among all terms of the query

    // Position, for windows that only go forward.
    size_t impact = 0;       // first block that reaches into the window
    size_t impact_end = 0;   // past the last one that does
    float window_bound = 0;  // no posting in the window is worth more
    size_t probe = 0;

    size_t impact_count() const { return (view.count + kImpactPostings - 1) / kImpactPostings; }
    float worth(float frequency, float length) const {
        return weight * frequency / (frequency + flat + slope * length);
    }
    float bound(size_t block) const {
        const Impact& item = view.impacts[block];
        return worth(static_cast<float>(item.frequency_max), static_cast<float>(item.length_min));
    }
    bool is_at_end() const { return impact >= impact_count(); }

    // The first doc that may be at or after `base`; a lower bound.
    uint32_t next_doc(uint32_t base) {
        while (impact < impact_count() && view.impacts[impact].last_doc < base) ++impact;
        return is_at_end() ? UINT32_MAX : std::max(base, view.docs[impact * kImpactPostings]);
    }

    void enter(uint32_t base, uint64_t end) {
        while (impact < impact_count() && view.impacts[impact].last_doc < base) ++impact;
        impact_end = impact;
        window_bound = 0;
        while (impact_end < impact_count() && view.docs[impact_end * kImpactPostings] < end) {
            window_bound = std::max(window_bound, bound(impact_end));
            ++impact_end;
        }
        probe = impact * kImpactPostings;
    }

    // Positions of the postings of a block that lie in [base, end).
    std::pair<size_t, size_t> postings_in(size_t block, uint32_t base, uint64_t end) const {
        const uint32_t* first = view.docs + block * kImpactPostings;
        const uint32_t* last =
            view.docs + std::min<size_t>((block + 1) * kImpactPostings, view.count);
        if (*first < base) first = std::lower_bound(first, last, base);
        if (*(last - 1) >= end) last = std::lower_bound(first, last, static_cast<uint32_t>(end));
        return {first - view.docs, last - view.docs};
    }

    // Worth of `doc`, 0 if it is not there. Docs of one window must be asked in ascending order.
    float probe_doc(uint32_t doc);
};

}  // namespace weft
