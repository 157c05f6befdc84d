// Graph: the walks.
#include <algorithm>
#include <limits>

#include "graph.h"
#include "prefetch.h"

namespace weft {
namespace {

constexpr size_t kBeamMax = 2048;  // beyond it, moving the sorted array costs more than heaps

bool is_farther(const Near& left, const Near& right) {
    return right < left;
}

// Makes of a beam the two heaps that a walk goes on with.
void pour(const SiftedBeam& beam, std::vector<Near>& heap, std::vector<Near>& results) {
    heap.clear();
    results.clear();
    for (size_t at = 0; at < beam.size(); ++at) {
        if (!beam.is_expanded(at)) heap.push_back(beam.at(at));
        if (beam.is_accepted(at)) results.push_back(beam.at(at));
    }
    std::make_heap(heap.begin(), heap.end(), is_farther);
    std::make_heap(results.begin(), results.end());
}

}  // namespace

// Collects the neighbours that were not met yet into scratch.slots and scratch.rows, and starts
// loading their rows.
size_t Graph::gather(const Measure& measure, uint32_t slot, int level, Scratch& scratch) const {
    const Link* links = links_of(slot, level);
    uint32_t width = width_of(level);
    if (scratch.slots.size() < width) scratch.slots.resize(width);
    if (scratch.rows.size() < width) scratch.rows.resize(width);
    if (scratch.distances.size() < width) scratch.distances.resize(width);
    if (links == nullptr) return 0;
    uint32_t* const slots = scratch.slots.data();
    const float** const rows = scratch.rows.data();
    const size_t met = scratch.visited.mark_links(links, width, slots);
    for (size_t at = 0; at < met; ++at) {
        rows[at] = measure.row(slots[at]);
        measure.prefetch(rows[at]);
    }
    return met;
}

// Goes to the nearest node of each layer, from `level_from` down to above `level_to`.
Near Graph::descend(const Measure& measure, Near from, int level_from, int level_to,
                    Scratch& scratch) const {
    for (int level = level_from; level > level_to; --level) {
        scratch.visited.reset(count());
        scratch.visited.mark(from.slot);
        for (bool moved = true; moved;) {
            moved = false;
            size_t met = gather(measure, from.slot, level, scratch);
            measure.many(scratch.rows.data(), met, scratch.distances.data());
            for (size_t at = 0; at < met; ++at) {
                if (scratch.distances[at] < from.distance) {
                    from = {scratch.distances[at], scratch.slots[at]};
                    moved = true;
                }
            }
        }
    }
    return from;
}

// Where a walk over layer 0 begins: below the upper layers, or where a look around has come to.
std::optional<Near> Graph::enter(const Measure& measure, Scratch& scratch) const {
    if (scratch.entered) return scratch.entered;
    const Entry top = entry();
    if (top.level < 0) return std::nullopt;
    const Near near{measure.one(measure.row(top.slot)), top.slot};
    return descend(measure, near, top.level, 0, scratch);
}

// Starts loading the links that are read next; 32 of them are two lines.
void Graph::prefetch_links(uint32_t slot) const {
    constexpr uint32_t kLineLinks = 16;
    constexpr uint32_t kLinksMax = 64;  // then the hardware has seen the stream
    const Link* links = base_.row(slot);
    for (uint32_t at = 0; at < std::min(settings_.links, kLinksMax); at += kLineLinks)
        prefetch_line(links + at);
}

// Leaves the `ef` nearest nodes of a layer in scratch.beam. Requires: `visited` is reset.
void Graph::search_layer(const Measure& measure, Near from, size_t ef, int level,
                         Scratch& scratch) const {
    Beam& beam = scratch.beam;
    beam.reset(ef);
    scratch.visited.mark(from.slot);
    beam.insert(from.distance, from.slot);
    while (beam.has_next()) {
        size_t met = gather(measure, beam.pop_next(), level, scratch);
        if (level == 0 && beam.has_next()) prefetch_links(beam.peek_next());
        measure.many(scratch.rows.data(), met, scratch.distances.data());
        const size_t kept = beam.sieve(scratch.distances.data(), scratch.slots.data(), met);
        for (size_t at = 0; at < kept; ++at) {
            if (beam.insert(scratch.distances[at], scratch.slots[at]) && level == 0)
                prefetch_links(scratch.slots[at]);
        }
    }
}

// The walk for searches that may not return every node: nodes that are not accepted lead on, but
// take no place among the results. It leaves `ef` of them in scratch.results.
template <class Accept>
bool Graph::walk_sifting(const Measure& measure, Near from, size_t ef, const Accept& accept,
                         size_t visits_max, Scratch& scratch) const {
    SiftedBeam& beam = scratch.sifted;
    beam.reset(ef);
    scratch.visited.mark(from.slot);
    beam.insert(from.distance, from.slot, accept(from.slot));
    while (beam.has_next()) {
        if (scratch.visited.count() > visits_max) return false;
        if (beam.size() > kBeamMax) {
            pour(beam, scratch.heap, scratch.results);
            return walk_heaps(measure, ef, accept, visits_max, scratch);
        }
        size_t met = gather(measure, beam.pop_next(), 0, scratch);
        if (beam.has_next()) prefetch_links(beam.peek_next());
        measure.many(scratch.rows.data(), met, scratch.distances.data());
        const size_t kept = beam.sieve(scratch.distances.data(), scratch.slots.data(), met);
        for (size_t at = 0; at < kept; ++at) {
            const float distance = scratch.distances[at];
            const uint32_t slot = scratch.slots[at];
            if (beam.takes(distance) && beam.insert(distance, slot, accept(slot)))
                prefetch_links(slot);
        }
    }
    scratch.results.clear();
    for (size_t at = 0; at < beam.size(); ++at)
        if (beam.is_accepted(at)) scratch.results.push_back(beam.at(at));
    return true;
}

// The same, from what is in scratch.heap (nearest first) and scratch.results (farthest first), for
// results and nodes between them that are too many for an array.
template <class Accept>
bool Graph::walk_heaps(const Measure& measure, size_t ef, const Accept& accept, size_t visits_max,
                       Scratch& scratch) const {
    std::vector<Near>& heap = scratch.heap;
    std::vector<Near>& results = scratch.results;
    while (!heap.empty()) {
        if (results.size() >= ef && results.front() < heap.front()) break;
        if (scratch.visited.count() > visits_max) return false;
        std::pop_heap(heap.begin(), heap.end(), is_farther);
        uint32_t slot = heap.back().slot;
        heap.pop_back();
        size_t met = gather(measure, slot, 0, scratch);
        if (!heap.empty()) prefetch_line(base_.row(heap.front().slot));
        measure.many(scratch.rows.data(), met, scratch.distances.data());
        for (size_t at = 0; at < met; ++at) {
            Near found{scratch.distances[at], scratch.slots[at]};
            if (results.size() >= ef && !(found.distance < results.front().distance)) continue;
            heap.push_back(found);
            std::push_heap(heap.begin(), heap.end(), is_farther);
            if (!accept(found.slot)) continue;
            if (results.size() >= ef) {
                std::pop_heap(results.begin(), results.end());
                results.back() = found;
            } else {
                results.push_back(found);
            }
            std::push_heap(results.begin(), results.end());
        }
    }
    return true;
}

bool Graph::walk(const Measure& measure, size_t ef, const AllowWords* allow, uint32_t tail_begin,
                 size_t visits_max, Scratch& scratch) const {
    const std::optional<Near> entered = enter(measure, scratch);
    if (!entered) return true;
    const Near near = *entered;
    scratch.visited.reset(count());
    if (allow == nullptr && deleted() == 0 && ef <= kBeamMax) {
        search_layer(measure, near, ef, 0, scratch);
        scratch.effort.count_visits(scratch.visited.count());
        for (size_t at = 0; at < scratch.beam.size(); ++at) {
            Near found = scratch.beam.at(at);
            if (found.slot < tail_begin) scratch.nearest.push(found.distance, found.slot);
        }
        return true;
    }
    auto is_live = [this](uint32_t slot) { return !is_deleted(slot); };
    auto is_allowed = [this, allow](uint32_t slot) {
        const Node* node = nodes_.row(slot);
        return (node->flags.load(std::memory_order_acquire) & kDeleted) == 0 &&
               allow->has(node->doc);
    };
    auto run = [&](const auto& accept) {
        if (ef <= kBeamMax && count() <= SiftedBeam::kSlotsMax)
            return walk_sifting(measure, near, ef, accept, visits_max, scratch);
        scratch.visited.mark(near.slot);
        scratch.heap.assign(1, near);
        scratch.results.assign(accept(near.slot) ? 1 : 0, near);
        return walk_heaps(measure, ef, accept, visits_max, scratch);
    };
    bool done = allow == nullptr ? run(is_live) : run(is_allowed);
    scratch.effort.count_visits(scratch.visited.count());
    if (!done) return false;
    for (const Near& found : scratch.results)
        if (found.slot < tail_begin) scratch.nearest.push(found.distance, found.slot);
    return true;
}

}  // namespace weft
