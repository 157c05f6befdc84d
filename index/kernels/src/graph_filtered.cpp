// Graph: the walk over the allowed nodes only, after ACORN (Patel, Kraft, Guestrin, Zaharia: ACORN,
// SIGMOD 2024), on the links of the unfiltered graph.
//
// From ACORN: a node that is not allowed is not measured and takes no place in the beam; the walk
// passes through it to its own neighbours (two hops), so that the allowed nodes hang together
// although the links were chosen without the filter. As there, the neighbours of a node are cut
// off once enough allowed ones are seen, and that is what adapts the walk to its surroundings:
// where most nodes are allowed hardly any is passed through.
// Not from ACORN: the denser graph (gamma) is not built; a walk begins at allowed docs sampled
// from all over the filter beside the node that the upper layers lead to, so that it reaches what
// is allowed wherever it lies.
#include <algorithm>
#include <bit>
#include <limits>

#include "graph.h"
#include "prefetch.h"
#include "search_plan.h"

namespace weft {
namespace {

// Sampled docs a walk begins at: their distances cost what three expansions cost.
constexpr size_t kSamples = 32;
// Nodes that are asked how much is allowed around the query.
constexpr size_t kNearestNodes = 16;
// Looking whether a node is allowed costs this part of a distance to it.
constexpr double kTestCost = 1.0 / 10;

// Where the allowed share around the query is this much smaller than that of all, what is allowed
// lies far from the query: the nearest of it are all about as far, in no particular place.
constexpr double kFarRatio = 0.25;
// There the walk has a beam so many times as long, and goes on until the first places have not
// changed for most of its way.
constexpr size_t kFarBeamFactor = 8;
constexpr size_t kFarBeamMin = 256;
constexpr size_t kFarBeamMax = 2048;
constexpr size_t kFarPatience = 4;
constexpr size_t kFirstPlaces = 10;
constexpr double kFarVisitsPerPlace = 36.0;

uint64_t mixed(uint64_t value) {  // xorshift* with a fixed offset
    value += 0x9E3779B97F4A7C15ull;
    value ^= value >> 27;
    return value * 0x2545F4914F6CDD1Dull;
}

}  // namespace

double Graph::share_nearest(const Measure& measure, const AllowWords& allow,
                            Scratch& scratch) const {
    const std::optional<Near> near = enter(measure, scratch);
    if (!near) return -1;
    scratch.visited.reset(count());
    search_layer(measure, *near, kNearestNodes, 0, scratch);
    scratch.effort.count_visits(scratch.visited.count());
    scratch.entered = scratch.beam.at(0);
    size_t live = 0;
    size_t allowed = 0;
    for (size_t at = 0; at < scratch.beam.size(); ++at) {
        const uint32_t slot = scratch.beam.at(at).slot;
        if (is_deleted(slot)) continue;
        ++live;
        allowed += allow.has(doc_of(slot)) ? 1 : 0;
    }
    return live == 0 ? -1.0 : double(allowed) / double(live);
}

// Inserts allowed docs from all over the filter into the beam: one from each of `kSamples` equal
// parts of the words that has any; others for another `luck`.
void Graph::sample_allowed(const Measure& measure, const AllowWords& allow, uint64_t luck,
                           uint32_t tail_begin, Scratch& scratch) const {
    scratch.slots.clear();
    size_t end = 0;
    for (size_t part = 0; part < kSamples; ++part) {
        size_t begin = end;
        end = (part + 1) * allow.word_count / kSamples;
        if (begin == end) continue;
        luck = mixed(luck);
        size_t skipped = size_t(luck >> 32) % (end - begin);
        for (size_t at = 0; at < end - begin; ++at) {
            size_t index = begin + (skipped + at) % (end - begin);
            uint64_t word = allow.words[index];
            if (word == 0) continue;
            for (int drop = int(luck % uint64_t(std::popcount(word))); drop > 0; --drop)
                word &= word - 1;
            uint32_t slot = slot_of(uint32_t(index * 64 + size_t(std::countr_zero(word))));
            if (slot != kNoSlot && slot < tail_begin && scratch.visited.mark(slot)) {
                measure.prefetch(measure.row(slot));
                scratch.slots.push_back(slot);
            }
            break;
        }
    }
    insert_measured(measure, scratch);
}

// Measures the nodes in scratch.slots and puts them into the beam.
void Graph::insert_measured(const Measure& measure, Scratch& scratch) const {
    measure_slots(measure, scratch);
    for (size_t at = 0; at < scratch.slots.size(); ++at)
        scratch.beam.insert(scratch.distances[at], scratch.slots[at]);
    scratch.effort.distances += scratch.slots.size();
}

// The allowed share of the nodes within two hops.
template <class Allowed>
double Graph::share_around(uint32_t slot, const Allowed& allowed, Scratch& scratch) const {
    const uint32_t width = width_of(0);
    size_t tests = 0;
    size_t seen = 0;
    auto test_links = [&](uint32_t of, auto act) {
        const Link* links = base_.row(of);
        for (uint32_t at = 0; at < width; ++at) {
            uint32_t word = links[at].load(std::memory_order_acquire);
            if (word == 0) break;
            ++tests;
            seen += allowed(word - 1) ? 1 : 0;
            act(word - 1);
        }
    };
    scratch.passed.clear();
    test_links(slot, [&](uint32_t neighbour) {
        for (uint32_t line = 0; line < width; line += 16)
            prefetch_line(base_.row(neighbour) + line);
        scratch.passed.push_back(neighbour);
    });
    for (uint32_t through : scratch.passed) test_links(through, [](uint32_t) {});
    scratch.effort.tests += tests;
    return tests == 0 ? 0.0 : double(seen) / double(tests);
}

// Collects the allowed neighbours that were not met yet into scratch.slots, first the direct ones,
// then those behind neighbours that are not allowed, until enough allowed ones were seen.
template <class Allowed>
void Graph::gather_allowed(const Measure& measure, uint32_t slot, const Allowed& allowed,
                           Scratch& scratch) const {
    const uint32_t width = width_of(0);
    size_t seen = 0;
    size_t tests = 0;
    scratch.slots.clear();
    scratch.passed.clear();
    auto take = [&](uint32_t neighbour) {
        ++seen;
        if (!scratch.visited.mark(neighbour)) return;
        measure.prefetch(measure.row(neighbour));
        scratch.slots.push_back(neighbour);
    };
    const Link* links = base_.row(slot);
    for (uint32_t at = 0; at < width; ++at) {
        uint32_t word = links[at].load(std::memory_order_acquire);
        if (word == 0) break;
        ++tests;
        if (allowed(word - 1)) {
            take(word - 1);
        } else {
            const Link* behind = base_.row(word - 1);
            for (uint32_t line = 0; line < width; line += 16) prefetch_line(behind + line);
            scratch.passed.push_back(word - 1);
        }
    }
    // Where most neighbours are allowed they lead on as they would without the filter.
    const size_t enough = seen * 4 >= tests * 3 ? 0 : size_t(width) * 5 / 8;
    for (uint32_t through : scratch.passed) {
        if (seen >= enough) break;
        if (!scratch.visited.mark(through)) continue;
        const Link* behind = base_.row(through);
        for (uint32_t at = 0; at < width; ++at) {
            uint32_t word = behind[at].load(std::memory_order_acquire);
            if (word == 0) break;
            ++tests;
            if (allowed(word - 1)) take(word - 1);
        }
    }
    scratch.effort.tests += tests;
}

// Walks on from what is in the beam. The beam may be longer than `ef`: then the walk goes on behind
// the ef-th place while the first places still change.
template <class Allowed>
bool Graph::walk_through(const Measure& measure, const FilteredWalk& walk, const Allowed& allowed,
                         Scratch& scratch) const {
    Beam& beam = scratch.beam;
    Effort& effort = scratch.effort;
    const size_t last_place = std::min(walk.k, kFirstPlaces) - 1;
    float last = std::numeric_limits<float>::infinity();
    size_t expanded = 0;
    size_t changed = 0;
    while (beam.has_next()) {
        if (double(effort.distances) + double(effort.tests) * kTestCost > walk.budget) return false;
        if (beam.next_index() >= walk.ef && expanded >= kFarPatience * changed) break;
        gather_allowed(measure, beam.pop_next(), allowed, scratch);
        ++expanded;
        if (beam.has_next()) prefetch_line(base_.row(beam.peek_next()));
        insert_measured(measure, scratch);
        if (beam.size() > last_place && beam.at(last_place).distance < last) {
            last = beam.at(last_place).distance;
            changed = expanded;
        }
    }
    return true;
}

bool Graph::walk_allowed(const Measure& measure, const FilteredWalk& walk, Scratch& scratch) const {
    const std::optional<Near> entered = enter(measure, scratch);
    if (!entered) return true;
    const Near near = *entered;
    scratch.visited.reset(count());
    auto run = [&](auto allowed) {
        const double share = double(walk.allow.allowed) / double(std::max(walk.tail_begin, 1u));
        size_t places = two_hop_places(walk.ef, share);
        if (share_around(near.slot, allowed, scratch) < share * kFarRatio) {
            scratch.effort.is_far = true;
            if (!walk.goes_far) return false;
            places = std::min(std::max(walk.ef * kFarBeamFactor, kFarBeamMin),
                              std::max(walk.ef, kFarBeamMax));
            // Such a walk costs several plain ones; what is scanned for less is scanned.
            if (walk.budget < double(walk.ef) * kFarVisitsPerPlace) return false;
        }
        scratch.effort.places = places;
        scratch.beam.reset(places);
        sample_allowed(measure, walk.allow, near.slot, walk.tail_begin, scratch);
        scratch.slots.clear();
        if (scratch.visited.mark(near.slot)) {
            if (allowed(near.slot))
                scratch.slots.push_back(near.slot);
            else
                gather_allowed(measure, near.slot, allowed, scratch);
            insert_measured(measure, scratch);
        }
        FilteredWalk widened = walk;
        if (!scratch.effort.is_far) widened.ef = places;
        return walk_through(measure, widened, allowed, scratch);
    };
    const bool any_deleted = deleted() > 0;
    bool done = slots_are_docs()
                    ? run([&](uint32_t slot) {
                          return walk.allow.has(slot) && !(any_deleted && is_deleted(slot));
                      })
                    : run([&](uint32_t slot) {
                          return walk.allow.has(doc_of(slot)) && !(any_deleted && is_deleted(slot));
                      });
    scratch.effort.visited += scratch.visited.count();
    if (!done) return false;
    for (size_t at = 0; at < scratch.beam.size(); ++at) {
        Near found = scratch.beam.at(at);
        if (found.slot < walk.tail_begin) scratch.nearest.push(found.distance, found.slot);
    }
    return true;
}

}  // namespace weft
