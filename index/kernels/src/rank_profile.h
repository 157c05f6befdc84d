// RankProfile: at which ranks of the candidates the nearest docs turn out to lie; so, how many
// candidates have to be measured for a recall.
//
// Ranks are counted in bins that double in size. Every search tells which of its hits came from
// which bin, for the bins that it measured to the end; a bin keeps the moving mean of its share. A
// few searches measure further than they need to: they keep the bins behind in view and notice when
// hits move there. What lies past the last bin that is known is extrapolated as the bins before it
// fall. Searches for few and for many hits, with a filter and without, have profiles of their own.
//
// Concurrency: any number of threads; a lost update does no harm.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace weft {

class RankProfile {
  public:
    struct Question {
        size_t k;
        bool is_filtered;
        size_t docs;  // that may be hits at all
    };

    // Candidates to measure for `recall`. Before enough is known it is many.
    size_t depth_for(const Question& question, double recall) const;
    // The share of hits to be expected among the first `depth` candidates; negative before enough
    // is known.
    double recall_at(const Question& question, size_t depth) const;
    // Whether this search is one that should look further than its depth, and how far.
    size_t explored(size_t depth);
    // `ranks` of the hits of a search that measured the first `depth` candidates.
    void note(const Question& question, const std::vector<size_t>& ranks, size_t depth);

  private:
    static constexpr size_t kBins = 31;  // ranks [2^bin - 1, 2^(bin + 1) - 1)
    static constexpr size_t kClasses = 5;

    struct Bin {
        std::atomic<float> share{0};
        std::atomic<uint32_t> searches{0};
    };
    struct Shares {
        std::vector<double> of_bins;
        double rest = 0;  // past the last of them
    };

    static size_t class_of(size_t k);
    Shares shares(const Question& question) const;

    Bin bins_[2][kClasses][kBins];
    std::atomic<uint32_t> searches_{0};
};

}  // namespace weft
