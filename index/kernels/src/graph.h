// Graph: vectors of one shard and the HNSW links between them (Malkov & Yashunin, 2016).
//
// A vector gets the next slot when it is added and keeps it. Slots below `linked()` are reachable
// through links; those above are the tail, which searches scan. Layer 0 has up to `links` links a
// node, upper layers half of that. A link list is a row of words, slot + 1 each, zero after the
// last. A list is written in place: a reader may see links of before and after mixed, every one of
// them leads to a node that exists, and no reader ever waits.
//
// Concurrency: one writer appends and marks deletions; `link` runs on any number of threads, each
// slot once; searches run beside all of it. Linkers lock the one node whose list they change.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "allow_words.h"
#include "chunks.h"
#include "distance.h"
#include "measure.h"
#include "nearest.h"
#include "sketches.h"

namespace weft {

struct GraphSettings {
    Metric metric = Metric::cosine;
    uint32_t dimensions = 0;
    uint32_t links = 32;
    uint32_t ef_construction = 128;
    uint64_t seed = 0;  // of the levels; also tells the files of one vector space from another's
};

constexpr uint32_t kNoSlot = 0xFFFFFFFFu;
constexpr int kLevelMax = 24;
constexpr uint32_t kSlotsMax = (uint32_t{1} << 31) - 1;  // Beam keeps a flag in the top bit

// What a search has cost so far.
struct Effort {
    size_t visited = 0;    // nodes that a walk has met, measured or passed through
    size_t distances = 0;  // between the query and a vector
    size_t tests = 0;      // whether a node is allowed
    size_t places = 0;     // in the beam of a filtered walk
    bool is_far = false;   // what is allowed lies far from the query

    // For walks that measure every node they meet.
    void count_visits(size_t count) {
        visited += count;
        distances += count;
    }
};

// Memory that a thread reuses from search to search.
struct Scratch {
    Effort effort;
    std::optional<Near> entered;  // where a look around has come to, for the walk of its search
    Visited visited;
    Beam beam;
    SiftedBeam sifted;
    Nearest nearest;
    std::vector<Near> heap;
    std::vector<Near> results;
    std::vector<Near> candidates;
    std::vector<Near> chosen;
    std::vector<uint32_t> slots;
    std::vector<uint32_t> passed;
    std::vector<const float*> rows;
    std::vector<float> distances;
    std::vector<float> query;
    CodeQuestion question;  // the query of the search, or the node that is linked
    CodeQuestion between;   // another node
    SketchQuestion sketch_question;
    std::vector<uint32_t> seen;    // by a sketched scan
    std::vector<float> promises;   // of what it has seen
    std::vector<uint32_t> places;  // among them
    std::vector<uint32_t> closer;  // what it looks at more closely
    std::vector<uint32_t> tried;   // what it may measure before the rest
    std::vector<float> fine;       // promises of that

    static Scratch& of_this_thread();
};

// A walk among the allowed docs.
struct FilteredWalk {
    AllowWords allow;
    size_t k = 0;
    size_t ef = 0;
    uint32_t tail_begin = 0;  // nodes from here on are scanned, not walked to
    double budget = 0;        // distances after which it gives up
    bool goes_far = true;     // or gives up where what is allowed lies far from the query
};

class Graph {
  public:
    explicit Graph(const GraphSettings& settings);

    const GraphSettings& settings() const { return settings_; }
    uint32_t count() const { return count_.load(std::memory_order_acquire); }
    uint32_t linked() const { return linked_.load(std::memory_order_acquire); }
    uint32_t deleted() const { return deleted_.load(std::memory_order_acquire); }
    uint32_t live() const {
        // In this order: a writer that replaces every doc between the two would leave none.
        uint32_t gone = deleted();
        return count() - gone;
    }
    size_t memory_bytes() const;

    // --- the writer -------------------------------------------------------------------------
    // Appends rows that are ready for the metric (cosine: normalised).
    void append(const uint32_t* docs, const float* rows, size_t count);
    // Takes codes of every slot into use, or none (null). What is appended later is encoded.
    void set_code_table(std::shared_ptr<CodeTable> table);
    // Makes the codes of slots [begin, end); threads may share a table, each with slots of its own.
    void encode(CodeTable& table, uint32_t begin, uint32_t end) const;
    // Rows that are to leave memory, or come back: the table they are in.
    Chunks<float>& rows() { return rows_; }
    bool can_rows_leave() const { return rows_.can_leave(count()); }
    bool has_rows_in_file() const { return rows_.has_file(); }
    bool has_misplaced_rows() const { return rows_.misplaced(count()).has_value(); }
    // Marks a doc as deleted; false where there is none or it was deleted before.
    bool erase(uint32_t doc);

