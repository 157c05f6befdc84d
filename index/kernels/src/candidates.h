// Candidates: finds docs whose MaxSim to a query is probably small; the caller measures them.
//
// Two ways. MuveraCandidates walks a graph over one encoding a doc (muvera.h). TokenCandidates
// walks a graph over the rows of all docs, once for each row of the query, and ranks the docs that
// own the rows it met; a query row that did not meet a doc counts as the farthest row it met
// (imputation of missing similarities: Lee et al., "Rethinking the Role of Token Retrieval in
// Multi-Vector Retrieval" (XTR), 2023).
//
// Concurrency: `add` and `erase` come from one writer at a time; searches run beside them.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "chunks.h"
#include "muvera.h"
#include "token_rows.h"
#include "vector_index.h"

namespace weft {

struct CandidateRequest {
    const float* query = nullptr;  // [rows][dimensions], ready for the metric
    size_t rows = 0;
    size_t docs = 0;  // to be ranked, at least
    size_t ef = 0;    // of each walk
    const AllowWords* allow = nullptr;
    SearchBounds bounds;  // only the strategy plays a part in walks
    const TokenRows* table = nullptr;
};

struct Gathered {
    std::vector<Near> ranked;  // docs, each once, by estimated distance
    size_t visited = 0;        // nodes that the walks met
};

class Candidates {
  public:
    explicit Candidates(const IndexSettings& settings)
        : graph_(std::make_shared<VectorIndex>(settings)) {}
    Candidates(const Candidates&) = delete;
    Candidates& operator=(const Candidates&) = delete;
    virtual ~Candidates() { graph_->close(); }  // or the pool would go on linking
    virtual const char* name() const = 0;
    // Takes new docs of a table, in slots [begin, end); deleted ones may be among them.
    virtual void add(const TokenRows& table, uint32_t begin, uint32_t end) = 0;
    virtual void erase(uint32_t doc, const TokenRows::Matrix& matrix) = 0;
    // Takes over the files of a graph for the docs of a table, and adds what they lack. Raises
    // SnapshotError or std::system_error and must not be used then. Requires: nothing was added.
    virtual void load(const std::string& path, const TokenRows& table) = 0;
    virtual Gathered gather(const CandidateRequest& request) const = 0;
    // Docs to measure where a search is to do with the ef it is given.
    virtual size_t docs_for(size_t k, size_t ef) const = 0;
    // Places in the beams of all walks of a request.
    virtual double places(const CandidateRequest& request) const = 0;
    virtual size_t memory_bytes() const { return graph_->memory_bytes(); }
    VectorIndex& graph() const { return *graph_; }

  private:
    std::shared_ptr<VectorIndex> graph_;
};

class MuveraCandidates : public Candidates {
  public:
    MuveraCandidates(const MuveraSettings& muvera, const IndexSettings& settings,
                     size_t dimensions);

    const char* name() const override { return "muvera"; }
    void add(const TokenRows& table, uint32_t begin, uint32_t end) override;
    void erase(uint32_t doc, const TokenRows::Matrix& matrix) override;
    void load(const std::string& path, const TokenRows& table) override;
    Gathered gather(const CandidateRequest& request) const override;
    size_t docs_for(size_t k, size_t ef) const override;
    double places(const CandidateRequest& request) const override;

  private:
    void encode(const TokenRows& table, uint32_t slot);

    Muvera encoder_;
    std::vector<float> encoding_;  // of the doc that is being added
};

class TokenCandidates : public Candidates {
  public:
    TokenCandidates(const IndexSettings& settings, size_t dimensions);

    const char* name() const override { return "rows"; }
    void add(const TokenRows& table, uint32_t begin, uint32_t end) override;
    void erase(uint32_t doc, const TokenRows::Matrix& matrix) override;
    void load(const std::string& path, const TokenRows& table) override;
    Gathered gather(const CandidateRequest& request) const override;
    size_t docs_for(size_t k, size_t ef) const override;
    double places(const CandidateRequest& request) const override;
    size_t memory_bytes() const override;

  private:
    void own(const TokenRows& table, uint32_t slot);
    std::vector<uint64_t> allowed_tokens(const CandidateRequest& request, size_t& allowed) const;

    size_t dimensions_;
    Chunks<std::atomic<uint32_t>> docs_;  // by token
    std::atomic<uint32_t> token_end_{0};
};

}  // namespace weft
