// MultiVectorIndex: one multi-vector space of one shard; a doc is a matrix of rows (ColBERT).
//
// The distance is MaxSim (max_sim.h), whatever the metric; with cosine, the rows of a query are
// scaled to length one first and those of docs are taken as they are, as the reference does. The
// rows of all docs lie in one table (token_rows.h) and every returned distance is computed from
// them. A search measures either all allowed docs or candidates (candidates.h), whichever is less
// work; candidates are kept once there are docs enough for them to pay. Memory of deleted docs is
// given back by copying the live ones into a new table, once more is dead than alive: each deleted
// row pays for one copied row.
//
// Concurrency: writers take turns behind one mutex. Searches hold the table and the candidates they
// began with; the only lock they touch guards the copy of those pointers.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "candidates.h"
#include "max_sim.h"
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
    float distance_max = std::numeric_limits<float>::infinity();
    Route route = Route::cheapest;
};

class MultiVectorIndex {
  public:
    // Raises std::invalid_argument.
    explicit MultiVectorIndex(const MultiVectorSettings& settings);

    // `docs` has one id a row: ascending, all new, the rows of a doc one after the other. Raises
    // DimensionError or std::invalid_argument before any change.
    void add(const uint32_t* docs, const float* rows, size_t count, size_t dimensions);
    size_t erase(const uint32_t* docs, size_t count);
    Found search(const MultiVectorRequest& request) const;
    void distances(const float* query, size_t rows, size_t dimensions, const uint32_t* docs,
                   size_t count, float* out) const;
    // Asks for codes of what candidates are walked over, or for none. Distances stay exact: hits
    // are measured by their rows. Raises std::invalid_argument where the dimensions do not allow
    // them.
    void set_codes(const std::optional<CodeSettings>& codes);
    // Why the codes that were asked for are not there; empty where they are, or will be.
    std::string codes_fault() const;
    size_t dimensions() const;  // 0 while there are no docs
    size_t count() const;       // docs
    size_t row_count() const;
    size_t pending() const;  // docs that wait to be linked, all of them or in part
    size_t memory_bytes() const;
    // Raises std::runtime_error where linking has failed.
    bool wait_indexed(double timeout_s) const;
    void close();

  private:
    struct State {
        std::shared_ptr<TokenRows> table;        // null while there are no docs
        std::shared_ptr<Candidates> candidates;  // null while they would not pay
    };

    State state() const;
    void set_state(State state);
    void check_new(const TokenRows* table, const uint32_t* docs, const float* rows, size_t count,
                   size_t dimensions) const;
    std::shared_ptr<Candidates> make_candidates(size_t dimensions);
    void make_room(State& state, size_t count);
    std::vector<float> prepared_query(const TokenRows& table, const float* query, size_t rows,
                                      size_t dimensions) const;
    CandidateRequest candidates_for(const State& state, const MultiVectorRequest& request,
                                    const float* query) const;
    bool is_exact(const State& state, const MultiVectorRequest& request, size_t eligible) const;
    bool measure_candidates(const State& state, const MultiVectorRequest& request,
                            const float* query, const MaxSimQuery& packed, size_t eligible,
                            Nearest& nearest) const;

    const MultiVectorSettings settings_;
    mutable std::mutex state_mutex_;
    State state_;
    bool closed_ = false;
    std::mutex writer_mutex_;
    uint32_t next_token_ = 0;            // under writer_mutex_
    std::optional<CodeSettings> codes_;  // under writer_mutex_
};

}  // namespace weft
