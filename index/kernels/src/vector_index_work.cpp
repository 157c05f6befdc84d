// VectorIndex: its background work, linking and rebuilding, and its end.
#include <algorithm>
#include <chrono>
#include <exception>

#include "vector_index.h"

namespace weft {
namespace {

constexpr uint32_t kSlice = 32;            // links a slice: a few milliseconds
constexpr uint32_t kRebuildMin = 1024;     // fewer deleted slots are not worth a rebuild
constexpr uint32_t kRebuildCopies = 1024;  // vectors copied a slice, they are linked later
constexpr uint32_t kRebuildLag = 1024;     // links that may be missing when the graphs change

void link_span(Graph& graph) {
    Graph::Span span = graph.claim(kSlice);
    for (uint32_t slot = span.begin; slot < span.end; ++slot) graph.link(slot);
    graph.finish(span);
}

}  // namespace

void VectorIndex::wake_linkers() {
    if (!queued_.exchange(true)) LinkPool::shared().submit(shared_from_this());
}

void VectorIndex::left_queue() noexcept {
    // Work that came between the pool's look and this line would be forgotten otherwise. An
    // exchange, not a store: it sees what the writer did before its own exchange found the flag
    // set.
    queued_.exchange(false);
    if (has_work()) wake_linkers();
}

bool VectorIndex::has_work() const {
    if (closed_.load() || failed_.load()) return false;
    if (rebuilding_.load()) return true;
    std::lock_guard guard(graph_mutex_);
    return graph_ != nullptr && is_linked(*graph_) && graph_->has_unclaimed();
}

void VectorIndex::run_slice() noexcept {
    {
        std::lock_guard guard(state_mutex_);
        if (closed_.load()) return;
        ++slices_;
    }
    std::string fault;
    try {
        if (!rebuild_slice()) {
            std::shared_ptr<Graph> graph = this->graph();
            if (graph != nullptr && is_linked(*graph)) link_span(*graph);
        }
        begin_rebuild_if_due();
    } catch (const ClosedError&) {
        // Nothing to do for a closed index.
    } catch (const std::exception& error) {
        fault = error.what();
    }
    std::lock_guard guard(state_mutex_);
    --slices_;
    if (!fault.empty()) {
        fault_ = fault;
        failed_.store(true);
    }
    state_changed_.notify_all();
}

void VectorIndex::begin_rebuild_if_due() {
    {
        std::lock_guard guard(rebuild_mutex_);
        std::shared_ptr<Graph> graph = this->graph();
        if (rebuild_ || graph == nullptr || graph->deleted() < kRebuildMin ||
            graph->deleted() <= graph->count() / 2)
            return;
        rebuild_.emplace();
        rebuild_->source = graph;
        rebuild_->target = std::make_shared<Graph>(graph->settings());
        rebuilding_.store(true);
    }
    wake_linkers();
}

// False where there is no rebuild, or the old graph needs the slice more.
bool VectorIndex::rebuild_slice() {
    std::shared_ptr<Graph> target;
    {
        std::lock_guard guard(rebuild_mutex_);
        if (!rebuild_) return false;
        target = rebuild_->target;
        rebuild_->copy(rebuild_->at + kRebuildCopies);
        end_rebuild_if_caught_up();
        // While writes come in, both graphs are kept up in turn.
        rebuild_turn_ = !rebuild_turn_;
        if (rebuild_ && !rebuild_turn_ && rebuild_->source->has_unclaimed()) return false;
    }
    if (is_linked(*target)) link_span(*target);
    return true;
}

void VectorIndex::Rebuild::copy(uint32_t end) {
    const size_t dimensions = source->settings().dimensions;
    end = std::min(end, source->count());
    std::vector<uint32_t> docs;
    std::vector<float> rows;
    for (; at < end; ++at) {
        if (source->is_deleted(at)) continue;
        docs.push_back(source->doc_of(at));
        const float* row = source->vector_of(at);
        rows.insert(rows.end(), row, row + dimensions);
        source_slots.push_back(at);
    }
    target->append(docs.data(), rows.data(), docs.size());
}

// Requires: rebuild_mutex_ is held.
void VectorIndex::end_rebuild_if_caught_up() {
    const Graph& source = *rebuild_->source;
    const Graph& target = *rebuild_->target;
    auto missing = [this](const Graph& graph) {
        return is_linked(graph) ? graph.count() - graph.linked() : 0;
    };
    if (rebuild_->at + kRebuildLag < source.count()) return;
    if (missing(target) > missing(source) + kRebuildLag) return;
    std::lock_guard writer(writer_mutex_);
    std::shared_ptr<Graph> current = this->graph();
    if (current == rebuild_->source) {
        rebuild_->copy(source.count());
        for (uint32_t slot = 0; slot < target.count(); ++slot)
            if (source.is_deleted(rebuild_->source_slots[slot]))
                rebuild_->target->erase(target.doc_of(slot));
        set_graph(target.live() == 0 ? nullptr : rebuild_->target);
    }
    rebuild_.reset();
    rebuilding_.store(false);
}

void VectorIndex::set_flat_until(uint32_t live) {
    std::lock_guard guard(writer_mutex_);
    std::shared_ptr<Graph> graph = this->graph();
    if (flat_until() == 0) return;
    flat_until_.store(live);
    if (graph == nullptr) return;
    end_flat_if_due(*graph);
    if (is_linked(*graph)) wake_linkers();
}

// Requires: writer_mutex_ is held.
void VectorIndex::end_flat_if_due(const Graph& graph) {
    if (graph.live() > flat_until()) flat_until_.store(0);
}

bool VectorIndex::wait_indexed(double timeout_s) const {
    auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(timeout_s);
    std::unique_lock lock(state_mutex_);
    while (true) {
        if (failed_.load()) throw std::runtime_error("linking stopped: " + fault_);
        if (closed_.load() || (pending() == 0 && !rebuilding_.load())) return true;
        if (std::chrono::steady_clock::now() >= until) return false;
        state_changed_.wait_until(lock, until);
    }
}

void VectorIndex::close() {
    std::shared_ptr<Graph> graph;
    {
        std::lock_guard guard(graph_mutex_);
        closed_.store(true);
        graph.swap(graph_);
    }
    {
        std::unique_lock lock(state_mutex_);
        state_changed_.notify_all();
        state_changed_.wait(lock, [this] { return slices_ == 0; });
    }
    std::lock_guard guard(rebuild_mutex_);
    rebuild_.reset();
    rebuilding_.store(false);
}

}  // namespace weft
