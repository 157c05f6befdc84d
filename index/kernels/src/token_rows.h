// TokenRows: the rows of every doc of one multi-vector space, each doc's one after the other.
//
// A doc gets the next slot when it is added and keeps it. Its rows never straddle two chunks of
// memory, so that a kernel reads them as one matrix. Deleted docs keep their memory until the owner
// copies the live ones into a new table.
//
// Concurrency: one writer appends and erases; readers run beside it and never wait.
#pragma once

#include <atomic>
#include <cstdint>

#include "chunks.h"
#include "graph.h"

namespace weft {

class TokenRows {
  public:
    explicit TokenRows(uint32_t dimensions)
        : dimensions_(dimensions), rows_(dimensions), docs_(1), slots_(1, Filling::sparse) {}

    uint32_t dimensions() const { return dimensions_; }
    uint32_t slots() const { return slot_count_.load(std::memory_order_acquire); }
    uint32_t live() const { return live_.load(std::memory_order_relaxed); }
    size_t live_rows() const { return live_rows_.load(std::memory_order_relaxed); }
    size_t dead_rows() const { return dead_rows_.load(std::memory_order_relaxed); }
    size_t memory_bytes() const;

    // Adds a new doc of `count` > 0 rows that are ready for the metric. `first_token` is kept for
    // the owner.
    void append(uint32_t doc, const float* rows, uint32_t count, uint32_t first_token);
    // False where there is no such doc.
    bool erase(uint32_t doc);
    // Appends what is live in another table. Tokens stay, or start again at 0.
    enum class Tokens { keep, renumber };
    void take_over(const TokenRows& other, Tokens tokens);

    struct Matrix {
        const float* rows;
        uint32_t count;
        uint32_t first_token;
    };
    uint32_t slot_of(uint32_t doc) const;  // kNoSlot where there is none or it is deleted
    uint32_t doc_of(uint32_t slot) const { return docs_.row(slot)->doc; }
    bool is_deleted(uint32_t slot) const {
        return docs_.row(slot)->deleted.load(std::memory_order_relaxed) != 0;
    }
    Matrix matrix_of(uint32_t slot) const {
        const Doc* doc = docs_.row(slot);
        return {rows_.row(doc->first_row), doc->count, doc->first_token};
    }

  private:
    struct Doc {
        uint64_t first_row;
        uint32_t doc;
        uint32_t count;
        uint32_t first_token;
        std::atomic<uint32_t> deleted;
    };

    uint64_t place_for(uint32_t count) const;

    const uint32_t dimensions_;
    Chunks<float> rows_;
    Chunks<Doc> docs_;
    Chunks<std::atomic<uint32_t>> slots_;  // by doc, slot + 1
    uint64_t next_row_ = 0;
    std::atomic<uint32_t> slot_count_{0};
    std::atomic<uint32_t> live_{0};
    std::atomic<size_t> live_rows_{0};
    std::atomic<size_t> dead_rows_{0};
};

}  // namespace weft