    // --- linkers ----------------------------------------------------------------------------
    // Takes up to `count` slots that wait, [begin, end); empty where none do. Raises std::bad_alloc
    // and takes none then.
    struct Span {
        uint32_t begin;
        uint32_t end;
    };
    Span claim(uint32_t count);
    bool has_unclaimed() const {
        return claimed_.load(std::memory_order_relaxed) < count() || has_returned_.load();
    }
    void link(uint32_t slot);
    // Tells that every slot of a claimed span is linked; moves `linked` on where it can.
    void finish(Span span);
    // The same of a span whose slots from `at` on could not be linked: they wait again.
    void give_back(Span span, uint32_t at) noexcept;

    // --- searches: `query` is ready for the metric ------------------------------------------
    Measure measure(const float* query) const;
    // By the codes of a table, or by the vectors where it is null.
    Measure measure_vector(const CodeTable* table, const float* vector,
                           CodeQuestion& question) const;
    // The codes of all slots, or null; held for as long as something measures with them.
    std::shared_ptr<CodeTable> code_table() const;
    // Sketches of the first slots, or null; made beside searches, by one thread at a time.
    std::shared_ptr<Sketches> sketches() const;
    bool has_sketches() const { return has_sketches_.load(std::memory_order_acquire); }
    bool has_codes() const { return has_codes_.load(std::memory_order_acquire); }
    void set_sketches(std::shared_ptr<Sketches> sketches);
    uint32_t slot_of(uint32_t doc) const;  // kNoSlot where there is none or it is deleted
    uint32_t doc_of(uint32_t slot) const { return nodes_.row(slot)->doc; }
    uint64_t docs_end() const;  // one more than the largest doc id of any slot; 0 without slots
    bool is_deleted(uint32_t slot) const {
        return (nodes_.row(slot)->flags.load(std::memory_order_acquire) & kDeleted) != 0;
    }
    const float* vector_of(uint32_t slot) const { return rows_.row(slot); }
    // Walks the links into scratch.nearest. False where it gave up because more than
    // `visits_max` nodes were met.
    bool walk(const Measure& measure, size_t ef, const AllowWords* allow, uint32_t tail_begin,
              size_t visits_max, Scratch& scratch) const;
    // Walks from allowed nodes to allowed nodes (graph_filtered.cpp) into scratch.nearest. False
    // where it gave up, because it cost more than its budget.
    bool walk_allowed(const Measure& measure, const FilteredWalk& walk, Scratch& scratch) const;
    // The share of the live nodes nearest to the query that is allowed; -1 where there are none.
    // The walk of the same search begins there.
    double share_nearest(const Measure& measure, const AllowWords& allow, Scratch& scratch) const;
    // Scans slots [begin, end) into scratch.nearest.
    void scan(const Measure& measure, uint32_t begin, uint32_t end, const AllowWords* allow,
              Scratch& scratch) const;
    // Scans from `begin` to the end, which moves while vectors come in: a doc that is replaced
    // meanwhile is met with its old vector or with its new one.
    void scan_from(const Measure& measure, uint32_t begin, const AllowWords* allow,
                   Scratch& scratch) const;
    // Measures scratch.slots into scratch.distances, as searches do.
    void measure_slots(const Measure& measure, Scratch& scratch) const;
    // Whether every doc in scratch.nearest is allowed.
    bool all_allowed(Scratch& scratch, const AllowWords& allow) const;
    // Scans the allowed docs, whatever their slot.
    void scan_allowed(const Measure& measure, const AllowWords& allow, Scratch& scratch) const;

  private:
    friend class CommitLog;
    friend class Compaction;
    friend class Snapshot;
    using Link = std::atomic<uint32_t>;

    struct Node {
        uint32_t doc;
        std::atomic<uint32_t> upper;  // number of its first upper list + 1, 0 for none
        std::atomic<uint8_t> flags;
        std::atomic<uint8_t> lock;
        uint8_t level;
    };
    static constexpr uint8_t kDeleted = 1;
    static constexpr uint8_t kLinked = 2;
    static constexpr uint8_t kChanged = 4;  // since it was last written to a file

