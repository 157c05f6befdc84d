// ExactScan: the nearest of all vectors of an index, found in parts.
//
// A scan of a whole shard takes as long as hundreds of searches. Whoever has time only now and then
// takes a part of it, and goes on later; what is deleted meanwhile is left out at the end.
//
// Concurrency: one thread at a time. It holds the graph that it began with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "graph.h"
#include "nearest.h"

namespace weft {

class ExactScan {
  public:
    // `query` is ready for the metric of the graph, which may be null: then there is nothing.
    ExactScan(std::shared_ptr<const Graph> graph, std::vector<float> query, size_t k);

    bool is_done() const { return at_ == end_; }
    // Measures up to `slots` more vectors.
    void step(uint32_t slots);
    // Distances of the live ones among the nearest, nearest first. Requires: it is done.
    std::vector<float> distances();

  private:
    const std::shared_ptr<const Graph> graph_;
    const std::vector<float> query_;
    Nearest nearest_;
    uint32_t at_ = 0;
    const uint32_t end_;
};

}  // namespace weft
