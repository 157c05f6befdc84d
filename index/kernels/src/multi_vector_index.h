// MultiVectorIndex: one multi-vector space of one shard; a doc is a matrix of rows (ColBERT).
//
// The distance is MaxSim (max_sim.h), whatever the metric; with cosine, the rows of a query are
// scaled to length one first and those of docs are taken as they are, as the reference does. The
// rows of all docs lie in one table (token_rows.h) and every returned distance is computed from
// them. A search measures either all allowed docs or candidates (candidates.h), whichever has
// turned out to be less work (route_costs.h); candidates are kept once there are docs enough for
// them to pay. How many are measured follows from where hits have turned out to lie
// (rank_profile.h); where that is more work than measuring everything, everything is measured.
// Memory of deleted docs is given back by copying the live ones into a new table, once a seventh is
// dead: each deleted row pays for six copied ones. A large copy is left to `compact`.
//
// Files: the matrices (matrix_log.h), and beside them the graph of the candidates.
//
// Concurrency: writers take turns behind one mutex. Searches hold the table and the candidates they
// began with; the only lock they touch guards the copy of those pointers.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "candidates.h"
#include "matrix_log.h"
#include "max_sim.h"
#include "rank_profile.h"
#include "route_costs.h"
#include "token_rows.h"
#include "vector_index.h"

namespace weft {

struct MultiVectorSettings {
    Metric metric = Metric::cosine;
    std::optional<MuveraSettings> muvera;  // none: candidates come from a graph over all rows
    IndexSettings graph;                   // of the candidates; its metric plays no part
    size_t candidate_docs_min = 0;         // fewer docs are always scanned
};

enum class Route { cheapest, exact, candidates };

struct MultiVectorRequest {
    const float* query = nullptr;  // [rows][dimensions]
    size_t rows = 0;
    size_t dimensions = 0;
    size_t k = 0;
    size_t ef = 0;
    std::optional<AllowWords> allow;
    SearchBounds bounds;
    float distance_max = std::numeric_limits<float>::infinity();
    Route route = Route::cheapest;
    bool is_ef_fixed = false;  // it says how many candidates are measured
    double recall = 0.98;      // otherwise, this does
};

// How a search went, for whoever asks why it was fast or slow.
struct MultiVectorExplanation {
    const char* plan = "exact";  // or what the candidates came from
    const char* reason = "there are no docs";
    const char* overrides = "";
    bool gave_up = false;   // candidates were not enough; the exact scan answered
    size_t ef = 0;          // of the last walks
    size_t walks = 0;       // how often candidates were gathered
    size_t visited = 0;     // nodes of the graph
    size_t candidates = 0;  // docs in the last list
    size_t measured = 0;    // docs, exactly
    double recall = 1.0;    // that is to be expected
};

struct MultiVectorFound {
    std::vector<uint32_t> docs;
    std::vector<float> distances;
    MultiVectorExplanation explanation;
};

class MultiVectorIndex {
  public:
    // Raises std::invalid_argument.
    explicit MultiVectorIndex(const MultiVectorSettings& settings);

