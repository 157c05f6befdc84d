// Graph: its memory, appends, deletions, lookups and exact scans.
#include "graph.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace weft {
namespace {

// Rows of more than a cache line begin on one, so that no load of a kernel crosses two.
uint32_t stride_of(uint32_t dimensions) {
    uint32_t unit = dimensions > 64 ? 16 : 4;
    return (dimensions + unit - 1) / unit * unit;
}

uint64_t mixed(uint64_t value) {  // splitmix64
    value += 0x9E3779B97F4A7C15ull;
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ull;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBull;
    return value ^ (value >> 31);
}

constexpr size_t kScanBlock = 64;
constexpr int kScanRoundsMax = 64;  // each is far shorter than what was written meanwhile took

}  // namespace

Scratch& Scratch::of_this_thread() {
    thread_local Scratch scratch;
    return scratch;
}

Graph::Graph(const GraphSettings& settings)
    : settings_(settings),
      stride_(stride_of(settings.dimensions)),
      upper_links_(std::max(2u, settings.links / 2)),
      level_factor_(1.0 / std::log(double(std::max(2u, settings.links / 2)))),
      distance_(&distance_for(settings.metric)),
      rows_(stride_),
      nodes_(1),
      base_(settings.links),
      upper_(upper_links_),
      slots_by_doc_(1, Filling::sparse) {}

size_t Graph::memory_bytes() const {
    size_t slots = count();
    size_t bytes =
        sizeof(Graph) + slots * (sizeof(Node) + sizeof(Link)) + rows_.resident_bytes(slots);
    std::shared_ptr<CodeTable> table = code_table();
    if (table != nullptr) bytes += table->rows.resident_bytes(slots) + table->codes->memory_bytes();
    if (std::shared_ptr<Sketches> sketches = this->sketches()) bytes += sketches->memory_bytes();
    if (linked() > 0)
        bytes += base_.resident_bytes(slots) + slots / upper_links_ * upper_.row_bytes();
    return bytes;
}

void Graph::append(const uint32_t* docs, const float* rows, size_t count) {
    uint32_t first = count_.load(std::memory_order_relaxed);
    if (count > kSlotsMax - first) throw std::length_error("a shard holds at most 2^31 vectors");
    std::vector<std::shared_ptr<CodeTable>> tables = code_tables();
    for (const std::shared_ptr<CodeTable>& table : tables) table->rows.grow(first, count);
    rows_.grow(first, count);
    nodes_.grow(first, count);
    for (size_t at = 0; at < count; ++at) slots_by_doc_.grow(docs[at], 1);
    for (size_t at = 0; at < count; ++at) {
        uint32_t slot = first + uint32_t(at);
        std::memcpy(rows_.row(slot), rows + at * settings_.dimensions,
                    settings_.dimensions * sizeof(float));
        Node* node = nodes_.row(slot);
        set_doc(slot, docs[at]);
        node->level = uint8_t(level_for(slot));
    }
    for (const std::shared_ptr<CodeTable>& table : tables)
        encode(*table, first, first + uint32_t(count));
    // Only now may others see them.
    count_.store(first + uint32_t(count), std::memory_order_release);
    for (size_t at = 0; at < count; ++at)
        slots_by_doc_.row(docs[at])->store(first + uint32_t(at) + 1, std::memory_order_release);
}

std::shared_ptr<CodeTable> Graph::code_table() const {
    if (!has_codes_.load(std::memory_order_acquire)) return nullptr;
    std::lock_guard guard(codes_mutex_);
    return codes_;
}

std::shared_ptr<Sketches> Graph::sketches() const {
    if (!has_sketches_.load(std::memory_order_acquire)) return nullptr;
    std::lock_guard guard(codes_mutex_);
    return sketches_;
}

void Graph::set_sketches(std::shared_ptr<Sketches> sketches) {
    bool is_there = sketches != nullptr;
    {
        std::lock_guard guard(codes_mutex_);
        sketches_.swap(sketches);  // the old ones go after the lock
    }
    has_sketches_.store(is_there, std::memory_order_release);
}

// All that a search can be walking over: the present one, and former ones that are still held. A
// walk may meet a slot that came after it began, whatever table it holds.
std::vector<std::shared_ptr<CodeTable>> Graph::code_tables() {
    std::vector<std::shared_ptr<CodeTable>> tables;
    std::lock_guard guard(codes_mutex_);
    if (codes_ != nullptr) tables.push_back(codes_);
    std::erase_if(old_codes_, [](const std::weak_ptr<CodeTable>& old) { return old.expired(); });
    for (const std::weak_ptr<CodeTable>& old : old_codes_)
        if (std::shared_ptr<CodeTable> held = old.lock()) tables.push_back(std::move(held));
    return tables;
}

void Graph::set_code_table(std::shared_ptr<CodeTable> table) {
    bool is_there = table != nullptr;
    {
        std::lock_guard guard(codes_mutex_);
        codes_.swap(table);  // the old codes go after the lock
        if (table != nullptr) old_codes_.push_back(table);
    }
    has_codes_.store(is_there, std::memory_order_release);
}

