// MultiVectorIndex: writes and lookups.
#include "multi_vector_index.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace weft {
namespace {

constexpr size_t kDeadRowsMin = 4096;  // fewer are not worth a new table

uint64_t new_generation() {
    std::random_device random;
    return uint64_t(random()) << 32 | random();
}

}  // namespace

MultiVectorIndex::MultiVectorIndex(const MultiVectorSettings& settings) : settings_(settings) {
    if (settings.muvera) Muvera(*settings.muvera, 1);  // Refuses what no encoding can be made of.
}

MultiVectorIndex::State MultiVectorIndex::state() const {
    std::lock_guard guard(state_mutex_);
    if (closed_) throw ClosedError();
    return state_;
}

void MultiVectorIndex::set_state(State state) {
    // The old state goes after the lock: giving back its memory takes a while.
    std::lock_guard guard(state_mutex_);
    std::swap(state_, state);
}

void MultiVectorIndex::check_new(const TokenRows* table, const uint32_t* docs, const float* rows,
                                 size_t count, size_t dimensions) const {
    if (dimensions == 0) throw std::invalid_argument("a vector needs at least one dimension");
    if (table != nullptr && table->dimensions() != dimensions)
        throw DimensionError(dimensions, table->dimensions());
    for (size_t at = 0; at < count; ++at) {
        if (!is_finite(rows + at * dimensions, dimensions))
            throw std::invalid_argument("row " + std::to_string(at) +
                                        " holds a value that is not finite");
        if (at > 0 && docs[at] < docs[at - 1])
            throw std::invalid_argument("doc ids are not ascending");
        if (docs[at] == kNoSlot) throw std::invalid_argument("doc id out of range");
        if (table != nullptr && table->slot_of(docs[at]) != kNoSlot)
            throw std::invalid_argument("doc " + std::to_string(docs[at]) + " is in the index");
    }
}

std::shared_ptr<Candidates> MultiVectorIndex::make_candidates(size_t dimensions) {
    std::shared_ptr<Candidates> made;
    if (settings_.muvera)
        made = std::make_shared<MuveraCandidates>(*settings_.muvera, settings_.graph, dimensions);
    else
        made = std::make_shared<TokenCandidates>(settings_.graph, dimensions);
    made->graph().set_codes(codes_);  // The graph is empty: its dimensions come later.
    if (!row_directory_.empty()) made->graph().set_row_directory(row_directory_);
    made->graph().set_own_compaction_max(own_compaction_max_);
    return made;
}

void MultiVectorIndex::set_codes(const std::optional<CodeSettings>& codes) {
    std::lock_guard guard(writer_mutex_);
    State state = this->state();
    if (codes) check_codes(*codes, Metric::dot, 0);
    if (state.candidates != nullptr) state.candidates->graph().set_codes(codes);
    codes_ = codes;
}

void MultiVectorIndex::set_row_directory(const std::string& directory) {
    std::lock_guard guard(writer_mutex_);
    State state = this->state();
    row_directory_ = directory;
    if (state.candidates != nullptr) state.candidates->graph().set_row_directory(directory);
}

void MultiVectorIndex::set_own_compaction_max(size_t bytes) {
    std::lock_guard guard(writer_mutex_);
    State state = this->state();
    own_compaction_max_ = bytes;
    if (state.candidates != nullptr) state.candidates->graph().set_own_compaction_max(bytes);
}

std::string MultiVectorIndex::codes_fault() const {
    State state = this->state();
    return state.candidates == nullptr ? "" : state.candidates->graph().codes_fault();
}

// Sees to it that `count` more rows get tokens: when the numbers are used up, they start again.
void MultiVectorIndex::make_room(State& state, size_t count) {
    constexpr size_t kTokensMax = kNoSlot;
    if (count <= kTokensMax - next_token_) return;
    auto table = std::make_shared<TokenRows>(state.table->dimensions());
    table->take_over(*state.table, TokenRows::Tokens::renumber);
    if (count > kTokensMax - table->live_rows())
        throw std::length_error("a shard holds at most 2^32 rows of multi-vectors");
    next_token_ = uint32_t(table->live_rows());
    state = {table, nullptr, new_generation()};
}

void MultiVectorIndex::add(const uint32_t* docs, const float* rows, size_t count,
                           size_t dimensions) {
    std::lock_guard guard(writer_mutex_);
    State state = this->state();
    if (count == 0) return;
    check_new(state.table.get(), docs, rows, count, dimensions);
    if (state.table == nullptr)
        state = {std::make_shared<TokenRows>(uint32_t(dimensions)), nullptr, new_generation()};
    make_room(state, count);
    TokenRows& table = *state.table;
    uint32_t begin = table.slots();
    for (size_t first = 0, end = 0; first < count; first = end) {
        for (end = first + 1; end < count && docs[end] == docs[first];) ++end;
        table.append(docs[first], rows + first * dimensions, uint32_t(end - first), next_token_);
        next_token_ += uint32_t(end - first);
    }
    if (state.candidates == nullptr && table.live() >= settings_.candidate_docs_min) {
        state.candidates = make_candidates(dimensions);
        begin = 0;
    }
    if (state.candidates != nullptr) state.candidates->add(table, begin, table.slots());
    set_state(state);
}

