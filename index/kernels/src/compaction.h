// Compaction: a copy of a graph without its deleted nodes, made beside it in slices.
//
// Rows move together, links are renumbered, and what was linked through deleted nodes is linked
// again: a node that loses a neighbour is offered that neighbour's neighbours (and theirs, where
// those are deleted too), chosen by the heuristic of the build, and what it takes links back to it.
// That is the repair of FreshDiskANN (Singh et al., 2021, algorithm 4) with the two-way links of
// IP-DiskANN (Xu et al., 2025). The offers that are left out for their direction fill a list up to
// the number of links that a new node gets. Where most of the nodes that a graph was built with are
// deleted, at once or from repair to repair, so little is left of the lists that all are linked
// anew.
//
// Why a copy and not slots that are used again: readers of the old graph never see a slot change,
// walks need no epochs, memory really goes back, and snapshots stay simple
// (docs/decisions/0012-repair-is-a-compacted-copy.md).
//
// Concurrency: `run_slice` on any number of threads beside searches, writers and linkers of the
// source; `follow` and `finish` by one thread at a time. Nobody else sees the target before it is
// finished.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "graph.h"

namespace weft {

class Compaction {
  public:
    explicit Compaction(std::shared_ptr<Graph> source);

    const std::shared_ptr<Graph>& source() const { return source_; }
    const std::shared_ptr<Graph>& target() const { return target_; }

    // Does a part of the copy; false where other threads hold the rest of it, or it is complete.
    bool run_slice();
    // What is linked in the source is copied, links and all, but for what came in these moments.
    bool is_copied() const { return stage_.load(std::memory_order_acquire) == Stage::copied; }
    // Appends up to `count` vectors that the source got since, to be linked in the target.
    void follow(uint32_t count);
    // Vectors that the source has and `follow` has not taken yet.
    uint32_t behind() const { return source_->count() - at_; }
    // Takes over what the source got and lost meanwhile. Requires: no writer.
    void finish();

  private:
    // The first three make a round. While one runs, more vectors are linked in the source; the next
    // takes them over, until a round is short.
    enum class Stage : uint8_t { rows, lists, backlinks, copied };

    // A link whose other direction is still missing.
    struct Added {
        uint32_t from;
        Near to;
        int level;
    };

    static double wear_after_repair(const Graph& source);
    void take_rows();
    void copy_row(uint32_t slot, std::vector<uint32_t>& docs, std::vector<float>& rows);
    void end_rows();
    size_t copy_lists(uint32_t slot, std::vector<Added>& added, Scratch& scratch) const;
    size_t look_around(uint32_t slot, int level, Scratch& scratch) const;
    void measure(uint32_t slot, size_t kept, Scratch& scratch) const;
    static void fill(std::vector<Near>& list, const std::vector<Near>& offers, size_t most);
    bool spreads(const Near& offer, const std::vector<Near>& list) const;
    bool is_dead(uint32_t source_slot) const { return target_slots_[source_slot] == kNoSlot; }
    void add_backlinks(size_t begin, size_t end);
    void end_round();
    void rescue(uint32_t count);
    void set_entry(uint32_t count);

    const std::shared_ptr<Graph> source_;
    const std::shared_ptr<Graph> target_;
    const double wear_;   // of the target's nodes, in 0..1
    uint32_t linked_;     // slots of the source that this round ends with
    uint32_t first_ = 0;  // slot of the target that this round begins with
    int rounds_ = 0;
    std::vector<uint32_t> target_slots_;  // by slot of the source below linked_; kNoSlot: dead
    std::vector<uint32_t> source_slots_;  // by slot of the target
    uint32_t at_ = 0;                     // first slot of the source whose row is not copied
    std::vector<Added> added_;            // complete when the lists are
    std::vector<uint32_t> lone_;          // nodes that kept too few links
    std::mutex mutex_;
    std::atomic<Stage> stage_{Stage::rows};
    size_t next_ = 0;     // of the stage: first item that nobody has claimed
    size_t running_ = 0;  // claimed parts that are not done
};

}  // namespace weft
