// Graph: how a vector gets its links.
#include <algorithm>
#include <thread>

#include "graph.h"

namespace weft {
namespace {

// Held for one list, microseconds. Linkers only; searches read lists without it.
class NodeLock {
  public:
    explicit NodeLock(std::atomic<uint8_t>& word) : word_(word) {
        for (int round = 0; word_.exchange(1, std::memory_order_acquire) != 0; ++round)
            if (round > 64) std::this_thread::yield();
    }
    NodeLock(const NodeLock&) = delete;
    NodeLock& operator=(const NodeLock&) = delete;
    ~NodeLock() { word_.store(0, std::memory_order_release); }

  private:
    std::atomic<uint8_t>& word_;
};

}  // namespace

Graph::Span Graph::claim(uint32_t count) {
    std::lock_guard guard(claim_mutex_);
    returned_.reserve(returned_.size() + out_ + 1);
    if (!returned_.empty()) {
        const Span span = returned_.back();
        returned_.pop_back();
        has_returned_.store(!returned_.empty());
        ++out_;
        return span;
    }
    uint32_t begin = claimed_.load(std::memory_order_relaxed);
    uint32_t end = std::min(begin + count, this->count());
    if (begin == end) return {begin, begin};
    // Lists come to be here, not in `append`: an index that is never linked does not pay for them.
    base_.grow(begin, end - begin);
    claimed_.store(end, std::memory_order_relaxed);
    ++out_;
    return {begin, end};
}

void Graph::finish(Span span) {
    if (span.begin == span.end) return;
    {
        std::lock_guard guard(claim_mutex_);
        --out_;
    }
    mark_linked(span);
}

void Graph::give_back(Span span, uint32_t at) noexcept {
    {
        std::lock_guard guard(claim_mutex_);
        --out_;
        returned_.push_back({at, span.end});  // there is room since the claim
        has_returned_.store(true);
    }
    mark_linked({span.begin, at});
}

void Graph::mark_linked(Span span) {
    for (uint32_t slot = span.begin; slot < span.end; ++slot)
        nodes_.row(slot)->flags.fetch_or(kLinked | kChanged, std::memory_order_release);
    std::lock_guard guard(finish_mutex_);
    uint32_t linked = linked_.load(std::memory_order_relaxed);
    uint32_t end = count();
    while (linked < end &&
           (nodes_.row(linked)->flags.load(std::memory_order_acquire) & kLinked) != 0)
        ++linked;
    linked_.store(linked, std::memory_order_release);
}

void Graph::reserve_upper(uint32_t slot, int level) {
    if (level == 0 || nodes_.row(slot)->upper.load(std::memory_order_relaxed) != 0) return;
    std::lock_guard guard(upper_mutex_);
    upper_.grow(upper_count_, size_t(level));
    uint32_t first = upper_count_;
    upper_count_ += uint32_t(level);
    nodes_.row(slot)->upper.store(first + 1, std::memory_order_release);
}

void Graph::link(uint32_t slot) {
    if (is_deleted(slot)) return;
    Scratch& scratch = Scratch::of_this_thread();
    int level = nodes_.row(slot)->level;
    reserve_upper(slot, level);
    Entry from = entry();
    if (from.level < 0) {
        std::lock_guard guard(entry_mutex_);
        from = entry();
        if (from.level < 0) {
            entry_.store(uint64_t(level + 1) << 32 | slot, std::memory_order_release);
            return;
        }
    }
    // Codes lead the way to the neighbours; those that are too coarse do not choose among them.
    std::shared_ptr<CodeTable> table = code_table();
    const CodeTable* fine = table != nullptr && !table->codes->is_coarse() ? table.get() : nullptr;
    Measure measure = measure_vector(table.get(), rows_.row(slot), scratch.question);
    Near near{measure.one(measure.row(from.slot)), from.slot};
    int top = std::min(level, from.level);
    near = descend(measure, near, from.level, top, scratch);
    // All lists of the new node are complete before the first link leads to it: a walk that comes
    // through must not end there.
    std::vector<std::vector<Near>> chosen(size_t(top) + 1);
    for (int at = top; at >= 0; --at) {
        scratch.visited.reset(count());
        search_layer(measure, near, settings_.ef_construction, at, scratch);
        near = scratch.beam.at(0);
        scratch.candidates.clear();
        for (size_t index = 0; index < scratch.beam.size(); ++index) {
            Near found = scratch.beam.at(index);
            if (found.slot != slot) scratch.candidates.push_back(found);
        }
        if (fine == nullptr && table != nullptr) measure_again(slot, scratch);
        std::vector<Near>& own = chosen[size_t(at)];
        choose(fine, scratch.candidates, upper_links_, own, scratch);
        Link* links = links_of(slot, at);
        for (size_t index = 0; index < own.size(); ++index)
            links[index].store(own[index].slot + 1, std::memory_order_release);
    }
    for (int at = 0; at <= top; ++at)
        for (const Near& neighbour : chosen[size_t(at)])
            add_link(fine, neighbour.slot, {neighbour.distance, slot}, at, scratch);
    if (level > from.level) {
        std::lock_guard guard(entry_mutex_);
        if (level > entry().level)
            entry_.store(uint64_t(level + 1) << 32 | slot, std::memory_order_release);
    }
}

Measure Graph::measure(const float* query) const {
    return Measure(rows_, stride_, *distance_, settings_.dimensions, query);
}

Measure Graph::measure_slot(const CodeTable* table, uint32_t slot, CodeQuestion& question) const {
    if (table == nullptr) return measure(rows_.row(slot));
    table->codes->ask_code(table->rows.row(slot), question);
    return Measure(*table, question);
}

Measure Graph::measure_vector(const CodeTable* table, const float* vector,
                              CodeQuestion& question) const {
    if (table == nullptr) return measure(vector);
    table->codes->ask(vector, question);
    return Measure(*table, question);
}

// Puts exact distances from a node in the place of estimated ones.
void Graph::measure_again(uint32_t slot, Scratch& scratch) const {
    Measure exact = measure(rows_.row(slot));
    for (Near& candidate : scratch.candidates)
        candidate.distance = exact.one(exact.row(candidate.slot));
    std::sort(scratch.candidates.begin(), scratch.candidates.end());
}

// The neighbour heuristic: a candidate is kept if it is closer to the node than to every neighbour
// kept before it, so links lead in all directions. `candidates` are sorted, nearest first.
void Graph::choose(const CodeTable* table, std::vector<Near>& candidates, size_t most,
                   std::vector<Near>& chosen, Scratch& scratch) const {
    chosen.clear();
    for (const Near& candidate : candidates) {
        if (chosen.size() >= most) return;
        Measure measure = measure_slot(table, candidate.slot, scratch.between);
        bool spreads = true;
        for (const Near& kept : chosen) {
            if (measure.one(measure.row(kept.slot)) < candidate.distance) {
                spreads = false;
                break;
            }
        }
        if (spreads) chosen.push_back(candidate);
    }
}

void Graph::add_link(const CodeTable* table, uint32_t from, Near to, int level, Scratch& scratch) {
    Link* links = links_of(from, level);
    if (links == nullptr) return;
    uint32_t width = width_of(level);
    NodeLock lock(nodes_.row(from)->lock);
    uint32_t used = 0;
    for (; used < width; ++used) {
        uint32_t word = links[used].load(std::memory_order_relaxed);
        if (word == to.slot + 1) return;
        if (word == 0) break;
    }
    if (used < width) {
        links[used].store(to.slot + 1, std::memory_order_release);
        nodes_.row(from)->flags.fetch_or(kChanged, std::memory_order_release);
        return;
    }
    scratch.rows.resize(std::max<size_t>(scratch.rows.size(), width));
    scratch.distances.resize(std::max<size_t>(scratch.distances.size(), width));
    Measure measure = measure_slot(table, from, scratch.between);
    for (uint32_t at = 0; at < width; ++at)
        scratch.rows[at] = measure.row(links[at].load(std::memory_order_relaxed) - 1);
    measure.many(scratch.rows.data(), width, scratch.distances.data());
    scratch.candidates.clear();
    for (uint32_t at = 0; at < width; ++at)
        scratch.candidates.push_back(
            {scratch.distances[at], links[at].load(std::memory_order_relaxed) - 1});
    scratch.candidates.push_back(to);
    std::sort(scratch.candidates.begin(), scratch.candidates.end());
    choose(table, scratch.candidates, width, scratch.chosen, scratch);
    for (uint32_t at = 0; at < width; ++at)
        links[at].store(at < scratch.chosen.size() ? scratch.chosen[at].slot + 1 : 0,
                        std::memory_order_release);
    nodes_.row(from)->flags.fetch_or(kChanged, std::memory_order_release);
}

}  // namespace weft