void Graph::encode(CodeTable& table, uint32_t begin, uint32_t end) const {
    constexpr uint32_t kBlock = 64;
    const float* rows[kBlock];
    float* codes[kBlock];
    CodeQuestion& spare = Scratch::of_this_thread().question;
    while (begin < end) {
        const uint32_t size = std::min(kBlock, end - begin);
        for (uint32_t at = 0; at < size; ++at) {
            rows[at] = rows_.row(begin + at);
            codes[at] = table.rows.row(begin + at);
        }
        table.codes->encode_many(rows, codes, size, spare);
        begin += size;
    }
}

bool Graph::erase(uint32_t doc) {
    uint32_t slot = slot_of(doc);
    if (slot == kNoSlot) return false;
    nodes_.row(slot)->flags.fetch_or(kDeleted | kChanged, std::memory_order_release);
    deleted_.fetch_add(1, std::memory_order_release);
    return true;
}

uint64_t Graph::docs_end() const {
    uint64_t end = 0;
    for (uint32_t slot = 0; slot < count(); ++slot) end = std::max(end, uint64_t(doc_of(slot)) + 1);
    return end;
}

uint32_t Graph::slot_of(uint32_t doc) const {
    const Link* cell = slots_by_doc_.row_or_null(doc);
    uint32_t word = cell == nullptr ? 0 : cell->load(std::memory_order_acquire);
    if (word == 0 || is_deleted(word - 1)) return kNoSlot;
    return word - 1;
}

int Graph::level_for(uint32_t slot) const {
    double uniform = double((mixed(settings_.seed ^ mixed(slot)) >> 11) + 1) * 0x1p-53;
    return std::min(int(-std::log(uniform) * level_factor_), kLevelMax);
}

Graph::Entry Graph::entry() const {
    uint64_t word = entry_.load(std::memory_order_acquire);
    return {uint32_t(word), int(word >> 32) - 1};
}

Graph::Link* Graph::links_of(uint32_t slot, int level) const {
    if (level == 0) return base_.row(slot);
    const Node* node = nodes_.row(slot);
    uint32_t first = node->upper.load(std::memory_order_acquire);
    if (first == 0 || level > node->level) return nullptr;
    return upper_.row(first - 1 + uint32_t(level - 1));
}

void Graph::scan(const Measure& measure, uint32_t begin, uint32_t end, const AllowWords* allow,
                 Scratch& scratch) const {
    scratch.slots.clear();
    for (uint32_t slot = begin; slot < end; ++slot) {
        const Node* node = nodes_.row(slot);
        // Acquire: who sees a deletion sees the vector in its place, too (`scan_from`).
        if ((node->flags.load(std::memory_order_acquire) & kDeleted) != 0) continue;
        if (allow != nullptr && !allow->has(node->doc)) continue;
        scratch.slots.push_back(slot);
        if (scratch.slots.size() == kScanBlock) scan_rows(measure, scratch);
    }
    scan_rows(measure, scratch);
}

void Graph::scan_from(const Measure& measure, uint32_t begin, const AllowWords* allow,
                      Scratch& scratch) const {
    uint32_t end = count();
    scan(measure, begin, end, allow, scratch);
    for (int round = 0; round < kScanRoundsMax; ++round) {
        uint32_t now = count();
        if (now == end) return;
        scan(measure, end, now, allow, scratch);
        end = now;
    }
}

void Graph::scan_allowed(const Measure& measure, const AllowWords& allow, Scratch& scratch) const {
    scratch.slots.clear();
    for (size_t word = 0; word < allow.word_count; ++word) {
        for (uint64_t bits = allow.words[word]; bits != 0; bits &= bits - 1) {
            uint32_t slot = slot_of(uint32_t(word * 64 + size_t(std::countr_zero(bits))));
            if (slot == kNoSlot) continue;
            measure.prefetch(measure.row(slot));
            scratch.slots.push_back(slot);
            if (scratch.slots.size() == kScanBlock) scan_rows(measure, scratch);
        }
    }
    scan_rows(measure, scratch);
}

bool Graph::all_allowed(Scratch& scratch, const AllowWords& allow) const {
    for (const Near& near : scratch.nearest.sorted())
        if (!allow.has(doc_of(near.slot))) return false;
    return true;
}

void Graph::measure_slots(const Measure& measure, Scratch& scratch) const {
    size_t count = scratch.slots.size();
    if (scratch.rows.size() < count) scratch.rows.resize(count);
    if (scratch.distances.size() < count) scratch.distances.resize(count);
    for (size_t at = 0; at < count; ++at) scratch.rows[at] = measure.row(scratch.slots[at]);
    measure.many(scratch.rows.data(), count, scratch.distances.data());
}

// Takes the block in scratch.slots and empties it.
void Graph::scan_rows(const Measure& measure, Scratch& scratch) const {
    size_t count = scratch.slots.size();
    measure_slots(measure, scratch);
    for (size_t at = 0; at < count; ++at)
        scratch.nearest.push(scratch.distances[at], scratch.slots[at]);
    scratch.effort.distances += count;
    scratch.slots.clear();
}

}  // namespace weft