    struct Entry {
        uint32_t slot;
        int level;  // -1: the graph is empty
    };

    void mark_linked(Span span);
    Entry entry() const;
    int level_for(uint32_t slot) const;
    uint32_t width_of(int level) const { return level == 0 ? settings_.links : upper_links_; }
    Link* links_of(uint32_t slot, int level) const;
    void reserve_upper(uint32_t slot, int level);
    Near descend(const Measure& measure, Near from, int level_from, int level_to,
                 Scratch& scratch) const;
    std::optional<Near> enter(const Measure& measure, Scratch& scratch) const;
    void prefetch_links(uint32_t slot) const;
    void search_layer(const Measure& measure, Near from, size_t ef, int level,
                      Scratch& scratch) const;
    size_t gather(const Measure& measure, uint32_t slot, int level, Scratch& scratch) const;
    template <class Accept>
    bool walk_sifting(const Measure& measure, Near from, size_t ef, const Accept& accept,
                      size_t visits_max, Scratch& scratch) const;
    template <class Accept>
    bool walk_heaps(const Measure& measure, size_t ef, const Accept& accept, size_t visits_max,
                    Scratch& scratch) const;
    std::vector<std::shared_ptr<CodeTable>> code_tables();
    void set_doc(uint32_t slot, uint32_t doc) {
        nodes_.row(slot)->doc = doc;
        if (doc != slot) slots_are_docs_.store(false, std::memory_order_release);
    }
    bool slots_are_docs() const { return slots_are_docs_.load(std::memory_order_acquire); }
    void sample_allowed(const Measure& measure, const AllowWords& allow, uint64_t luck,
                        uint32_t tail_begin, Scratch& scratch) const;
    void insert_measured(const Measure& measure, Scratch& scratch) const;
    template <class Allowed>
    double share_around(uint32_t slot, const Allowed& allowed, Scratch& scratch) const;
    template <class Allowed>
    void gather_allowed(const Measure& measure, uint32_t slot, const Allowed& allowed,
                        Scratch& scratch) const;
    template <class Allowed>
    bool walk_through(const Measure& measure, const FilteredWalk& walk, const Allowed& allowed,
                      Scratch& scratch) const;
    Measure measure_slot(const CodeTable* table, uint32_t slot, CodeQuestion& question) const;
    void measure_again(uint32_t slot, Scratch& scratch) const;
    void choose(const CodeTable* table, std::vector<Near>& candidates, size_t most,
                std::vector<Near>& chosen, Scratch& scratch) const;
    void add_link(const CodeTable* table, uint32_t from, Near to, int level, Scratch& scratch);
    void scan_rows(const Measure& measure, Scratch& scratch) const;

    GraphSettings settings_;
    uint32_t stride_;
    uint32_t upper_links_;
    double level_factor_;
    const Distance* distance_;
    Chunks<float> rows_;
    mutable std::mutex codes_mutex_;
    std::shared_ptr<CodeTable> codes_;
    std::vector<std::weak_ptr<CodeTable>> old_codes_;  // searches may still walk over them
    std::atomic<bool> has_codes_{false};
    std::shared_ptr<Sketches> sketches_;  // under codes_mutex_
    std::atomic<bool> has_sketches_{false};
    Chunks<Node> nodes_;
    Chunks<Link> base_;
    Chunks<Link> upper_;
    Chunks<Link> slots_by_doc_;  // slot + 1
    std::atomic<uint32_t> count_{0};
    std::atomic<uint32_t> linked_{0};
    std::atomic<uint32_t> deleted_{0};
    std::atomic<bool> slots_are_docs_{true};  // every doc's slot is its own number
    std::atomic<uint64_t> entry_{0};          // (level + 1) << 32 | slot, 0 while empty
    std::mutex entry_mutex_;
    std::mutex claim_mutex_;
    std::atomic<uint32_t> claimed_{0};
    uint32_t out_ = 0;            // spans that are being linked
    std::vector<Span> returned_;  // has room for all of them
    std::atomic<bool> has_returned_{false};
    std::mutex finish_mutex_;
    mutable std::mutex upper_mutex_;
    uint32_t upper_count_ = 0;
    double worn_nodes_ = 0;  // sum of the nodes' wear (compaction.cpp); set before it is shared
};

}  // namespace weft
