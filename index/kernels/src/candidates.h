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
#include <vector>

#include "chunks.h"
#include "muvera.h"
#include "token_rows.h"
#include "vector_index.h"

namespace weft {

struct CandidateRequest {
    const float* query = nullptr;  // [rows][dimensions], ready for the metric
    size_t rows = 0;
    size_t wanted = 0;  // docs, at most
    size_t ef = 0;      // of each walk
    const AllowWords* allow = nullptr;
    const TokenRows* table = nullptr;
};

class Candidates {
  public:
    explicit Candidates(const IndexSettings& settings)
        : graph_(std::make_shared<VectorIndex>(settings)) {}
    Candidates(const Candidates&) = delete;
    Candidates& operator=(const Candidates&) = delete;
    virtual ~Candidates() { graph_->close(); }  // or the pool would go on linking
    // Takes new docs of a table, in slots [begin, end); deleted ones may be among them.
    virtual void add(const TokenRows& table, uint32_t begin, uint32_t end) = 0;
    virtual void erase(uint32_t doc, const TokenRows::Matrix& matrix) = 0;
    // Docs, any order, each once.
    virtual std::vector<uint32_t> gather(const CandidateRequest& request) const = 0;
    // How many docs to measure for `k` hits, by what it takes to have the nearest among them.
    virtual size_t wanted(size_t k, size_t ef) const = 0;
    // What `gather` takes, in the time of one product of two floats in a MaxSim scan; `share` is
    // the allowed part of the docs.
    virtual double cost(const CandidateRequest& request, double share) const = 0;
    virtual size_t memory_bytes() const { return graph_->memory_bytes(); }
    VectorIndex& graph() const { return *graph_; }

  protected:
    double walk_cost(size_t dimensions, size_t ef, double share) const;

  private:
    std::shared_ptr<VectorIndex> graph_;
};

class MuveraCandidates : public Candidates {
  public:
    MuveraCandidates(const MuveraSettings& muvera, const IndexSettings& settings,
                     size_t dimensions);

    void add(const TokenRows& table, uint32_t begin, uint32_t end) override;
    void erase(uint32_t doc, const TokenRows::Matrix& matrix) override;
    std::vector<uint32_t> gather(const CandidateRequest& request) const override;
    size_t wanted(size_t k, size_t ef) const override;
    double cost(const CandidateRequest& request, double share) const override;

  private:
    Muvera encoder_;
};

class TokenCandidates : public Candidates {
  public:
    TokenCandidates(const IndexSettings& settings, size_t dimensions);

    void add(const TokenRows& table, uint32_t begin, uint32_t end) override;
    void erase(uint32_t doc, const TokenRows::Matrix& matrix) override;
    std::vector<uint32_t> gather(const CandidateRequest& request) const override;
    size_t wanted(size_t k, size_t ef) const override;
    double cost(const CandidateRequest& request, double share) const override;
    size_t memory_bytes() const override;

  private:
    std::vector<uint64_t> allowed_tokens(const CandidateRequest& request, size_t& allowed) const;

    size_t dimensions_;
    Chunks<std::atomic<uint32_t>> docs_;  // by token
    std::atomic<uint32_t> token_end_{0};
};

}  // namespace weft
