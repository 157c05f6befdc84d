// What a search keeps: the k nearest so far, the beam of a graph walk, the nodes it has seen.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace weft {

struct Near {
    float distance;
    uint32_t slot;

    // Slots break ties, so that equal distances come out in one order, always.
    bool operator<(const Near& other) const {
        return distance < other.distance || (distance == other.distance && slot < other.slot);
    }
};

// The k nearest of any number of candidates. It buffers and cuts back, so that a push costs the
// same for ten results as for ten thousand.
class Nearest {
  public:
    void reset(size_t k, float distance_max) {
        k_ = k;
        full_ = 2 * k + 32;
        distance_max_ = distance_max;
        worst_ = std::numeric_limits<float>::infinity();
        held_.clear();
    }

    void push(float distance, uint32_t slot) {
        if (distance != distance) distance = std::numeric_limits<float>::infinity();
        if (distance > worst_ || distance > distance_max_) return;
        held_.push_back({distance, slot});
        if (held_.size() >= full_) cut();
    }

    const std::vector<Near>& sorted() {
        if (held_.size() > k_) cut();
        std::sort(held_.begin(), held_.end());
        return held_;
    }

    size_t size() const { return std::min(held_.size(), k_); }

    // What is farther is not kept. Tightened where that costs little beside the pushes.
    float bar() {
        bool is_first = worst_ == std::numeric_limits<float>::infinity() && held_.size() >= k_;
        if (k_ > 0 && (is_first || held_.size() > k_ + k_ / 4)) cut();
        return std::min(worst_, distance_max_);
    }

    void drop_beyond(float distance_max) {
        if (held_.size() > k_) cut();
        std::erase_if(held_, [=](const Near& near) { return near.distance > distance_max; });
    }

  private:
    void cut() {
        if (k_ > 0) {
            std::nth_element(held_.begin(), held_.begin() + (k_ - 1), held_.end());
            worst_ = held_[k_ - 1].distance;
        }
        held_.resize(k_);
    }

    size_t k_ = 0;
    size_t full_ = 32;
    float distance_max_ = 0;
    float worst_ = 0;
    std::vector<Near> held_;
};

// Moves the pairs with a distance below `worst` to the front and returns how many they are. Most
// nodes of a walk are too far, but which is anybody's guess: nothing here branches on it.
inline size_t keep_nearer(float worst, float* distances, uint32_t* slots, size_t count) {
    size_t kept = 0;
    for (size_t at = 0; at < count; ++at) {
        const float distance = distances[at];
        distances[kept] = distance;
        slots[kept] = slots[at];
        kept += distance < worst ? 1 : 0;
    }
    return kept;
}

// The best `capacity` nodes of a walk, sorted, and which of them are expanded. A sorted array beats
// two heaps for the usual sizes, and it knows the node that comes next, for the prefetch.
class Beam {
  public:
    void reset(size_t capacity) {
        if (items_.size() < capacity + 1) items_.resize(capacity + 1);
        capacity_ = capacity;
        size_ = 0;
        next_ = 0;
    }

    bool takes(float distance) const {
        return size_ < capacity_ || distance < items_[size_ - 1].distance;
    }

    // Moves what it would take now to the front of the two arrays; returns how many those are.
    size_t sieve(float* distances, uint32_t* slots, size_t count) const {
        if (size_ < capacity_) return count;
        return keep_nearer(items_[size_ - 1].distance, distances, slots, count);
    }

    // Tells whether it is the next to expand now.
    bool insert(float distance, uint32_t slot) {
        if (!takes(distance)) return false;
        size_t low = 0;
        size_t length = size_;
        while (length > 0) {
            size_t half = length / 2;
            bool after = !(distance < items_[low + half].distance);
            low = after ? low + half + 1 : low;
            length = after ? length - half - 1 : half;
        }
        if (size_ < capacity_) ++size_;
        std::memmove(&items_[low + 1], &items_[low], (size_ - 1 - low) * sizeof(Near));
        items_[low] = {distance, slot};
        if (low > next_) return false;
        next_ = low;
        return true;
    }

    bool has_next() const { return next_ < size_; }

    uint32_t pop_next() {
        uint32_t slot = items_[next_].slot;
        items_[next_].slot |= kExpanded;
        while (next_ < size_ && (items_[next_].slot & kExpanded) != 0) ++next_;
        return slot;
    }

    // How many nodes are nearer than the next one to expand.
    size_t next_index() const { return next_; }
    uint32_t peek_next() const { return items_[next_].slot; }

    size_t size() const { return size_; }
    Near at(size_t index) const {
        return {items_[index].distance, items_[index].slot & ~kExpanded};
    }

  private:
    static constexpr uint32_t kExpanded = uint32_t{1} << 31;

    size_t capacity_ = 0;
    size_t size_ = 0;
    size_t next_ = 0;  // no node before it waits for its expansion
    std::vector<Near> items_;
};

