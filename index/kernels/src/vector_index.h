// VectorIndex: one vector space of one shard; a graph, its writer's order, its background work.
//
// A search goes the way that search_plan.h chooses, and always scans the tail. Where deleted slots
// have become too many, a compacted copy takes the place of the graph.
//
// Concurrency: writers take turns behind one mutex. Searches hold the graph they began with; the
// only lock they touch guards the copy of that pointer.
#pragma once

#include <atomic>
#include <condition_variable>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "code_file.h"
#include "commit_log.h"
#include "compaction.h"
#include "exact_scan.h"
#include "graph.h"
#include "link_pool.h"
#include "search_costs.h"
#include "search_plan.h"

namespace weft {

struct IndexSettings {
    GraphSettings graph;       // its dimensions are those of the first rows
    uint32_t link_min = 1024;  // fewer vectors are scanned, never linked; the top value: flat
    uint32_t flat_until = 0;   // no links before more than so many are live; then, for good
};

// The index compacts itself above this share of deleted slots: memory stays within 1.2 times of
// what the live vectors need.
constexpr double kDeletedShareMax = 1.0 / 7;

// What a user has set about filtered searches.
struct SearchBounds {
    size_t flat_search_cutoff = 0;
    bool is_cutoff_set = false;  // otherwise costs decide, not the cutoff
    FilterStrategy strategy = FilterStrategy::free;
};

struct SearchRequest {
    const float* query = nullptr;
    size_t dimensions = 0;
    size_t k = 0;
    size_t ef = 0;
    std::optional<AllowWords> allow;
    SearchBounds bounds;
    float distance_max = std::numeric_limits<float>::infinity();
    bool rescores = true;  // with codes: measures the finds by their vectors
};

// How a search went, for whoever asks why it was fast or slow.
struct Explanation {
    SearchPlan plan;
    bool gave_up = false;  // the planned walk was not enough; a scan answered
    Effort effort;
};

struct Found {
    std::vector<uint32_t> docs;
    std::vector<float> distances;
    Explanation explanation;
};

// A vector of another length than those in the index.
struct DimensionError : std::invalid_argument {
    DimensionError(size_t given, size_t stored)
        : std::invalid_argument("vector lengths don't match: " + std::to_string(stored) + " vs " +
                                std::to_string(given)) {}
};

// Use after close.
struct ClosedError : std::runtime_error {
    ClosedError() : std::runtime_error("the vector index is closed") {}
};

class VectorIndex : public LinkWork, public std::enable_shared_from_this<VectorIndex> {
  public:
    explicit VectorIndex(const IndexSettings& settings)
        : settings_(settings), flat_until_(settings.flat_until) {}

