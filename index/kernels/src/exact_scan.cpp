// ExactScan: its steps.
#include "exact_scan.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace weft {

ExactScan::ExactScan(std::shared_ptr<const Graph> graph, std::vector<float> query, size_t k)
    : graph_(std::move(graph)),
      query_(std::move(query)),
      end_(graph_ == nullptr ? 0 : graph_->count()) {
    nearest_.reset(k, std::numeric_limits<float>::infinity());
}

void ExactScan::step(uint32_t slots) {
    const uint32_t until = at_ + std::min(slots, end_ - at_);
    if (at_ == until) return;
    Scratch& scratch = Scratch::of_this_thread();
    std::swap(scratch.nearest, nearest_);
    try {
        graph_->scan(graph_->measure(query_.data()), at_, until, nullptr, scratch);
    } catch (...) {
        std::swap(scratch.nearest, nearest_);
        throw;
    }
    std::swap(scratch.nearest, nearest_);
    at_ = until;
}

std::vector<float> ExactScan::distances() {
    std::vector<float> found;
    for (const Near& near : nearest_.sorted())
        if (!graph_->is_deleted(near.slot)) found.push_back(near.distance);
    return found;
}

}  // namespace weft
