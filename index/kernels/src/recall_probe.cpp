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

}  // namespace

RecallProbe::RecallProbe(std::shared_ptr<VectorIndex> index, const float* queries, size_t count,
                         size_t dimensions, size_t k, std::vector<uint32_t> efs)
    : index_(std::move(index)),
      queries_(queries, queries + count * dimensions),
      count_(count),
      dimensions_(dimensions),
      k_(k),
      efs_(std::move(efs)) {
    sums_.recalls.assign(efs_.size(), 0.0);
}

void RecallProbe::start() {
    LinkPool::shared().submit(shared_from_this());
}

void RecallProbe::run_slice() noexcept {
    size_t at = next_.fetch_add(1);
    if (at >= count_) return;
    auto begun = std::chrono::steady_clock::now();
    std::vector<double> recalls;
    try {
        recalls = measure(queries_.data() + at * dimensions_);
    } catch (const std::exception&) {
        // The index was closed, or holds vectors of another length by now: nothing to learn.
        recalls.clear();
    }
    std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    std::lock_guard guard(mutex_);
    ++ended_;
    sums_.seconds += took.count();
    if (recalls.empty()) return;
    ++sums_.queries;
    for (size_t ef = 0; ef < recalls.size(); ++ef) sums_.recalls[ef] += recalls[ef];
}

std::vector<double> RecallProbe::measure(const float* query) const {
    SearchRequest request;
    request.query = query;
    request.dimensions = dimensions_;
    request.k = k_;
    request.exact = true;
    const Found exact = index_->search(request);
    request.exact = false;
    if (exact.distances.empty()) return {};
    const float last = exact.distances.back();
    const float bound = last + std::max(kTie, std::abs(last) * kTie);
    std::vector<double> recalls;
    for (uint32_t ef : efs_) {
        request.ef = ef;
        const Found found = index_->search(request);
        auto is_true = [bound](float distance) { return distance <= bound; };
        auto hits = std::count_if(found.distances.begin(), found.distances.end(), is_true);
        recalls.push_back(double(hits) / double(exact.distances.size()));
    }
    return recalls;
}

std::optional<ProbeResult> RecallProbe::result() const {
    std::lock_guard guard(mutex_);
    if (ended_ < count_) return std::nullopt;
    ProbeResult result = sums_;
    for (double& recall : result.recalls) recall /= double(std::max<size_t>(result.queries, 1));
    return result;
}

}  // namespace weft
