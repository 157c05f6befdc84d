// VectorIndex: its background work, linking and compacting, and its end.
#include <algorithm>
#include <chrono>
#include <exception>
#include <new>

#include "thread_priority.h"
#include "vector_index.h"

namespace weft {
namespace {

constexpr uint32_t kSlice = 32;           // links a slice: a few milliseconds
constexpr uint32_t kCompactedMin = 1024;  // fewer deleted slots are not worth a compaction
constexpr uint32_t kLag = 2048;           // links that may be missing when the graphs change
constexpr uint32_t kFollowed = 1024;      // later vectors a compaction takes a slice

void link_span(Graph& graph) {
    const Graph::Span span = graph.claim(kSlice);
    uint32_t slot = span.begin;
    try {
        for (; slot < span.end; ++slot) {
            graph.link(slot);
            give_way();
        }
    } catch (...) {
        graph.give_back(span, slot);
        throw;
    }
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
    if (compacting_.load() || coding_.load()) return true;
    std::lock_guard guard(graph_mutex_);
    return graph_ != nullptr && is_linked(*graph_) &&
           (graph_->has_unclaimed() || sketches_are_due(*graph_));
}

void VectorIndex::run_slice() noexcept {
    {
        std::lock_guard guard(state_mutex_);
        if (closed_.load()) return;
        ++slices_;
    }
    std::string fault;
    try {
        if (!encode_slice() && !sketch_slice() && !compaction_slice()) {
            std::shared_ptr<Graph> graph = this->graph();
            if (graph != nullptr && is_linked(*graph)) link_span(*graph);
        }
        begin_own_compaction();
        // The last links make sketches due, maybe after the pool has let go of this index.
        if (has_work()) wake_linkers();
    } catch (const ClosedError&) {
        // Nothing to do for a closed index.
    } catch (const std::bad_alloc&) {
        fault = "out of memory";
    } catch (const std::exception& error) {
        fault = error.what();
    }
    if (!fault.empty()) drop_half_done();
    std::lock_guard guard(state_mutex_);
    --slices_;
    if (!fault.empty()) {
        fault_ = fault;
        failed_.store(true);
    }
    state_changed_.notify_all();
}

// After a slice that failed: what was being made of the graph is begun anew when work goes on.
void VectorIndex::drop_half_done() noexcept {
    {
        std::lock_guard guard(compaction_mutex_);
        compaction_.reset();
        compacting_.store(false);
    }
    std::lock_guard guard(encoding_mutex_);
    encoding_.reset();
}

std::string VectorIndex::link_fault() const {
    std::lock_guard guard(state_mutex_);
    return failed_.load() ? fault_ : std::string();
}

void VectorIndex::retry_links() {
    {
        std::lock_guard guard(state_mutex_);
        if (!failed_.load()) return;
        failed_.store(false);
        fault_.clear();
    }
    wake_linkers();
}

bool VectorIndex::is_compaction_due(const Graph& graph, double share) {
    return graph.deleted() >= kCompactedMin && graph.deleted() > graph.count() * share;
}

VectorIndex::CompactionRoom VectorIndex::copy_room(const Graph& graph) {
    const double live = double(graph.live()) / std::max(1.0, double(graph.count()));
    const size_t rows = size_t{graph.live()} * graph.settings().dimensions * sizeof(float);
    return {size_t(double(graph.memory_bytes()) * live), graph.has_rows_in_file() ? rows : 0};
}

VectorIndex::CompactionRoom VectorIndex::compaction_room(double share) const {
    {
        std::lock_guard guard(compaction_mutex_);
        if (compaction_) return {};
    }
    std::shared_ptr<Graph> graph = this->graph();
    if (graph == nullptr || !is_compaction_due(*graph, share)) return {};
    return copy_room(*graph);
}

void VectorIndex::compact(double share) {
    begin_compaction_if_due(share);
}

void VectorIndex::begin_own_compaction() {
    const size_t most = own_compaction_max_.load(std::memory_order_relaxed);
    if (most != std::numeric_limits<size_t>::max()) {
        std::shared_ptr<Graph> graph = this->graph();
        if (graph == nullptr || !is_compaction_due(*graph, kDeletedShareMax)) return;
        const CompactionRoom room = copy_room(*graph);
        if (room.memory > most || room.disk > 0) return;
    }
    begin_compaction_if_due(kDeletedShareMax);
}

void VectorIndex::begin_compaction_if_due(double share) {
    {
        std::lock_guard guard(compaction_mutex_);
        std::shared_ptr<Graph> graph = this->graph();
        if (compaction_ || graph == nullptr || !is_compaction_due(*graph, share)) return;
        compaction_ = std::make_shared<Compaction>(graph);
        if (std::shared_ptr<CodeTable> table = graph->code_table()) {
            auto codes = std::make_shared<CodeTable>(table->codes);
            codes->learned_from = table->learned_from;
            compaction_->target()->set_code_table(std::move(codes));
            if (graph->has_rows_in_file()) place_rows(*compaction_->target());
        }
        compacting_.store(true);
    }
    wake_linkers();
}

// False where there is no compaction, or the old graph needs the slice more.
bool VectorIndex::compaction_slice() {
    std::shared_ptr<Compaction> compaction;
    {
        std::lock_guard guard(compaction_mutex_);
        compaction = compaction_;
    }
    if (!compaction) return false;
    // While writes come in, both graphs are kept up in turn.
    const bool is_source_due = is_linked(*compaction->source()) &&
                               compaction->source()->has_unclaimed() && turn_.fetch_add(1) % 2 == 0;
    if (is_source_due) return false;
    if (!compaction->is_copied()) return compaction->run_slice();
    end_compaction_if_caught_up(*compaction);
    if (is_linked(*compaction->target())) link_span(*compaction->target());
    return true;
}

void VectorIndex::end_compaction_if_caught_up(Compaction& compaction) {
    std::lock_guard guard(compaction_mutex_);
    if (compaction_.get() != &compaction) return;
    compaction.follow(kFollowed);
    if (compaction.behind() > kFollowed) return;
    auto missing = [this](const Graph& graph) {
        return is_linked(graph) ? graph.count() - graph.linked() : 0;
    };
    if (missing(*compaction.target()) > missing(*compaction.source()) + kLag) return;
    {
        std::lock_guard writer(writer_mutex_);
        if (graph() == compaction.source()) {
            compaction.finish();
            set_graph(compaction.target()->live() == 0 ? nullptr : compaction.target());
            look_after_codes(*compaction.target());
            compactions_.fetch_add(1, std::memory_order_relaxed);
        }
    }
    compaction_.reset();
    compacting_.store(false);
}

VectorIndex::CompactionBytes VectorIndex::compaction_bytes() const {
    std::shared_ptr<Compaction> compaction;
    {
        std::lock_guard guard(compaction_mutex_);
        compaction = compaction_;
    }
    if (!compaction || compaction->source()->count() == 0) return {};
    const size_t whole = copy_room(*compaction->source()).memory;
    const size_t held = compaction->target()->memory_bytes();
    return {held, whole > held ? whole - held : 0};
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
        if (closed_.load() || (pending() == 0 && !has_work())) return true;
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
    {
        std::lock_guard guard(compaction_mutex_);
        compaction_.reset();
        compacting_.store(false);
    }
    {
        std::lock_guard guard(sketching_mutex_);
        fresh_sketches_.reset();
    }
    std::lock_guard guard(encoding_mutex_);
    encoding_.reset();
    coding_.store(false);
}

}  // namespace weft
