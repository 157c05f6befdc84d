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
    uint32_t slots = table.slots();
    for (uint32_t slot = 0; slot < slots; ++slot) {
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

std::shared_ptr<TokenRows> MultiVectorIndex::table() const {
    std::lock_guard guard(table_mutex_);
    if (closed_) throw ClosedError();
    return table_;
}

void MultiVectorIndex::set_table(std::shared_ptr<TokenRows> table) {
    // The old table goes after the lock: giving back its memory takes a while.
    std::lock_guard guard(table_mutex_);
    table_.swap(table);
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

void MultiVectorIndex::add(const uint32_t* docs, const float* rows, size_t count,
                           size_t dimensions) {
    std::lock_guard guard(writer_mutex_);
    std::shared_ptr<TokenRows> table = this->table();
    if (count == 0) return;
    check_new(table.get(), docs, rows, count, dimensions);
    bool fresh = table == nullptr;
    if (fresh) table = std::make_shared<TokenRows>(uint32_t(dimensions));
    for (size_t first = 0, end = 0; first < count; first = end) {
        for (end = first + 1; end < count && docs[end] == docs[first];) ++end;
        table->append(docs[first], rows + first * dimensions, uint32_t(end - first), 0);
    }
    if (fresh) set_table(table);
}

size_t MultiVectorIndex::erase(const uint32_t* docs, size_t count) {
    std::lock_guard guard(writer_mutex_);
    std::shared_ptr<TokenRows> table = this->table();
    if (table == nullptr) return 0;
    size_t erased = 0;
    for (size_t at = 0; at < count; ++at) erased += table->erase(docs[at]) ? 1 : 0;
    if (table->live() == 0) {
        set_table(nullptr);
    } else if (table->dead_rows() >= kDeadRowsMin && table->dead_rows() > table->live_rows()) {
        auto smaller = std::make_shared<TokenRows>(table->dimensions());
        smaller->take_over(*table);
        set_table(smaller);
    }
    return erased;
}

MaxSimQuery MultiVectorIndex::prepared_query(const TokenRows& table, const float* query,
                                             size_t rows, size_t dimensions) const {
    if (rows == 0) throw std::invalid_argument("the query has no rows");
    if (dimensions != table.dimensions()) throw DimensionError(dimensions, table.dimensions());
    if (!is_finite(query, rows * dimensions))
        throw std::invalid_argument("the query vector holds a value that is not finite");
    std::vector<float> ready(query, query + rows * dimensions);
    if (metric_ == Metric::cosine)
        for (size_t at = 0; at < rows; ++at)
            normalise(query + at * dimensions, dimensions, ready.data() + at * dimensions);
    return MaxSimQuery(ready.data(), rows, dimensions);
}

Found MultiVectorIndex::search(const MultiVectorRequest& request) const {
    std::shared_ptr<TokenRows> table = this->table();
    Found found;
    if (table == nullptr) return found;
    MaxSimQuery query = prepared_query(*table, request.query, request.rows, request.dimensions);
    if (request.k == 0 || std::isnan(request.distance_max)) return found;
    Nearest nearest;
    nearest.reset(request.k, request.distance_max);
    if (request.allow)
        scan_allowed(*table, query, *request.allow, nearest);
    else
        scan(*table, query, nearest);
    for (const Near& near : nearest.sorted()) {
        found.docs.push_back(table->doc_of(near.slot));
        found.distances.push_back(near.distance);
    }
    return found;
}

void MultiVectorIndex::distances(const float* query, size_t rows, size_t dimensions,
                                 const uint32_t* docs, size_t count, float* out) const {
    std::shared_ptr<TokenRows> table = this->table();
    std::fill(out, out + count, std::numeric_limits<float>::quiet_NaN());
    if (table == nullptr) return;
    MaxSimQuery ready = prepared_query(*table, query, rows, dimensions);
    for (size_t at = 0; at < count; ++at) {
        uint32_t slot = table->slot_of(docs[at]);
        if (slot == kNoSlot) continue;
        TokenRows::Matrix matrix = table->matrix_of(slot);
        out[at] = ready.distance(matrix.rows, matrix.count);
    }
}

size_t MultiVectorIndex::dimensions() const {
    std::shared_ptr<TokenRows> table = this->table();
    return table == nullptr ? 0 : table->dimensions();
}

size_t MultiVectorIndex::count() const {
    std::shared_ptr<TokenRows> table = this->table();
    return table == nullptr ? 0 : table->live();
}

size_t MultiVectorIndex::row_count() const {
    std::shared_ptr<TokenRows> table = this->table();
    return table == nullptr ? 0 : table->live_rows();
}

size_t MultiVectorIndex::memory_bytes() const {
    std::shared_ptr<TokenRows> table = this->table();
    return sizeof(MultiVectorIndex) + (table == nullptr ? 0 : table->memory_bytes());
}

void MultiVectorIndex::close() {
    std::shared_ptr<TokenRows> table;
    std::lock_guard guard(table_mutex_);
    closed_ = true;
    table.swap(table_);
}

}  // namespace weft
