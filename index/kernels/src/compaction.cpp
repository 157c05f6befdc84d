// Compaction: its stages.
#include "compaction.h"

#include <algorithm>

namespace weft {
namespace {

constexpr uint32_t kRows = 1024;      // vectors copied a slice
constexpr size_t kLists = 128;        // nodes whose links are copied a slice
constexpr size_t kBacklinks = 1024;   // links given their other direction a slice
constexpr size_t kOffersMax = 512;    // candidates for the places of deleted neighbours
constexpr size_t kDeadMax = 48;       // deleted nodes looked through for them
constexpr uint32_t kLoneLinks = 3;    // with fewer a node is linked anew
constexpr uint32_t kRoundMin = 1024;  // fewer vectors are linked again rather than copied
constexpr int kRoundsMax = 64;
constexpr double kWearMax = 0.6;  // above it little is left to repair: all links are new

}  // namespace

Compaction::Compaction(std::shared_ptr<Graph> source)
    : source_(std::move(source)),
      target_(std::make_shared<Graph>(source_->settings())),
      wear_(wear_after_repair(*source_)),
      linked_(wear_ > kWearMax ? 0 : source_->linked()),
      target_slots_(linked_, kNoSlot) {}

// The part of a node's surroundings at its build that is gone, on average, once the deleted ones
// are. Two repairs of half of the nodes each wear a graph as one of three quarters would; vectors
// that are linked in between are new.
double Compaction::wear_after_repair(const Graph& source) {
    const double count = std::max(1.0, double(source.count()));
    const double wear = std::min(1.0, source.worn_nodes_ / count);
    return 1.0 - (1.0 - wear) * (1.0 - double(source.deleted()) / count);
}

bool Compaction::run_slice() {
    std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) return false;
    const Stage stage = stage_.load(std::memory_order_relaxed);
    if (stage == Stage::copied) return false;
    if (stage == Stage::rows) {
        take_rows();
        return true;
    }
    const bool is_lists = stage == Stage::lists;
    const size_t total = is_lists ? source_slots_.size() - first_ : added_.size();
    const size_t begin = next_;
    const size_t end = std::min(begin + (is_lists ? kLists : kBacklinks), total);
    if (begin == end && running_ > 0) return false;
    next_ = end;
    ++running_;
    lock.unlock();
    std::vector<Added> added;
    std::vector<uint32_t> lone;
    if (is_lists) {
        Scratch& scratch = Scratch::of_this_thread();
        for (uint32_t slot = first_ + uint32_t(begin); slot < first_ + end; ++slot)
            if (copy_lists(slot, added, scratch) < kLoneLinks) lone.push_back(slot);
    } else {
        add_backlinks(begin, end);
    }
    lock.lock();
    added_.insert(added_.end(), added.begin(), added.end());
    lone_.insert(lone_.end(), lone.begin(), lone.end());
    --running_;
    if (next_ == total && running_ == 0) {
        next_ = 0;
        if (is_lists)
            stage_.store(Stage::backlinks, std::memory_order_release);
        else
            end_round();
    }
    return true;
}

void Compaction::copy_row(uint32_t slot, std::vector<uint32_t>& docs, std::vector<float>& rows) {
    const float* row = source_->vector_of(slot);
    docs.push_back(source_->doc_of(slot));
    rows.insert(rows.end(), row, row + source_->settings().dimensions);
    source_slots_.push_back(slot);
}

// Requires: mutex_ is held.
void Compaction::take_rows() {
    const uint32_t first = target_->count();
    const uint32_t end = std::min(at_ + kRows, linked_);
    std::vector<uint32_t> docs;
    std::vector<float> rows;
    for (; at_ < end; ++at_) {
        if (source_->is_deleted(at_)) continue;
        target_slots_[at_] = uint32_t(source_slots_.size());
        copy_row(at_, docs, rows);
    }
    target_->append(docs.data(), rows.data(), docs.size());
    for (uint32_t slot = first; slot < target_->count(); ++slot) {
        const Graph::Node* from = source_->nodes_.row(source_slots_[slot]);
        Graph::Node* to = target_->nodes_.row(slot);
        to->level = from->upper.load(std::memory_order_acquire) == 0 ? 0 : from->level;
        target_->reserve_upper(slot, to->level);
    }
    if (at_ == linked_) end_rows();
}

// Requires: mutex_ is held.
void Compaction::end_rows() {
    target_->claim(target_->count());  // makes room for the lists
    stage_.store(Stage::lists, std::memory_order_release);
}

