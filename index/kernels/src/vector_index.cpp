// VectorIndex: writes, searches, lookups.
#include "vector_index.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "sketched_scan.h"
#include "snapshot.h"

namespace weft {
namespace {

// A log that would outgrow this share of its snapshot is condensed: a new snapshot takes its place.
constexpr double kLogShareMax = 0.5;

}  // namespace

std::shared_ptr<Graph> VectorIndex::graph() const {
    std::lock_guard guard(graph_mutex_);
    if (closed_.load(std::memory_order_relaxed)) throw ClosedError();
    return graph_;
}

void VectorIndex::set_graph(std::shared_ptr<Graph> graph) {
    // The old graph goes after the lock: giving back its memory takes a while.
    std::lock_guard guard(graph_mutex_);
    graph_.swap(graph);
}

void VectorIndex::prepare(const float* row, size_t dimensions, float* out) const {
    if (settings_.graph.metric == Metric::cosine)
        normalise(row, dimensions, out);
    else
        std::copy(row, row + dimensions, out);
}

const float* VectorIndex::prepare_query(const float* query, size_t dimensions,
                                        Scratch& scratch) const {
    if (!is_finite(query, dimensions))
        throw std::invalid_argument("the query vector holds a value that is not finite");
    scratch.query.resize(dimensions);
    prepare(query, dimensions, scratch.query.data());
    return scratch.query.data();
}

void VectorIndex::add(const uint32_t* docs, const float* rows, size_t count, size_t dimensions) {
    std::lock_guard guard(writer_mutex_);
    std::shared_ptr<Graph> graph = this->graph();
    if (count == 0) return;
    if (dimensions == 0) throw std::invalid_argument("a vector needs at least one dimension");
    bool fresh = graph == nullptr || graph->live() == 0;
    if (!fresh && graph->settings().dimensions != dimensions)
        throw DimensionError(dimensions, graph->settings().dimensions);
    for (size_t at = 0; at < count; ++at) {
        if (!is_finite(rows + at * dimensions, dimensions))
            throw std::invalid_argument("vector " + std::to_string(at) +
                                        " holds a value that is not finite");
        if (at > 0 && docs[at] <= docs[at - 1])
            throw std::invalid_argument("doc ids are not ascending");
        if (docs[at] == kNoSlot) throw std::invalid_argument("doc id out of range");
        if (!fresh && graph->slot_of(docs[at]) != kNoSlot)
            throw std::invalid_argument("doc " + std::to_string(docs[at]) + " is in the index");
    }
    if (fresh) {
        GraphSettings settings = settings_.graph;
        settings.dimensions = uint32_t(dimensions);
        graph = std::make_shared<Graph>(settings);
        begin_codes(*graph);
    }
    std::vector<float> prepared(count * dimensions);
    for (size_t at = 0; at < count; ++at)
        prepare(rows + at * dimensions, dimensions, prepared.data() + at * dimensions);
    graph->append(docs, prepared.data(), count);
    if (fresh) set_graph(graph);
    end_flat_if_due(*graph);
    look_after_codes(*graph);
    if (is_linked(*graph)) wake_linkers();
}

size_t VectorIndex::erase(const uint32_t* docs, size_t count) {
    size_t erased = 0;
    {
        std::lock_guard guard(writer_mutex_);
        std::shared_ptr<Graph> graph = this->graph();
        if (graph == nullptr) return 0;
        for (size_t at = 0; at < count; ++at) erased += graph->erase(docs[at]) ? 1 : 0;
        if (erased > 0 && graph->live() == 0) set_graph(nullptr);
    }
    if (erased > 0) begin_own_compaction();
    return erased;
}

Found VectorIndex::search(const SearchRequest& request) const {
    std::shared_ptr<Graph> graph = this->graph();
    Found found;
    if (graph == nullptr || graph->live() == 0) return found;
    if (request.dimensions != graph->settings().dimensions)
        throw DimensionError(request.dimensions, graph->settings().dimensions);
    if (request.k == 0 || std::isnan(request.distance_max)) return found;
    Scratch& scratch = Scratch::of_this_thread();
    const float* query = prepare_query(request.query, request.dimensions, scratch);
    found.explanation = search_graph(*graph, query, request, scratch);
    const std::vector<Near>& nearest = scratch.nearest.sorted();
    found.docs.reserve(nearest.size());
    found.distances.reserve(nearest.size());
    for (const Near& near : nearest) {
        found.docs.push_back(graph->doc_of(near.slot));
        found.distances.push_back(near.distance);
    }
    return found;
}

ExactScan VectorIndex::begin_exact(const float* query, size_t dimensions, size_t k) const {
    std::shared_ptr<Graph> graph = this->graph();
    if (graph != nullptr && graph->live() == 0) graph.reset();
    if (graph != nullptr && dimensions != graph->settings().dimensions)
        throw DimensionError(dimensions, graph->settings().dimensions);
    const float* prepared = prepare_query(query, dimensions, Scratch::of_this_thread());
    return {std::move(graph), std::vector<float>(prepared, prepared + dimensions), k};
}

// Goes the planned way. False where that did not bring what a search has to bring.
bool VectorIndex::follow(const SearchPlan& plan, const Graph& graph, const Measure& measure,
                         const SearchRequest& request, const Extent& extent,
                         Scratch& scratch) const {
    const AllowWords* allow = request.allow ? &*request.allow : nullptr;
    scratch.nearest.reset(request.k, std::numeric_limits<float>::infinity());
    bool done = false;
    if (plan.way == Way::two_hop)
        done = graph.walk_allowed(measure,
                                  {*allow, request.k, plan.ef, extent.linked, plan.budget,
                                   plan.fallback != Way::sketched},
                                  scratch);
    else
        done = graph.walk(measure, plan.places, plan.way == Way::plain ? nullptr : allow,
                          extent.linked, plan.visits_max, scratch);
    if (!done) return false;
    graph.scan_from(measure, extent.linked, allow, scratch);
    if (plan.way == Way::plain && allow != nullptr && !graph.all_allowed(scratch, *allow))
        return false;  // As many docs are allowed as live, but not the same ones.
    // Fewer than asked for, although there are more: parts of the graph were not reached.
    return scratch.nearest.size() >= std::min(request.k, extent.eligible);
}

// Scans what is allowed: all of it, or what the sketches leave of it where there are any.
void VectorIndex::scan(const Graph& graph, const Measure& measure, const SearchRequest& request,
                       Sketches* sketches, Scratch& scratch) const {
    scratch.nearest.reset(request.k, request.distance_max);
    if (!request.allow) {
        graph.scan_from(measure, 0, nullptr, scratch);
    } else if (sketches == nullptr) {
        graph.scan_allowed(measure, *request.allow, scratch);
    } else {
        // In this order: a doc that is replaced meanwhile is met again in the tail.
        const uint32_t end = sketches->end();  // more may be made meanwhile
        if (SketchedScan(graph, *sketches, measure, request.k, scratch).run(*request.allow, end))
            graph.scan_from(measure, end, &*request.allow, scratch);
        else
            graph.scan_allowed(measure, *request.allow, scratch);
    }
}

Explanation VectorIndex::search_graph(const Graph& graph, const float* query,
                                      const SearchRequest& request, Scratch& scratch) const {
    std::shared_ptr<CodeTable> table = graph.code_table();
    if (table == nullptr) return search_by(graph.measure(query), graph, request, scratch);
    SearchRequest wide = request;
    wide.k = rescored(request);
    wide.ef = std::max(request.ef, wide.k);
    wide.distance_max = std::numeric_limits<float>::infinity();
    Explanation explanation =
        search_by(graph.measure_vector(table.get(), query, scratch.question), graph, wide, scratch);
    if (request.rescores) rescore(graph, query, request, scratch);
    return explanation;
}

Explanation VectorIndex::search_by(const Measure& measure, const Graph& graph,
                                   const SearchRequest& request, Scratch& scratch) const {
    const AllowWords* allow = request.allow ? &*request.allow : nullptr;
    // `linked` before `count`: what is linked later is in the tail as well, nothing in neither.
    Extent extent;
    extent.linked = graph.linked();
    extent.count = graph.count();
    size_t live = graph.live();
    extent.eligible = allow != nullptr ? std::min(allow->allowed, live) : live;
    PlanInput input;
    input.is_filtered = allow != nullptr;
    input.eligible = extent.eligible;
    input.live = live;
    input.slots = extent.count;
    input.linked = extent.linked;
    input.k = request.k;
    input.ef = request.ef;
    input.links = graph.settings().links;
    input.costs = costs_.of(graph, measure, extent.linked);
    input.flat_search_cutoff = request.bounds.flat_search_cutoff;
    input.is_cutoff_set = request.bounds.is_cutoff_set;
    input.strategy = request.bounds.strategy;
    std::shared_ptr<Sketches> sketches;
    if (allow != nullptr && measure.is_exact()) sketches = graph.sketches();
    if (sketches != nullptr && sketches->end() > 0) {
        input.sketched = sketches->end();
        costs_.of(*sketches, measure.query(), input.costs);
    }
    Explanation explanation;
    explanation.plan = plan_search(input);
    scratch.effort = {};
    scratch.entered.reset();
    if (explanation.plan.asks_around) {
        input.around = graph.share_nearest(measure, *allow, scratch);
        explanation.plan = plan_search(input);
    }
    Way way = explanation.plan.way;
    if (way != Way::exact && way != Way::sketched) {
        explanation.gave_up = !follow(explanation.plan, graph, measure, request, extent, scratch);
        if (explanation.gave_up) way = explanation.plan.fallback;
    }
    if (way == Way::exact || way == Way::sketched)
        scan(graph, measure, request, way == Way::sketched ? sketches.get() : nullptr, scratch);
    else
        scratch.nearest.drop_beyond(request.distance_max);
    explanation.effort = scratch.effort;
    if (scratch.effort.places > explanation.plan.ef) {
        explanation.plan.ef = scratch.effort.places;
        explanation.plan.overrides = scratch.effort.is_far
                                         ? "ef: what is allowed lies far from the query"
                                         : "ef: so few are allowed that the walk needs more places";
    }
    return explanation;
}

void VectorIndex::distances(const float* query, size_t dimensions, const uint32_t* docs,
                            size_t count, float* out) const {
    std::shared_ptr<Graph> graph = this->graph();
    std::fill(out, out + count, std::numeric_limits<float>::quiet_NaN());
    if (graph == nullptr || graph->live() == 0) return;
    if (dimensions != graph->settings().dimensions)
        throw DimensionError(dimensions, graph->settings().dimensions);
    const float* prepared = prepare_query(query, dimensions, Scratch::of_this_thread());
    const Distance& distance = distance_for(settings_.graph.metric);
    for (size_t at = 0; at < count; ++at) {
        uint32_t slot = graph->slot_of(docs[at]);
        if (slot != kNoSlot) out[at] = distance.one(prepared, graph->vector_of(slot), dimensions);
    }
}

bool VectorIndex::copy_vector(uint32_t doc, std::vector<float>& out) const {
    std::shared_ptr<Graph> graph = this->graph();
    uint32_t slot = graph == nullptr ? kNoSlot : graph->slot_of(doc);
    if (slot == kNoSlot) return false;
    const float* vector = graph->vector_of(slot);
    out.assign(vector, vector + graph->settings().dimensions);
    return true;
}

size_t VectorIndex::dimensions() const {
    std::shared_ptr<Graph> graph = this->graph();
    return graph == nullptr || graph->live() == 0 ? 0 : graph->settings().dimensions;
}

size_t VectorIndex::count() const {
    std::shared_ptr<Graph> graph = this->graph();
    return graph == nullptr ? 0 : graph->live();
}

size_t VectorIndex::deleted() const {
    std::shared_ptr<Graph> graph = this->graph();
    return graph == nullptr ? 0 : graph->deleted();
}

size_t VectorIndex::pending() const {
    std::shared_ptr<Graph> graph = this->graph();
    if (graph == nullptr || !is_linked(*graph)) return 0;
    uint32_t linked = graph->linked();  // before count, which only grows
    return graph->count() - linked;
}

void VectorIndex::save(const std::string& path) {
    std::lock_guard guard(save_mutex_);
    std::shared_ptr<Graph> graph = this->graph();
    if (graph == nullptr) {
        log_.reset();
        std::remove(path.c_str());
        std::remove(CommitLog::path_for(path).c_str());
        save_codes(nullptr, path);
        return;
    }
    // Out of its place while something may fail: half a commit leaves marks that tell nothing.
    std::unique_ptr<CommitLog> log = std::move(log_);
    if (log && log->continues(graph, path) &&
        double(log->bytes_after(*graph)) <= kLogShareMax * double(snapshot_bytes_)) {
        log->commit(*graph);
    } else {
        const Snapshot::Saved saved = Snapshot::save(*graph, path);
        log = std::make_unique<CommitLog>(graph, path, saved.generation, saved.slots);
        snapshot_bytes_ = saved.bytes;
        std::remove(CommitLog::path_for(path).c_str());
    }
    log_ = std::move(log);
    log_bytes_.store(log_->bytes(), std::memory_order_relaxed);
    save_codes(graph, path);
}

std::vector<uint32_t> VectorIndex::load(const std::string& path, const AllowWords& live) {
    std::vector<uint32_t> missing;
    std::lock_guard saving(save_mutex_);
    {
        std::lock_guard encoding(encoding_mutex_);
        std::lock_guard guard(writer_mutex_);
        if (this->graph() != nullptr) throw std::invalid_argument("the index is not empty");
        open_codes(path);
        Snapshot::Saved saved{};
        std::shared_ptr<Graph> graph = Snapshot::load(path, settings_.graph, saved);
        log_ = CommitLog::replay(graph, path, saved.generation);
        snapshot_bytes_ = saved.bytes;
        log_bytes_.store(log_->bytes(), std::memory_order_relaxed);
        docs_end_.store(graph->docs_end(), std::memory_order_relaxed);
        missing = Snapshot::reconcile(*graph, live);
        if (graph->live() == 0) return missing;
        take_codes(graph);
        set_graph(graph);
        if (graph->linked() > 0) flat_until_.store(0);
        end_flat_if_due(*graph);
        look_after_codes(*graph);
        if (is_linked(*graph)) wake_linkers();
    }
    begin_own_compaction();
    return missing;
}

std::string VectorIndex::log_fault() const {
    std::lock_guard guard(save_mutex_);
    return log_ ? log_->fault() : std::string();
}

size_t VectorIndex::memory_bytes() const {
    std::shared_ptr<Graph> graph = this->graph();
    return sizeof(VectorIndex) + (graph == nullptr ? 0 : graph->memory_bytes());
}

}  // namespace weft
