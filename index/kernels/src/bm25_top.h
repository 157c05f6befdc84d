// TopDocs: the k best scores seen so far, and every doc that ties with the k-th.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "bm25.h"

namespace weft {

class TopDocs {
  public:
    explicit TopDocs(size_t k) : k_(k) {}

    // Below this nothing gets in any more.
    float threshold() const { return threshold_; }

    // Whether something that is worth `bound` at most may be passed over. The slack covers the
    // rounding of sums, so that a tie is never lost.
    bool is_hopeless(float bound) const { return bound * 1.00001f < threshold_; }

    void add(uint32_t doc, float score) {
        if (score < threshold_) return;
        hits_.push_back({score, doc});
        if (best_.size() < k_) {
            best_.push_back(score);
            std::push_heap(best_.begin(), best_.end(), std::greater<>());
            if (best_.size() == k_) threshold_ = best_.front();
        } else if (score > threshold_) {
            std::pop_heap(best_.begin(), best_.end(), std::greater<>());
            best_.back() = score;
            std::push_heap(best_.begin(), best_.end(), std::greater<>());
            threshold_ = best_.front();
        }
        if (hits_.size() > prune_at_) prune();
    }

    ScoredDocs take() {
        prune();
        std::sort(hits_.begin(), hits_.end(), [](const Hit& left, const Hit& right) {
            return left.score != right.score ? left.score > right.score : left.doc < right.doc;
        });
        ScoredDocs taken;
        for (const Hit& hit : hits_) {
            taken.docs.push_back(hit.doc);
            taken.scores.push_back(hit.score);
        }
        return taken;
    }

  private:
    struct Hit {
        float score;
        uint32_t doc;
    };

    void prune() {
        std::erase_if(hits_, [&](const Hit& hit) { return hit.score < threshold_; });
        prune_at_ = 2 * hits_.size() + 256;
    }

    size_t k_;
    float threshold_ = 0;
    std::vector<float> best_;  // a heap, the worst at the front
    std::vector<Hit> hits_;
    size_t prune_at_ = 1024;
};

}  // namespace weft
