// RecallProbe: the measuring.
#include "recall_probe.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>

namespace weft {
namespace {

// Distances of the walk and of the scan come from the same kernel, but not from the same order of
// additions on every machine.
constexpr float kTie = 1e-5f;
// A scan reads about three gigabytes a second: a millisecond.
constexpr size_t kScannedBytes = 3 << 20;

}  // namespace

RecallProbe::RecallProbe(std::shared_ptr<VectorIndex> index, const float* queries, size_t count,
                         size_t dimensions, size_t k, std::vector<uint32_t> efs)
    : index_(std::move(index)),
      queries_(queries, queries + count * dimensions),
      count_(count),
      dimensions_(dimensions),
      k_(k),
      efs_(std::move(efs)),
      scanned_a_slice_(
          uint32_t(std::max<size_t>(kScannedBytes / (sizeof(float) * dimensions), 1))) {
    sums_.recalls.assign(efs_.size(), 0.0);
    ended_.store(count == 0);
}

void RecallProbe::start() {
    if (!queued_.exchange(true)) LinkPool::shared().submit(shared_from_this());
}

void RecallProbe::left_queue() noexcept {
    // Another thread runs a slice and queues this again when it is done; it may be by now.
    queued_.exchange(false);
    if (has_work()) start();
}

void RecallProbe::run_slice() noexcept {
    if (running_.exchange(true)) return;
    if (!ended_.load()) {
        const auto begun = std::chrono::steady_clock::now();
        try {
            step();
        } catch (const std::exception&) {
            // The index was closed, or holds vectors of another length by now: nothing to learn.
            end_query(false);
        }
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
        sums_.seconds += took.count();
        ++sums_.slices;
        if (at_ == count_) ended_.store(true, std::memory_order_release);
    }
    running_.store(false);
    if (has_work()) start();
}

void RecallProbe::step() {
    if (!scan_) return begin_query();
    if (!scan_->is_done()) return scan_->step(scanned_a_slice_);
    if (!measure_ef()) return end_query(false);
    if (recalls_.size() == efs_.size()) end_query(true);
}

void RecallProbe::begin_query() {
    scan_.emplace(index_->begin_exact(queries_.data() + at_ * dimensions_, dimensions_, k_));
    recalls_.clear();
}

// False where there is nothing to find, or nothing any more.
bool RecallProbe::measure_ef() {
    SearchRequest request;
    request.query = queries_.data() + at_ * dimensions_;
    request.dimensions = dimensions_;
    request.k = k_;
    request.ef = efs_[recalls_.size()];
    const Found found = index_->search(request);
    // Only now, without what was deleted meanwhile: the search could not find that.
    const std::vector<float> truth = scan_->distances();
    if (truth.empty()) return false;
    const float last = truth.back();
    const float bound = last + std::max(kTie, std::abs(last) * kTie);
    auto is_true = [bound](float distance) { return distance <= bound; };
    const auto hits = std::count_if(found.distances.begin(), found.distances.end(), is_true);
    // More than there were when the scan began, where vectors have come since.
    recalls_.push_back(std::min(1.0, double(hits) / double(truth.size())));
    return true;
}

void RecallProbe::end_query(bool is_measured) {
    if (is_measured) {
        ++sums_.queries;
        for (size_t ef = 0; ef < recalls_.size(); ++ef) sums_.recalls[ef] += recalls_[ef];
    }
    scan_.reset();
    ++at_;
}

std::optional<ProbeResult> RecallProbe::result() const {
    if (!ended_.load(std::memory_order_acquire)) return std::nullopt;
    ProbeResult result = sums_;
    for (double& recall : result.recalls) recall /= double(std::max<size_t>(result.queries, 1));
    return result;
}

}  // namespace weft