    const IndexSettings& settings() const { return settings_; }
    // Raises DimensionError or std::invalid_argument (not finite, not new) before any change.
    void add(const uint32_t* docs, const float* rows, size_t count, size_t dimensions);
    size_t erase(const uint32_t* docs, size_t count);
    Found search(const SearchRequest& request) const;
    // The same of all vectors, measured by themselves, in parts that the caller takes.
    ExactScan begin_exact(const float* query, size_t dimensions, size_t k) const;
    void distances(const float* query, size_t dimensions, const uint32_t* docs, size_t count,
                   float* out) const;
    bool copy_vector(uint32_t doc, std::vector<float>& out) const;
    // Asks for codes of a kind, or for none; searches go on with what there is until they are made.
    // Raises std::invalid_argument where the metric or the dimensions do not allow them.
    void set_codes(const std::optional<CodeSettings>& settings);
    // Lets vectors that codes stand for leave memory, for a nameless file in `directory`.
    void set_row_directory(const std::string& directory);
    // The codes that searches use now, or null.
    std::shared_ptr<const Codes> codes() const;
    // Whether a rescore limit asks for more than what codes say.
    bool has_rescore_limit() const { return rescore_limit_.load(std::memory_order_relaxed) != 0; }
    // Why the codes that were asked for could not be made; empty where they could.
    std::string codes_fault() const;
    // What was wrong with the code file when it was loaded; empty where nothing was.
    std::string code_file_fault() const;
    // Codes that no file has, because they were made since the last save for another kind or graph.
    size_t unsaved_codes() const;
    size_t dimensions() const;  // 0 while there are no vectors
    size_t count() const;
    size_t deleted() const;
    size_t pending() const;
    size_t memory_bytes() const;
    // What a running compaction holds beside that, and what it will still take.
    struct CompactionBytes {
        size_t held = 0;
        size_t coming = 0;
    };
    CompactionBytes compaction_bytes() const;
    // Brings the files at `path` up to date: appends to the log, or writes a new snapshot where
    // there is none or the log would become too long. An index without vectors removes them.
    void save(const std::string& path);
    // Takes over a snapshot and its log and gives the live docs that it lacks. Requires: nothing
    // was added.
    std::vector<uint32_t> load(const std::string& path, const AllowWords& live);
    // One more than the largest doc id, deleted or not, in the files that were loaded; 0 without.
    uint64_t docs_end() const { return docs_end_.load(std::memory_order_relaxed); }
    // Begins to give deleted slots back if they are more than this share of all; the index does so
    // by itself for a larger share.
    void compact(double share);
    // What that would take while it lasts; zeros where there is nothing to begin.
    struct CompactionRoom {
        size_t memory = 0;
        size_t disk = 0;  // in the row directory
    };
    CompactionRoom compaction_room(double share) const;
    // A compaction that takes more memory than this, or any of the disk, begins when it is asked
    // for, not by itself.
    void set_own_compaction_max(size_t bytes) { own_compaction_max_.store(bytes); }
    uint64_t compactions() const { return compactions_.load(std::memory_order_relaxed); }
    uint64_t log_bytes() const { return log_bytes_.load(std::memory_order_relaxed); }
    // Why the log was cut when it was loaded; empty where it was not.
    std::string log_fault() const;
    // Raises std::runtime_error where linking has failed.
    bool wait_indexed(double timeout_s) const;
    // Why work in the background rests: a slice of it failed. Searches scan what has no links.
    std::string link_fault() const;
    // Lets it go on; nothing where it did not fail.
    void retry_links();
    void close();
    // 0 where links are made. Setting it moves the threshold of an index that has not passed it.
    uint32_t flat_until() const { return flat_until_.load(std::memory_order_acquire); }
    void set_flat_until(uint32_t live);

    bool has_work() const override;
    void left_queue() noexcept override;
    void run_slice() noexcept override;

  private:
    // Codes on their way: learning from a sample, then row by row; threads share the parts.
    struct Encoding {
        std::shared_ptr<Graph> graph;
        CodeSettings settings;
        size_t learned_from = 0;
        std::unique_ptr<CodeTraining> training;  // null where it has learned
        std::shared_ptr<CodeTable> table;        // null while it learns
        uint32_t at = 0;       // first step of the training, or slot, that nobody has claimed
        uint32_t running = 0;  // claimed parts that are not done

        void run(uint32_t begin, uint32_t end);
        void begin_table(std::vector<float> learned);
    };

