// VectorIndex: the sketches of its graph, made in the background once vectors are linked.
#include <algorithm>

#include "vector_index.h"

namespace weft {
namespace {

constexpr uint32_t kSketchedMin = 8192;  // fewer vectors are measured as fast
constexpr uint32_t kSketchedASlice = 4096;
constexpr uint32_t kSketchedStep = 4096;  // that wait, while others are still to be linked
constexpr uint32_t kMeanRows = 1024;      // the mean is that of so many
constexpr uint32_t kLearnAgainAfter = 8;  // times as many vectors

// The mean of vectors at even distances among the first `count`.
std::vector<float> mean_of(const Graph& graph, uint32_t count) {
    const size_t dimensions = graph.settings().dimensions;
    std::vector<double> sums(dimensions, 0.0);
    for (uint32_t at = 0; at < kMeanRows; ++at) {
        const float* row = graph.vector_of(uint32_t(uint64_t(at) * count / kMeanRows));
        for (size_t axis = 0; axis < dimensions; ++axis) sums[axis] += double(row[axis]);
    }
    std::vector<float> mean(dimensions);
    for (size_t axis = 0; axis < dimensions; ++axis) mean[axis] = float(sums[axis] / kMeanRows);
    return mean;
}

}  // namespace

// Whether there is a step's work: sketches to make, or to drop because codes stand for vectors.
bool VectorIndex::sketches_are_due(const Graph& graph) const {
    const bool is_there = graph.has_sketches();
    if (graph.has_codes()) return is_there;
    const uint32_t linked = graph.linked();
    if (linked < kSketchedMin ||
        !Sketches::has(graph.settings().metric, graph.settings().dimensions))
        return false;
    if (!is_there) return true;
    std::shared_ptr<Sketches> sketches = graph.sketches();
    if (sketches == nullptr || linked / kLearnAgainAfter >= sketches->learned_from()) return true;
    const uint32_t waiting = linked - std::min(linked, sketches->end());
    return waiting >= (graph.has_unclaimed() ? kSketchedStep : uint32_t(kSketchRun));
}

// Makes some sketches. False where none are due, or another thread is at it.
bool VectorIndex::sketch_slice() {
    std::shared_ptr<Graph> graph = this->graph();
    if (graph == nullptr || !sketches_are_due(*graph)) return false;
    std::unique_lock guard(sketching_mutex_, std::try_to_lock);
    if (!guard.owns_lock()) return false;
    if (graph->has_codes()) {
        fresh_sketches_.reset();
        graph->set_sketches(nullptr);
        return true;
    }
    const uint32_t linked = graph->linked();
    std::shared_ptr<Sketches> sketches = graph->sketches();
    if (sketches == nullptr || linked / kLearnAgainAfter >= sketches->learned_from()) {
        // The old ones serve until the new ones have caught up.
        if (fresh_for_.lock() != graph) fresh_sketches_.reset();
        if (fresh_sketches_ == nullptr) {
            fresh_sketches_ = std::make_shared<Sketches>(graph->settings().metric,
                                                         mean_of(*graph, linked), linked);
            fresh_for_ = graph;
        }
        sketch(*graph, *fresh_sketches_, linked);
        if (linked - fresh_sketches_->end() < kSketchRun)
            graph->set_sketches(std::move(fresh_sketches_));
        return true;
    }
    sketch(*graph, *sketches, linked);
    return true;
}

// Takes the next whole runs, up to a slice of them.
void VectorIndex::sketch(const Graph& graph, Sketches& sketches, uint32_t linked) {
    const float* rows[kSketchRun];
    uint32_t docs[kSketchRun];
    const uint32_t end = std::min(linked, sketches.end() + kSketchedASlice);
    for (uint32_t first = sketches.end(); first + kSketchRun <= end; first = sketches.end()) {
        for (uint32_t at = 0; at < kSketchRun; ++at) {
            rows[at] = graph.vector_of(first + at);
            docs[at] = graph.doc_of(first + at);
        }
        sketches.append_run(rows, docs);
    }
}

}  // namespace weft
