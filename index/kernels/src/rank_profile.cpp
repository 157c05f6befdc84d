// RankProfile: the moving means and what follows from them.
#include "rank_profile.h"

#include <algorithm>
#include <bit>
#include <numeric>

namespace weft {
namespace {

constexpr uint32_t kSearchesMin = 24;    // that a bin has seen before it is believed
constexpr uint32_t kSearchesKept = 128;  // that make up a moving mean
constexpr float kFirstShare = 0.02f;     // a bin that nobody has looked into is not empty
constexpr size_t kFirstDepth = 64;       // candidates a hit, before anything is known
constexpr uint32_t kExploring = 7;       // one search in so many looks further
// Past the known bins shares fall as the last two did, at least this fast, at most that fast.
constexpr double kFallMin = 0.6;
constexpr double kFallMax = 0.25;
// Of the allowed loss, kept in hand: the next queries are others.
constexpr double kMargin = 0.4;

size_t begin_of(size_t bin) {
    return (size_t{1} << bin) - 1;
}

size_t bin_of(size_t rank) {
    return size_t(std::bit_width(rank + 1)) - 1;
}

}  // namespace

size_t RankProfile::class_of(size_t k) {
    return std::min<size_t>((size_t(std::bit_width(std::max<size_t>(k, 1))) - 1) / 2, kClasses - 1);
}

RankProfile::Shares RankProfile::shares(const Question& question) const {
    Shares shares;
    for (const Bin& bin : bins_[question.is_filtered][class_of(question.k)]) {
        if (bin.searches.load(std::memory_order_relaxed) < kSearchesMin) break;
        shares.of_bins.push_back(double(bin.share.load(std::memory_order_relaxed)));
    }
    const size_t known = shares.of_bins.size();
    if (known < 2) return shares;
    const double last = shares.of_bins[known - 1];
    const double fall =
        std::clamp(last / std::max(shares.of_bins[known - 2], 1e-9), kFallMax, kFallMin);
    double share = last;
    for (size_t bin = known; bin < kBins && begin_of(bin) < question.docs; ++bin)
        shares.rest += share *= fall;
    return shares;
}

size_t RankProfile::depth_for(const Question& question, double recall) const {
    const size_t k = question.k;
    const Shares shares = this->shares(question);
    const size_t known = shares.of_bins.size();
    if (known < 2) return begin_of(bin_of(kFirstDepth * k) + 1);
    double allowed = (1 - recall) * (1 - kMargin) - shares.rest;
    if (allowed < 0) return std::max(begin_of(known + 1), k);  // explorers will tell more
    size_t bin = known;
    while (bin > 0 && shares.of_bins[bin - 1] <= allowed) allowed -= shares.of_bins[--bin];
    if (bin == 0) return k;
    const double left_out = allowed / shares.of_bins[bin - 1];
    const size_t size = begin_of(bin) - begin_of(bin - 1);
    return std::max(begin_of(bin) - size_t(left_out * double(size)), k);
}

double RankProfile::recall_at(const Question& question, size_t depth) const {
    const Shares shares = this->shares(question);
    if (shares.of_bins.size() < 2) return -1;
    double missed = shares.rest;
    for (size_t bin = 0; bin < shares.of_bins.size(); ++bin) {
        const size_t begin = begin_of(bin);
        const size_t end = begin_of(bin + 1);
        if (depth >= end) continue;
        missed += shares.of_bins[bin] * double(end - std::max(depth, begin)) / double(end - begin);
    }
    return std::clamp(1 - missed, 0.0, 1.0);
}

size_t RankProfile::explored(size_t depth) {
    if (searches_.fetch_add(1, std::memory_order_relaxed) % kExploring != 0) return depth;
    return begin_of(bin_of(depth) + 2);
}

void RankProfile::note(const Question& question, const std::vector<size_t>& ranks, size_t depth) {
    uint32_t hits[kBins] = {};
    for (size_t rank : ranks)
        if (bin_of(rank) < kBins) ++hits[bin_of(rank)];
    for (size_t at = 0; at < kBins && begin_of(at + 1) <= depth; ++at) {
        Bin& bin = bins_[question.is_filtered][class_of(question.k)][at];
        const uint32_t seen = bin.searches.load(std::memory_order_relaxed);
        const float known = seen == 0 ? kFirstShare : bin.share.load(std::memory_order_relaxed);
        const float weight = 1.0f / float(std::min(seen + 2, kSearchesKept));
        const float fresh = float(hits[at]) / float(std::max<size_t>(ranks.size(), 1));
        bin.share.store(known + weight * (fresh - known), std::memory_order_relaxed);
        bin.searches.store(seen + 1, std::memory_order_relaxed);
    }
}

}  // namespace weft
