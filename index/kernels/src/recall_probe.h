// RecallProbe: how many of the true neighbours searches find, measured in idle time.
//
// For each query the exact neighbours are taken by a scan, then the same query is searched with
// every ef in turn. A result counts as found when it is no farther than the last exact one, so
// that ties do not matter. Runs on the linking threads, below the priority of searches, one query
// a slice.
//
// Concurrency: the pool may run slices of one probe on several threads; each takes its own query.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "vector_index.h"

namespace weft {

struct ProbeResult {
    std::vector<double> recalls;  // by ef, the mean over the queries
    size_t queries = 0;           // that were measured; none where the index is empty or closed
    double seconds = 0;           // of all threads together
};

class RecallProbe : public LinkWork, public std::enable_shared_from_this<RecallProbe> {
  public:
    RecallProbe(std::shared_ptr<VectorIndex> index, const float* queries, size_t count,
                size_t dimensions, size_t k, std::vector<uint32_t> efs);

    void start();
    // What was found, once every query is through.
    std::optional<ProbeResult> result() const;

    bool has_work() const override { return next_.load() < count_; }
    void left_queue() noexcept override {}
    void run_slice() noexcept override;

  private:
    // The share of `k` found with each ef; empty where there is nothing to find.
    std::vector<double> measure(const float* query) const;

    const std::shared_ptr<VectorIndex> index_;
    const std::vector<float> queries_;
    const size_t count_;
    const size_t dimensions_;
    const size_t k_;
    const std::vector<uint32_t> efs_;
    std::atomic<size_t> next_{0};
    mutable std::mutex mutex_;
    size_t ended_ = 0;
    ProbeResult sums_;
};

}  // namespace weft