// The beam of a walk that may not return every node: the best `capacity` accepted ones, and those
// among them that are not, which lead on but take no place. With all accepted it is a Beam.
class SiftedBeam {
  public:
    static constexpr uint32_t kSlotsMax = (uint32_t{1} << 30) - 1;

    void reset(size_t capacity) {
        if (items_.size() < capacity + 1) items_.resize(capacity + 1);
        capacity_ = capacity;
        size_ = 0;
        next_ = 0;
        accepted_ = 0;
    }

    bool takes(float distance) const {
        return accepted_ < capacity_ || distance < items_[size_ - 1].distance;
    }

    // Moves what it would take now to the front of the two arrays; returns how many those are.
    size_t sieve(float* distances, uint32_t* slots, size_t count) const {
        if (accepted_ < capacity_) return count;
        return keep_nearer(items_[size_ - 1].distance, distances, slots, count);
    }

    // Tells whether it is the next to expand now. Requires: it takes the distance.
    bool insert(float distance, uint32_t slot, bool is_accepted) {
        auto after = [](float left, const Near& right) { return left < right.distance; };
        const auto end = items_.begin() + ptrdiff_t(size_);
        const size_t place =
            size_t(std::upper_bound(items_.begin(), end, distance, after) - items_.begin());
        if (size_ == items_.size()) items_.resize(2 * size_);
        std::memmove(&items_[place + 1], &items_[place], (size_ - place) * sizeof(Near));
        items_[place] = {distance, is_accepted ? slot : slot | kPassed};
        ++size_;
        const bool is_next = place <= next_;
        if (is_next) next_ = place;
        accepted_ += is_accepted ? 1 : 0;
        if (accepted_ > capacity_) drop_last();
        return is_next;
    }

    bool has_next() const { return next_ < size_; }

    uint32_t pop_next() {
        const uint32_t slot = peek_next();
        items_[next_].slot |= kExpanded;
        while (next_ < size_ && (items_[next_].slot & kExpanded) != 0) ++next_;
        return slot;
    }

    uint32_t peek_next() const { return items_[next_].slot & ~kPassed; }

    size_t size() const { return size_; }
    bool is_accepted(size_t index) const { return (items_[index].slot & kPassed) == 0; }
    bool is_expanded(size_t index) const { return (items_[index].slot & kExpanded) != 0; }
    Near at(size_t index) const {
        return {items_[index].distance, items_[index].slot & ~(kExpanded | kPassed)};
    }

  private:
    static constexpr uint32_t kExpanded = uint32_t{1} << 31;
    static constexpr uint32_t kPassed = uint32_t{1} << 30;

    // A full beam ends with an accepted node: what lies behind it leads nowhere.
    void drop_last() {
        --size_;
        --accepted_;
        while (!is_accepted(size_ - 1)) --size_;
        next_ = std::min(next_, size_);
    }

    size_t capacity_ = 0;
    size_t size_ = 0;
    size_t next_ = 0;      // no node before it waits for its expansion
    size_t accepted_ = 0;  // at most `capacity_`
    std::vector<Near> items_;
};

// The nodes a walk has met. One bit a node: for a hundred thousand nodes it stays in the first
// cache. It is cleared by undoing its marks, or as a whole where that is less work.
class Visited {
  public:
    void reset(size_t slots) {
        size_t words = (slots + 63) / 64;
        if (marked_.size() > words_.size() / 16) {
            std::fill(words_.begin(), words_.end(), uint64_t{0});
        } else {
            for (uint32_t slot : marked_) words_[slot / 64] = 0;
        }
        marked_.clear();
        if (words_.size() < words) words_.resize(words + words / 4);
    }

    // False if it was marked before, or is beyond the slots that `reset` was told of.
    bool mark(uint32_t slot) {
        size_t word = slot / 64;
        if (word >= words_.size()) return false;
        uint64_t bit = uint64_t{1} << (slot % 64);
        if ((words_[word] & bit) != 0) return false;
        words_[word] |= bit;
        marked_.push_back(slot);
        return true;
    }

    // Marks the nodes of a list of links (slot + 1, zero after the last), writes those that were
    // not marked before to `fresh` and returns how many they are. Whether a node was met is
    // anybody's guess, so nothing here branches on it.
    size_t mark_links(const std::atomic<uint32_t>* links, size_t width, uint32_t* fresh) {
        uint64_t* const words = words_.data();
        const size_t slots = words_.size() * 64;
        size_t met = 0;
        for (size_t at = 0; at < width; ++at) {
            const uint32_t link = links[at].load(std::memory_order_acquire);
            if (link == 0) break;
            const uint32_t slot = link - 1;
            if (slot >= slots) continue;
            const uint64_t word = words[slot / 64];
            const uint64_t bit = uint64_t{1} << (slot % 64);
            words[slot / 64] = word | bit;
            fresh[met] = slot;
            met += (word & bit) == 0 ? 1 : 0;
        }
        marked_.insert(marked_.end(), fresh, fresh + met);
        return met;
    }

    size_t count() const { return marked_.size(); }

  private:
    std::vector<uint64_t> words_;
    std::vector<uint32_t> marked_;
};

}  // namespace weft
