// Worth of postings, many at a time.
#include "bm25_list.h"

namespace weft {
namespace {

// One loop for several instruction sets: the compiler makes a version for each, the loader chooses.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define WEFT_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WEFT_CLONES
#endif

WEFT_CLONES
void score_narrow(const uint16_t* frequencies, const uint16_t* lengths, size_t count, float weight,
                  float flat, float slope, float* out) {
    for (size_t at = 0; at < count; ++at) {
        auto frequency = static_cast<float>(frequencies[at]);
        out[at] = weight * frequency / (frequency + flat + slope * static_cast<float>(lengths[at]));
    }
}

WEFT_CLONES
void score_wide(const uint32_t* frequencies, const uint32_t* lengths, size_t count, float weight,
                float flat, float slope, float* out) {
    for (size_t at = 0; at < count; ++at) {
        auto frequency = static_cast<float>(frequencies[at]);
        out[at] = weight * frequency / (frequency + flat + slope * static_cast<float>(lengths[at]));
    }
}

}  // namespace

void score_postings(const PostingView& view, size_t first, size_t count, float weight, float flat,
                    float slope, float* out) {
    if (view.is_wide)
        score_wide(static_cast<const uint32_t*>(view.frequencies) + first,
                   static_cast<const uint32_t*>(view.lengths) + first, count, weight, flat, slope,
                   out);
    else
        score_narrow(static_cast<const uint16_t*>(view.frequencies) + first,
                     static_cast<const uint16_t*>(view.lengths) + first, count, weight, flat, slope,
                     out);
}

float ScoredList::probe_doc(uint32_t doc) {
    size_t block = probe / kImpactPostings;
    while (block < impact_end && view.impacts[block].last_doc < doc) ++block;
    if (block >= impact_end) {
        probe = impact_end * kImpactPostings;
        return 0;
    }
    probe = std::max(probe, block * kImpactPostings);
    const uint32_t* last = view.docs + std::min<size_t>((block + 1) * kImpactPostings, view.count);
    probe = static_cast<size_t>(std::lower_bound(view.docs + probe, last, doc) - view.docs);
    if (view.docs[probe] != doc) return 0;
    float out;
    score_postings(view, probe, 1, weight, flat, slope, &out);
    return out;
}

}  // namespace weft
