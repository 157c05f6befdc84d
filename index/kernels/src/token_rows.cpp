// TokenRows: appends, deletions, lookups.
#include "token_rows.h"

#include <cstring>
#include <stdexcept>

namespace weft {
namespace {

constexpr uint64_t kRowsMax = uint64_t{1} << 32;

}  // namespace

size_t TokenRows::memory_bytes() const {
    size_t rows = live_rows() + dead_rows();
    return sizeof(TokenRows) + rows * rows_.row_bytes() +
           slots() * (sizeof(Doc) + sizeof(std::atomic<uint32_t>));
}

// The next row from which `count` lie in one chunk.
uint64_t TokenRows::place_for(uint32_t count) const {
    uint64_t first = next_row_;
    while (rows_.run_length(first) < count) first += rows_.run_length(first);
    return first;
}

void TokenRows::append(uint32_t doc, const float* rows, uint32_t count, uint32_t first_token) {
    uint32_t slot = slot_count_.load(std::memory_order_relaxed);
    if (slot >= kSlotsMax) throw std::length_error("a shard holds at most 2^31 multi-vectors");
    uint64_t first = place_for(count);
    if (first + count > kRowsMax) throw std::length_error("a shard holds at most 2^32 rows");
    rows_.grow(first, count);
    docs_.grow(slot, 1);
    slots_.grow(doc, 1);
    std::memcpy(rows_.row(first), rows, size_t{count} * dimensions_ * sizeof(float));
    Doc* made = docs_.row(slot);
    made->first_row = first;
    made->doc = doc;
    made->count = count;
    made->first_token = first_token;
    next_row_ = first + count;
    live_.fetch_add(1, std::memory_order_relaxed);
    live_rows_.fetch_add(count, std::memory_order_relaxed);
    // Only now may others see it.
    slot_count_.store(slot + 1, std::memory_order_release);
    slots_.row(doc)->store(slot + 1, std::memory_order_release);
}

bool TokenRows::erase(uint32_t doc) {
    uint32_t slot = slot_of(doc);
    if (slot == kNoSlot) return false;
    Doc* gone = docs_.row(slot);
    gone->deleted.store(1, std::memory_order_relaxed);
    live_.fetch_sub(1, std::memory_order_relaxed);
    live_rows_.fetch_sub(gone->count, std::memory_order_relaxed);
    dead_rows_.fetch_add(gone->count, std::memory_order_relaxed);
    return true;
}

void TokenRows::take_over(const TokenRows& other, Tokens tokens) {
    uint32_t next = 0;
    for (uint32_t slot = 0; slot < other.slots(); ++slot) {
        if (other.is_deleted(slot)) continue;
        Matrix matrix = other.matrix_of(slot);
        uint32_t first = tokens == Tokens::keep ? matrix.first_token : next;
        append(other.doc_of(slot), matrix.rows, matrix.count, first);
        next += matrix.count;
    }
}

uint32_t TokenRows::slot_of(uint32_t doc) const {
    const std::atomic<uint32_t>* cell = slots_.row_or_null(doc);
    uint32_t word = cell == nullptr ? 0 : cell->load(std::memory_order_acquire);
    if (word == 0 || is_deleted(word - 1)) return kNoSlot;
    return word - 1;
}

}  // namespace weft
