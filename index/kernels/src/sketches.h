// Sketches: three bits a dimension of every vector of a graph, to look through many in little time.
//
// After RaBitQ (Gao & Long 2024, arXiv 2405.12497; more bits: arXiv 2409.09913). A vector less the
// mean of all is turned at random; what is kept of it is the sign of each position, and which of
// four sizes of its sign it has. The product with a query is estimated from the signs alone
// (coarse) or from all bits (fine), without bias over the turns and with an error that is
// known: it falls with the square root of the dimensions. A *promise* is the estimate and some
// such errors more, so that what a vector promises it hardly ever surpasses. Whoever searches
// measures what promises enough.
//
// Promises are products less a constant of the query: greater is nearer, and `bar_of` says what
// has to be promised for a distance.
//
//   runs   by 64 slots: what the coarse promises need, for all of them at once (sketch_sums.h)
//   rows   by slot: what the fine promise needs, on one line or two
//   docs   by slot, and by run where they are in order, so that the bits of a filter are read as
//          one word
//
// Concurrency: one thread at a time extends; any number read what lies below `end()`.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "allow_words.h"
#include "chunks.h"
#include "distance.h"
#include "rotation.h"
#include "sketch_sums.h"

namespace weft {

// A query made ready for sketches. Reused from search to search.
struct SketchQuestion {
    std::vector<float> values;
    std::vector<int8_t> steps;
    std::vector<uint8_t> tables;   // for runs
    std::vector<uint64_t> planes;  // for rows
    SketchPromise coarse{};
    SketchPromise fine{};
    float constant = 0;  // what `bar_of` needs to know of the query
    float norm = 0;      // of the query less the mean, turned
    float slack = 0;     // of the errors that promises have room for; 1 before there is a bar
};

class Sketches {
  public:
    // `mean` is one of the vectors that come, or near enough: only accuracy depends on it.
    // Requires: the metric has sketches (`has`).
    Sketches(Metric metric, std::vector<float> mean, uint32_t learned_from,
             Simd simd = simds_of_this_cpu().front());

    // Metrics that are products of vectors in disguise, and vectors long enough to be worth it.
    static bool has(Metric metric, uint32_t dimensions);

    uint32_t end() const { return end_.load(std::memory_order_acquire); }  // multiple of 64
    uint32_t learned_from() const { return learned_from_; }
    size_t memory_bytes() const;
    size_t run_bytes() const { return sketch_run_bytes(words_); }

    // Takes the vectors and docs of slots [end(), end() + kSketchRun).
    void append_run(const float* const* rows, const uint32_t* docs);

    // Which of the 64 slots from `first` on are allowed.
    uint64_t allowed_in_run(uint32_t first, const AllowWords& allow) const;
    // `query` is ready for the metric. False where its values are too large for sums in floats.
    [[nodiscard]] bool ask(const float* query, SketchQuestion& out) const;
    // The slots in `mask`, 64 from `first` on, that promise `least`, and their coarse promises; how
    // many. Outputs have room for 16 more.
    size_t promise_run(const SketchQuestion& question, uint32_t first, uint64_t mask, float least,
                       uint32_t* slots, float* promises) const {
        return sums_->run(question.tables.data(), words_, runs_.row(first / kSketchRun),
                          question.coarse, mask, least, first, slots, promises);
    }
    // The fine promises of slots anywhere.
    void promise_finely(const SketchQuestion& question, const uint32_t* slots, size_t count,
                        float* promises) const;
    // Promises less where all that matters is whether they reach `bar`: what reaches it lies in
    // the direction of the query, and of that the errors are less.
    void tighten(SketchQuestion& question, float bar) const;
    // The places of promises that are not below `least`.
    size_t not_below(const float* promises, size_t count, float least, uint32_t* places) const {
        return sums_->not_below(promises, count, least, places);
    }
    // Drops the slots that promise less than `least`; how many are left.
    size_t drop_below(float* promises, uint32_t* slots, size_t count, float least) const {
        return sums_->drop_below(promises, slots, count, least);
    }
    // What is promised at least by what is nearer than `distance`.
    float bar_of(const SketchQuestion& question, float distance) const;

  private:
    static void give_room(SketchQuestion& question, float slack);
    void append(const float* row, uint32_t slot, std::vector<float>& values);
    Metric metric_;
    uint32_t dimensions_;
    uint32_t words_;
    uint32_t learned_from_;
    std::vector<float> mean_;
    std::vector<float> turned_mean_;
    Rotation rotation_;
    const SketchSums* sums_;
    Chunks<uint8_t> runs_;
    Chunks<uint64_t> rows_;
    Chunks<uint32_t> docs_;
    Chunks<uint32_t> run_docs_;        // by run: the first doc, where all follow it in order
    double norm_sum_ = 0;              // of what rows are less the mean
    std::atomic<float> norm_mean_{0};  // the same
    std::atomic<float> norm_max_{0};
    std::atomic<float> base_max_;
    std::atomic<uint32_t> end_{0};
};

}  // namespace weft
