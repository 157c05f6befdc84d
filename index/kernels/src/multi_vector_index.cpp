// MultiVectorIndex: writes, searches, lookups.
#include "multi_vector_index.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>

namespace weft {
namespace {

constexpr size_t kDeadRowsMin = 4096;  // fewer are not worth a new table

void scan(const TokenRows& table, const MaxSimQuery& query, Nearest& nearest) {
    // The end is read again and again: what takes the place of a doc that goes meanwhile is met.
    for (uint32_t slot = 0; slot < table.slots(); ++slot) {
        if (table.is_deleted(slot)) continue;
        TokenRows::Matrix matrix = table.matrix_of(slot);
        nearest.push(query.distance(matrix.rows, matrix.count), slot);
    }
}

void scan_allowed(const TokenRows& table, const MaxSimQuery& query, const AllowWords& allow,
                  Nearest& nearest) {
    for (size_t word = 0; word < allow.word_count; ++word) {
        for (uint64_t bits = allow.words[word]; bits != 0; bits &= bits - 1) {
            uint32_t slot = table.slot_of(uint32_t(word * 64 + size_t(std::countr_zero(bits))));
            if (slot == kNoSlot) continue;
            TokenRows::Matrix matrix = table.matrix_of(slot);
            nearest.push(query.distance(matrix.rows, matrix.count), slot);
        }
    }
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
    return made;
}

void MultiVectorIndex::set_codes(const std::optional<CodeSettings>& codes) {
    std::lock_guard guard(writer_mutex_);
    State state = this->state();
    if (codes) check_codes(*codes, Metric::dot, 0);
    if (state.candidates != nullptr) state.candidates->graph().set_codes(codes);
    codes_ = codes;
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
    state = {table, nullptr};
}

void MultiVectorIndex::add(const uint32_t* docs, const float* rows, size_t count,
                           size_t dimensions) {
    std::lock_guard guard(writer_mutex_);
    State state = this->state();
    if (count == 0) return;
    check_new(state.table.get(), docs, rows, count, dimensions);
    if (state.table == nullptr) state.table = std::make_shared<TokenRows>(uint32_t(dimensions));
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
    } else if (table.dead_rows() >= kDeadRowsMin && table.dead_rows() > table.live_rows()) {
        auto smaller = std::make_shared<TokenRows>(table.dimensions());
        smaller->take_over(table, TokenRows::Tokens::keep);
        set_state({smaller, state.candidates});
    }
    return erased;
}

std::vector<float> MultiVectorIndex::prepared_query(const TokenRows& table, const float* query,
                                                    size_t rows, size_t dimensions) const {
    if (rows == 0) throw std::invalid_argument("the query has no rows");
    if (dimensions != table.dimensions()) throw DimensionError(dimensions, table.dimensions());
    if (!is_finite(query, rows * dimensions))
        throw std::invalid_argument("the query vector holds a value that is not finite");
    std::vector<float> ready(query, query + rows * dimensions);
    if (settings_.metric == Metric::cosine)
        for (size_t at = 0; at < rows; ++at)
            normalise(query + at * dimensions, dimensions, ready.data() + at * dimensions);
    return ready;
}

Found MultiVectorIndex::search(const MultiVectorRequest& request) const {
    State state = this->state();
    Found found;
    if (state.table == nullptr) return found;
    const TokenRows& table = *state.table;
    std::vector<float> query =
        prepared_query(table, request.query, request.rows, request.dimensions);
    if (request.k == 0 || std::isnan(request.distance_max)) return found;
    MaxSimQuery packed(query.data(), request.rows, request.dimensions);
    size_t eligible = table.live();
    if (request.allow) eligible = std::min(eligible, request.allow->allowed);
    Nearest nearest;
    bool is_found = !is_exact(state, request, eligible) &&
                    measure_candidates(state, request, query.data(), packed, eligible, nearest);
    if (!is_found) {
        nearest.reset(request.k, request.distance_max);
        if (request.allow)
            scan_allowed(table, packed, *request.allow, nearest);
        else
            scan(table, packed, nearest);
    }
    for (const Near& near : nearest.sorted()) {
        found.docs.push_back(table.doc_of(near.slot));
        found.distances.push_back(near.distance);
    }
    return found;
}

CandidateRequest MultiVectorIndex::candidates_for(const State& state,
                                                  const MultiVectorRequest& request,
                                                  const float* query) const {
    CandidateRequest wanted;
    wanted.query = query;
    wanted.rows = request.rows;
    wanted.ef = std::max(request.ef, request.k);
    wanted.wanted = state.candidates->wanted(request.k, wanted.ef);
    wanted.allow = request.allow ? &*request.allow : nullptr;
    wanted.table = state.table.get();
    return wanted;
}

// Whether a scan of the allowed docs is less work than finding candidates and measuring those.
bool MultiVectorIndex::is_exact(const State& state, const MultiVectorRequest& request,
                                size_t eligible) const {
    if (state.candidates == nullptr || request.route == Route::exact) return true;
    if (request.route == Route::candidates) return false;
    const TokenRows& table = *state.table;
    double lanes = double((request.rows + kMaxSimLanes - 1) / kMaxSimLanes * kMaxSimLanes);
    double live = double(std::max(table.live(), 1u));
    double doc = double(table.live_rows()) / live * lanes * double(table.dimensions());
    CandidateRequest wanted = candidates_for(state, request, nullptr);
    double candidates = state.candidates->cost(wanted, double(eligible) / live);
    return double(eligible) * doc <= candidates + double(wanted.wanted) * doc;
}

// False where there were fewer than asked for, although there are more.
bool MultiVectorIndex::measure_candidates(const State& state, const MultiVectorRequest& request,
                                          const float* query, const MaxSimQuery& packed,
                                          size_t eligible, Nearest& nearest) const {
    CandidateRequest wanted = candidates_for(state, request, query);
    nearest.reset(request.k, std::numeric_limits<float>::infinity());
    for (uint32_t doc : state.candidates->gather(wanted)) {
        uint32_t slot = state.table->slot_of(doc);
        if (slot == kNoSlot) continue;
        TokenRows::Matrix matrix = state.table->matrix_of(slot);
        nearest.push(packed.distance(matrix.rows, matrix.count), slot);
    }
    if (nearest.size() < std::min(request.k, eligible)) return false;
    nearest.drop_beyond(request.distance_max);
    return true;
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

void MultiVectorIndex::close() {
    State state;
    std::lock_guard guard(state_mutex_);
    closed_ = true;
    std::swap(state, state_);
}

}  // namespace weft