// Writes the links of a node of the target. Live neighbours keep their place; those that are gone
// leave theirs to the best of what lies behind them.
// Returns how many links of layer 0 it has.
size_t Compaction::copy_lists(uint32_t slot, std::vector<Added>& added, Scratch& scratch) const {
    const int top = target_->nodes_.row(slot)->level;
    std::vector<Near>& list = scratch.chosen;
    // Nobody links back to what was linked after the first round took its lists.
    const bool is_late = rounds_ > 0;
    for (int level = top; level >= 0; --level) {
        const size_t lost = look_around(source_slots_[slot], level, scratch);
        const size_t kept = scratch.slots.size() - scratch.candidates.size();
        list.clear();
        for (size_t at = 0; at < kept; ++at) list.push_back({0, scratch.slots[at]});
        if (is_late || !scratch.candidates.empty()) {
            measure(slot, kept, scratch);
            const size_t most = std::min<size_t>(kept + lost, target_->width_of(level));
            for (const Near& offer : scratch.candidates) {
                if (list.size() >= most) break;
                if (!spreads(offer, list)) continue;
                list.push_back(offer);
            }
            fill(list, scratch.candidates, std::min<size_t>(most, target_->upper_links_));
            for (size_t at = is_late ? 0 : kept; at < list.size(); ++at)
                added.push_back({slot, list[at], level});
        }
        Graph::Link* links = target_->links_of(slot, level);
        for (size_t at = 0; at < list.size(); ++at)
            links[at].store(list[at].slot + 1, std::memory_order_release);
    }
    return list.size();
}

// Leaves in scratch.slots the neighbours that stay, then offers for the places of those that are
// gone, all as slots of the target; in scratch.candidates a place for each offer. Returns how many
// are gone.
size_t Compaction::look_around(uint32_t slot, int level, Scratch& scratch) const {
    scratch.slots.clear();
    scratch.candidates.clear();
    scratch.visited.reset(linked_);
    scratch.visited.mark(slot);
    std::vector<Near>& dead = scratch.results;  // to be looked through, in order
    dead.clear();
    auto look = [&](uint32_t from) {
        const Graph::Link* links = source_->links_of(from, level);
        if (links == nullptr) return;
        for (uint32_t at = 0; at < source_->width_of(level); ++at) {
            uint32_t word = links[at].load(std::memory_order_acquire);
            if (word == 0) return;
            // Nodes past linked_ are linked again in the target.
            if (word > linked_ || !scratch.visited.mark(word - 1)) continue;
            if (!is_dead(word - 1))
                scratch.slots.push_back(target_slots_[word - 1]);
            else if (dead.size() < kDeadMax)
                dead.push_back({0, word - 1});
        }
    };
    look(slot);
    const size_t kept = scratch.slots.size();
    const size_t lost = dead.size();
    for (size_t at = 0; at < dead.size() && scratch.slots.size() < kept + kOffersMax; ++at)
        look(dead[at].slot);
    // Behind the others too: with what lies behind the dead alone, recall falls by 0.03 when half
    // of the nodes go.
    if (lost > 0)
        for (size_t at = 0; at < kept && scratch.slots.size() < kept + kOffersMax; ++at)
            look(source_slots_[scratch.slots[at]]);
    scratch.candidates.resize(scratch.slots.size() - kept);
    return lost;
}

// Sorts the kept neighbours in scratch.chosen and the offers in scratch.candidates by distance.
void Compaction::measure(uint32_t slot, size_t kept, Scratch& scratch) const {
    const size_t count = scratch.slots.size();
    scratch.rows.resize(std::max(scratch.rows.size(), count));
    scratch.distances.resize(std::max(scratch.distances.size(), count));
    for (size_t at = 0; at < count; ++at) scratch.rows[at] = target_->vector_of(scratch.slots[at]);
    target_->distance_->many(target_->vector_of(slot), scratch.rows.data(), count,
                             target_->settings().dimensions, scratch.distances.data());
    for (size_t at = 0; at < kept; ++at) scratch.chosen[at].distance = scratch.distances[at];
    for (size_t at = kept; at < count; ++at)
        scratch.candidates[at - kept] = {scratch.distances[at], scratch.slots[at]};
    std::sort(scratch.chosen.begin(), scratch.chosen.end());
    std::sort(scratch.candidates.begin(), scratch.candidates.end());
}

// Adds the closest offers, whatever their direction, until the list has `most` links.
void Compaction::fill(std::vector<Near>& list, const std::vector<Near>& offers, size_t most) {
    for (const Near& offer : offers) {
        if (list.size() >= most) return;
        auto is_offer = [&](const Near& near) { return near.slot == offer.slot; };
        if (std::none_of(list.begin(), list.end(), is_offer)) list.push_back(offer);
    }
}