    // `docs` has one id a row: ascending, all new, the rows of a doc one after the other. Raises
    // DimensionError or std::invalid_argument before any change.
    void add(const uint32_t* docs, const float* rows, size_t count, size_t dimensions);
    size_t erase(const uint32_t* docs, size_t count);
    MultiVectorFound search(const MultiVectorRequest& request) const;
    void distances(const float* query, size_t rows, size_t dimensions, const uint32_t* docs,
                   size_t count, float* out) const;
    // Asks for codes of what candidates are walked over, or for none. Distances stay exact: hits
    // are measured by their rows. Raises std::invalid_argument where the dimensions do not allow
    // them.
    void set_codes(const std::optional<CodeSettings>& codes);
    // Why the codes that were asked for are not there; empty where they are, or will be.
    std::string codes_fault() const;
    // Lets what codes stand for leave memory, for a nameless file in `directory`.
    void set_row_directory(const std::string& directory);
    // Brings the files at `path` up to date; gives the name of the graph's file, empty where there
    // is none. An index without docs removes them. Raises std::system_error.
    std::string save(const std::string& path);
    // Takes over what files have of the live docs, and gives those that they lack. Raises
    // SnapshotError where nothing of them can be used, std::system_error. Requires: nothing was
    // added.
    std::vector<uint32_t> load(const std::string& path, const AllowWords& live);
    // What of the files was not used when they were loaded, and why; empty where all was.
    std::string load_fault() const;
    // One more than the largest doc id, dead or not, in the files that were loaded; 0 without.
    uint64_t docs_end() const { return docs_end_.load(std::memory_order_relaxed); }
    // Of the graph of the candidates: slots of deleted entries, how often they were given back,
    // and the length of its log.
    size_t deleted() const;
    uint64_t compactions() const;
    uint64_t log_bytes() const;
    void compact(double share);
    VectorIndex::CompactionRoom compaction_room(double share) const;
    void set_own_compaction_max(size_t bytes);
    VectorIndex::CompactionBytes compaction_bytes() const;
    size_t code_bytes() const;            // of what stands for an entry in walks; 0 without codes
    std::string code_file_fault() const;  // why saved codes were not used
    size_t unsaved_codes() const;
    size_t dimensions() const;  // 0 while there are no docs
    size_t count() const;       // docs
    size_t row_count() const;
    size_t pending() const;  // docs that wait to be linked, all of them or in part
    size_t memory_bytes() const;
    // Raises std::runtime_error where linking has failed.
    bool wait_indexed(double timeout_s) const;
    // As VectorIndex has them.
    std::string link_fault() const;
    void retry_links();
    void close();

  private:
    struct State {
        std::shared_ptr<TokenRows> table;        // null while there are no docs
        std::shared_ptr<Candidates> candidates;  // null while they would not pay
        uint64_t generation = 0;                 // of the tokens' numbers
    };
    class Sieve;

    State state() const;
    void set_state(State state);
    void check_new(const TokenRows* table, const uint32_t* docs, const float* rows, size_t count,
                   size_t dimensions) const;
    std::shared_ptr<Candidates> make_candidates(size_t dimensions);
    void make_room(State& state, size_t count);
    static size_t table_room(const TokenRows& table, double share);
    void shrink_table(const State& state, double share);
    MatrixSpace space() const;
    void set_load_fault(const std::string& fault);
    std::string load_candidates(State& state, const std::string& path);
    std::vector<float> prepared_query(const TokenRows& table, const float* query, size_t rows,
                                      size_t dimensions) const;
    CandidateRequest wanted_of(const State& state, const Sieve& sieve) const;
    RouteWork work_of(const State& state, const CandidateRequest& wanted, const Sieve& sieve) const;
    bool is_exact(const State& state, const CandidateRequest& wanted, const Sieve& sieve,
                  MultiVectorExplanation& explanation) const;
    bool sift(const State& state, CandidateRequest wanted, Sieve& sieve,
              MultiVectorExplanation& explanation) const;
    void scan(Sieve& sieve) const;

    const MultiVectorSettings settings_;
    mutable RouteCosts costs_;
    mutable RankProfile profile_;
    mutable std::mutex state_mutex_;
    State state_;
    bool closed_ = false;
    std::atomic<uint64_t> docs_end_{0};
    std::string load_fault_;         // under state_mutex_
    mutable std::mutex save_mutex_;  // taken before writer_mutex_
    std::unique_ptr<MatrixLog> log_;
    std::mutex writer_mutex_;
    uint32_t next_token_ = 0;                                         // under writer_mutex_
    std::optional<CodeSettings> codes_;                               // under writer_mutex_
    std::string row_directory_;                                       // under writer_mutex_
    size_t own_compaction_max_ = std::numeric_limits<size_t>::max();  // under writer_mutex_
};

}  // namespace weft
