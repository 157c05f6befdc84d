// SearchPlan: which way a search goes, from what is known before it starts. Pure: no graph, no
// clock; the table of it is in tests/unit/index/hnsw/test_search_plan.py.
//
//   plain     the walk over the graph without a filter
//   sweeping  the same walk; nodes that are not allowed lead on, but take no place among the
//             results
//   two_hop   the walk from allowed nodes to allowed nodes (graph_filtered.cpp)
//   sketched  the sketches of all eligible docs, the distances of those that promise enough
//   exact     the distances of all eligible docs
//
// What a user has set is obeyed. Where a search cannot be answered that way, the plan is another
// one and `overrides` tells which setting was passed over.
#pragma once

#include <cstddef>

namespace weft {

enum class Way { plain, sweeping, two_hop, sketched, exact };
enum class FilterStrategy { free, sweeping, acorn };

const char* name_of(Way way);

// Nanoseconds for a distance to a row anywhere in memory, and to rows one after the other.
struct RowCosts {
    double random_ns = 2.0;
    double sequential_ns = 1.0;
    double sketch_ns = 0.1;       // for a coarse promise, one after the other
    double lone_sketch_ns = 1.0;  // for a fine one, anywhere in memory
};

constexpr double kUnknownShare = -1;

struct PlanInput {
    bool is_filtered = false;
    size_t eligible = 0;  // live docs, at most as many as the filter allows
    size_t live = 0;      // docs that are not deleted
    size_t slots = 0;     // nodes, the deleted ones and the tail included
    size_t linked = 0;    // nodes in the graph; the rest is the tail, scanned whatever the way
    size_t sketched = 0;  // slots that have sketches; the rest is scanned
    double around = kUnknownShare;  // allowed share of the nodes nearest to the query
    size_t k = 0;
    size_t ef = 0;
    size_t links = 32;  // a node has on layer 0
    RowCosts costs;
    size_t flat_search_cutoff = 0;  // fewer eligible docs are scanned, others walked
    bool is_cutoff_set = false;     // otherwise the costs decide
    FilterStrategy strategy = FilterStrategy::free;
};

struct SearchPlan {
    Way way = Way::exact;
    const char* reason = "the index is empty";
    size_t ef = 0;
    size_t places = 0;           // in the beam of a plain or sweeping walk
    size_t visits_max = 0;       // nodes that such a walk meets before it gives up
    double budget = 0;           // distances after which a walk gives up
    Way fallback = Way::exact;   // the scan that answers then
    const char* overrides = "";  // the setting that is passed over
    bool asks_around = false;    // it would be worth knowing `around`
};

// Places in the beam of a two-hop walk where this share is allowed.
size_t two_hop_places(size_t ef, double share);

SearchPlan plan_search(const PlanInput& input);

}  // namespace weft