// Whether an offer is closer to the node than to each closer neighbour in its list.
bool Compaction::spreads(const Near& offer, const std::vector<Near>& list) const {
    const float* row = target_->vector_of(offer.slot);
    for (const Near& other : list) {
        if (!(other.distance < offer.distance)) continue;
        if (target_->distance_->one(row, target_->vector_of(other.slot),
                                    target_->settings().dimensions) < offer.distance)
            return false;
    }
    return true;
}

void Compaction::add_backlinks(size_t begin, size_t end) {
    Scratch& scratch = Scratch::of_this_thread();
    for (size_t at = begin; at < end; ++at) {
        const Added& link = added_[at];
        target_->add_link(nullptr, link.to.slot, {link.to.distance, link.from}, link.level,
                          scratch);
    }
}

// Requires: mutex_ is held, nothing runs.
void Compaction::end_round() {
    const uint32_t count = uint32_t(source_slots_.size());
    if (rounds_ == 0) {
        set_entry(count);
        target_->worn_nodes_ = wear_ * count;
    }
    for (uint32_t slot : lone_) {
        if (slot == target_->entry().slot) continue;
        for (int level = target_->nodes_.row(slot)->level; level >= 0; --level)
            for (uint32_t at = 0; at < kLoneLinks; ++at)
                target_->links_of(slot, level)[at].store(0, std::memory_order_relaxed);
        target_->link(slot);
    }
    rescue(count);
    target_->finish({first_, count});
    lone_.clear();
    added_.clear();
    first_ = count;
    const uint32_t linked = source_->linked();
    if (linked_ > 0 && ++rounds_ < kRoundsMax && linked >= linked_ + kRoundMin) {
        linked_ = linked;
        target_slots_.resize(linked, kNoSlot);
        stage_.store(Stage::rows, std::memory_order_release);
        return;
    }
    target_slots_ = {};
    added_ = {};
    stage_.store(Stage::copied, std::memory_order_release);
}

// Gives every node a link that leads to it, where it lost the last one: its nearest neighbour has
// room, or gives up its farthest neighbour that others lead to as well.
void Compaction::rescue(uint32_t count) {
    std::vector<uint8_t> leading(count, 0);  // links to a node, up to 2
    const uint32_t width = target_->width_of(0);
    auto note = [&](uint32_t word) { leading[word - 1] += leading[word - 1] < 2 ? 1 : 0; };
    for (uint32_t slot = 0; slot < count; ++slot) {
        const Graph::Link* links = target_->links_of(slot, 0);
        for (uint32_t at = 0; at < width; ++at) {
            const uint32_t word = links[at].load(std::memory_order_relaxed);
            if (word == 0) break;
            note(word);
        }
    }
    for (uint32_t slot = 0; slot < count; ++slot) {
        if (leading[slot] > 0) continue;
        const Graph::Link* own = target_->links_of(slot, 0);
        for (uint32_t at = 0; at < width && leading[slot] == 0; ++at) {
            const uint32_t word = own[at].load(std::memory_order_relaxed);
            if (word == 0) break;
            Graph::Link* links = target_->links_of(word - 1, 0);
            for (uint32_t place = width; place-- > 0;) {
                const uint32_t there = links[place].load(std::memory_order_relaxed);
                const bool is_free = there == 0 && (place == 0 || links[place - 1].load() != 0);
                if (!is_free && (there == 0 || leading[there - 1] < 2)) continue;
                links[place].store(slot + 1, std::memory_order_release);
                leading[slot] = 1;
                if (there != 0) leading[there - 1] = 1;  // as far as is known
                break;
            }
        }
    }
}

// The first of the highest nodes that are well linked; any, where none is.
void Compaction::set_entry(uint32_t count) {
    if (count == 0) return;
    std::sort(lone_.begin(), lone_.end());
    uint32_t best = kNoSlot;
    for (uint32_t slot = 0; slot < count; ++slot) {
        if (std::binary_search(lone_.begin(), lone_.end(), slot)) continue;
        if (best == kNoSlot || target_->nodes_.row(slot)->level > target_->nodes_.row(best)->level)
            best = slot;
    }
    if (best == kNoSlot) best = 0;
    target_->entry_.store(uint64_t(target_->nodes_.row(best)->level + 1) << 32 | best,
                          std::memory_order_release);
}

void Compaction::follow(uint32_t count) {
    const uint32_t end = uint32_t(std::min<uint64_t>(uint64_t(at_) + count, source_->count()));
    std::vector<uint32_t> docs;
    std::vector<float> rows;
    for (; at_ < end; ++at_)
        if (!source_->is_deleted(at_)) copy_row(at_, docs, rows);
    target_->append(docs.data(), rows.data(), docs.size());
}

void Compaction::finish() {
    follow(behind());
    for (uint32_t slot = 0; slot < target_->count(); ++slot)
        if (source_->is_deleted(source_slots_[slot])) target_->erase(target_->doc_of(slot));
}

}  // namespace weft