size_t MultiVectorIndex::erase(const uint32_t* docs, size_t count) {
    std::lock_guard guard(writer_mutex_);
    State state = this->state();
    if (state.table == nullptr) return 0;
    TokenRows& table = *state.table;
    size_t erased = 0;
    for (size_t at = 0; at < count; ++at) {
        uint32_t slot = table.slot_of(docs[at]);
        if (slot == kNoSlot) continue;
        table.erase(docs[at]);
        if (state.candidates != nullptr) state.candidates->erase(docs[at], table.matrix_of(slot));
        ++erased;
    }
    if (table.live() == 0) {
        next_token_ = 0;
        set_state({});
    } else if (table_room(table, kDeletedShareMax) <= own_compaction_max_) {
        shrink_table(state, kDeletedShareMax);
    }
    return erased;
}

// Memory that a table of the live rows takes, where so many are dead that it pays; otherwise 0.
size_t MultiVectorIndex::table_room(const TokenRows& table, double share) {
    const double rows = double(table.live_rows() + table.dead_rows());
    if (table.dead_rows() < kDeadRowsMin || double(table.dead_rows()) <= share * rows) return 0;
    return size_t(double(table.memory_bytes()) * double(table.live_rows()) / rows);
}

// Requires: writer_mutex_ is held.
void MultiVectorIndex::shrink_table(const State& state, double share) {
    if (state.table == nullptr || table_room(*state.table, share) == 0) return;
    auto smaller = std::make_shared<TokenRows>(state.table->dimensions());
    smaller->take_over(*state.table, TokenRows::Tokens::keep);
    set_state({smaller, state.candidates, state.generation});
}

void MultiVectorIndex::distances(const float* query, size_t rows, size_t dimensions,
                                 const uint32_t* docs, size_t count, float* out) const {
    State state = this->state();
    std::fill(out, out + count, std::numeric_limits<float>::quiet_NaN());
    if (state.table == nullptr) return;
    const TokenRows& table = *state.table;
    std::vector<float> ready = prepared_query(table, query, rows, dimensions);
    MaxSimQuery packed(ready.data(), rows, dimensions);
    for (size_t at = 0; at < count; ++at) {
        uint32_t slot = table.slot_of(docs[at]);
        if (slot == kNoSlot) continue;
        TokenRows::Matrix matrix = table.matrix_of(slot);
        out[at] = packed.distance(matrix.rows, matrix.count);
    }
}

size_t MultiVectorIndex::dimensions() const {
    State state = this->state();
    return state.table == nullptr ? 0 : state.table->dimensions();
}

size_t MultiVectorIndex::count() const {
    State state = this->state();
    return state.table == nullptr ? 0 : state.table->live();
}

size_t MultiVectorIndex::row_count() const {
    State state = this->state();
    return state.table == nullptr ? 0 : state.table->live_rows();
}

size_t MultiVectorIndex::pending() const {
    State state = this->state();
    if (state.candidates == nullptr) return 0;
    size_t nodes = state.candidates->graph().pending();
    if (settings_.muvera) return nodes;
    double rows = double(std::max<size_t>(state.table->live_rows(), 1));
    return size_t(std::ceil(double(nodes) * double(state.table->live()) / rows));
}

size_t MultiVectorIndex::memory_bytes() const {
    State state = this->state();
    return sizeof(MultiVectorIndex) + (state.table == nullptr ? 0 : state.table->memory_bytes()) +
           (state.candidates == nullptr ? 0 : state.candidates->memory_bytes());
}

bool MultiVectorIndex::wait_indexed(double timeout_s) const {
    State state = this->state();
    return state.candidates == nullptr || state.candidates->graph().wait_indexed(timeout_s);
}

std::string MultiVectorIndex::link_fault() const {
    State state = this->state();
    return state.candidates == nullptr ? std::string() : state.candidates->graph().link_fault();
}

void MultiVectorIndex::retry_links() {
    State state = this->state();
    if (state.candidates != nullptr) state.candidates->graph().retry_links();
}

void MultiVectorIndex::close() {
    State state;
    std::lock_guard guard(state_mutex_);
    closed_ = true;
    std::swap(state, state_);
}

}  // namespace weft