    std::shared_ptr<Graph> graph() const;
    void set_graph(std::shared_ptr<Graph> graph);
    bool is_linked(const Graph& graph) const {
        return flat_until() == 0 && graph.count() > settings_.link_min;
    }
    void end_flat_if_due(const Graph& graph);
    void prepare(const float* row, size_t dimensions, float* out) const;
    const float* prepare_query(const float* query, size_t dimensions, Scratch& scratch) const;
    // What a search sees of a graph that others change meanwhile.
    struct Extent {
        uint32_t linked = 0;
        uint32_t count = 0;
        size_t eligible = 0;
    };
    void scan(const Graph& graph, const Measure& measure, const SearchRequest& request,
              Sketches* sketches, Scratch& scratch) const;
    bool follow(const SearchPlan& plan, const Graph& graph, const Measure& measure,
                const SearchRequest& request, const Extent& extent, Scratch& scratch) const;
    Explanation search_graph(const Graph& graph, const float* query, const SearchRequest& request,
                             Scratch& scratch) const;
    Explanation search_by(const Measure& measure, const Graph& graph, const SearchRequest& request,
                          Scratch& scratch) const;
    size_t rescored(const SearchRequest& request) const;
    void rescore(const Graph& graph, const float* query, const SearchRequest& request,
                 Scratch& scratch) const;
    std::optional<CodeSettings> wanted_codes() const;
    bool sketches_are_due(const Graph& graph) const;
    bool sketch_slice();
    static void sketch(const Graph& graph, Sketches& sketches, uint32_t linked);
    bool codes_are_due(const Graph& graph) const;
    void begin_codes(Graph& fresh);
    void give_up_codes(const std::string& reason);
    void look_after_codes(const Graph& graph);
    bool encode_slice();
    bool prepare_encoding();
    bool share_encoding(std::unique_lock<std::mutex>& lock);
    void begin_encoding(const std::shared_ptr<Graph>& graph, const CodeSettings& settings);
    void end_encoding();
    void open_codes(const std::string& path);
    void take_codes(const std::shared_ptr<Graph>& graph);
    void save_codes(const std::shared_ptr<Graph>& graph, const std::string& path);
    bool rows_are_due(const Graph& graph) const;
    void place_rows(Graph& graph);
    void keep_rows_in_memory(const std::string& reason);
    void move_rows(Graph& graph);
    void wake_linkers();
    void drop_half_done() noexcept;
    static bool is_compaction_due(const Graph& graph, double share);
    static CompactionRoom copy_room(const Graph& graph);
    void begin_own_compaction();
    void begin_compaction_if_due(double share);
    bool compaction_slice();
    void end_compaction_if_caught_up(Compaction& compaction);

    const IndexSettings settings_;
    mutable CostMeter costs_;
    mutable std::mutex graph_mutex_;
    std::shared_ptr<Graph> graph_;
    std::mutex writer_mutex_;
    mutable std::mutex save_mutex_;  // taken before writer_mutex_
    std::unique_ptr<CommitLog> log_;
    uint64_t snapshot_bytes_ = 0;
    std::atomic<uint64_t> log_bytes_{0};
    std::atomic<uint64_t> docs_end_{0};
    mutable std::mutex compaction_mutex_;  // taken before writer_mutex_
    std::shared_ptr<Compaction> compaction_;
    std::atomic<bool> compacting_{false};
    std::atomic<uint32_t> turn_{0};
    std::atomic<uint64_t> compactions_{0};  // that took effect
    std::atomic<size_t> own_compaction_max_{std::numeric_limits<size_t>::max()};
    std::mutex sketching_mutex_;
    std::shared_ptr<Sketches> fresh_sketches_;  // under sketching_mutex_, not the graph's yet
    std::weak_ptr<Graph> fresh_for_;
    std::mutex encoding_mutex_;  // taken after save_mutex_, before writer_mutex_
    std::shared_ptr<Encoding> encoding_;
    std::optional<LearnedCodes> learned_;  // comes from a file, under encoding_mutex_
    std::optional<CodeFile> code_file_;    // under save_mutex_
    std::atomic<bool> coding_{false};      // codes are to be made, changed or dropped
    mutable std::mutex wanted_mutex_;
    std::optional<CodeSettings> wanted_codes_;
    std::atomic<bool> wants_codes_{false};
    std::atomic<int64_t> rescore_limit_{-1};
    std::string codes_fault_;    // under wanted_mutex_
    std::string row_directory_;  // under wanted_mutex_, empty: vectors stay in memory
    std::atomic<bool> moves_rows_{false};
    std::atomic<bool> queued_{false};
    std::atomic<bool> closed_{false};
    std::atomic<uint32_t> flat_until_;  // written under writer_mutex_
    mutable std::mutex state_mutex_;
    mutable std::condition_variable state_changed_;
    std::string fault_;  // why linking stopped, under state_mutex_
    std::atomic<bool> failed_{false};
    int slices_ = 0;  // running, under state_mutex_
};

}  // namespace weft
