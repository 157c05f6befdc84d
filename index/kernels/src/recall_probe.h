// RecallProbe: how many of the true neighbours searches find, measured in idle time.
//
// For each query the exact neighbours are taken by a scan, then the same query is searched with
// every ef in turn. A result counts as found when it is no farther than the last exact one, so
// that ties do not matter. Runs on the linking threads, below the priority of searches, in slices
// of about a millisecond: a part of the scan, or the search with one ef.
//
// Concurrency: one slice at a time, on any thread of the pool; `result` from any thread.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "exact_scan.h"
#include "vector_index.h"

namespace weft {

struct ProbeResult {
    std::vector<double> recalls;  // by ef, the mean over the queries
    size_t queries = 0;           // that were measured; none where the index is empty or closed
    size_t slices = 0;            // that it took
    double seconds = 0;           // of all slices together
};

class RecallProbe : public LinkWork, public std::enable_shared_from_this<RecallProbe> {
  public:
    RecallProbe(std::shared_ptr<VectorIndex> index, const float* queries, size_t count,
                size_t dimensions, size_t k, std::vector<uint32_t> efs);

    void start();
    // What was found, once every query is through.
    std::optional<ProbeResult> result() const;

    bool has_work() const override { return !running_.load() && !ended_.load(); }
    void left_queue() noexcept override;
    void run_slice() noexcept override;

  private:
    void step();
    void begin_query();
    bool measure_ef();
    void end_query(bool is_measured);

    const std::shared_ptr<VectorIndex> index_;
    const std::vector<float> queries_;
    const size_t count_;
    const size_t dimensions_;
    const size_t k_;
    const std::vector<uint32_t> efs_;
    const uint32_t scanned_a_slice_;
    std::atomic<bool> running_{false};  // a slice is
    std::atomic<bool> queued_{false};
    std::atomic<bool> ended_{false};
    // Belongs to the running slice.
    size_t at_ = 0;                  // query
    std::optional<ExactScan> scan_;  // of that query
    std::vector<double> recalls_;    // of that query, by ef, those that were measured
    ProbeResult sums_;               // nobody writes once `ended_` is set
};

}  // namespace weft
