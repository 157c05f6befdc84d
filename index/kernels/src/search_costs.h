// CostMeter: what a distance costs on the rows of one index, measured on those rows.
//
// Measured again when the graph has doubled or codes came or went, by whichever search comes first:
// a few hundred rows, less than a walk takes, and sketches at most as many as four million bytes
// hold, three times. The least of some rounds counts, because another process may have had the
// processor meanwhile.
#pragma once

#include <atomic>
#include <cstdint>

#include "search_plan.h"

namespace weft {

class Graph;
class Measure;
class Sketches;

class CostMeter {
  public:
    // What `with` costs among the first `linked` rows. Concurrency: any number of threads.
    RowCosts of(const Graph& graph, const Measure& with, uint32_t linked);

    // Adds what sketches cost.
    void of(const Sketches& sketches, const float* query, RowCosts& costs);

  private:
    void measure(const Graph& graph, const Measure& with, uint32_t linked);
    void measure(const Sketches& sketches, const float* query);

    std::atomic<uint32_t> measured_for_{0};  // rows there were
    std::atomic<bool> measuring_{false};
    std::atomic<bool> is_exact_{true};  // vectors were measured, not codes
    std::atomic<float> random_ns_{0};
    std::atomic<float> sequential_ns_{0};
    std::atomic<uint32_t> sketched_for_{0};
    std::atomic<float> sketch_ns_{1};
    std::atomic<float> lone_sketch_ns_{10};
};

}  // namespace weft
