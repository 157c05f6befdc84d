// Candidates: the two ways, by encodings and by rows.
#include "candidates.h"

#include <algorithm>
#include <bit>
#include <unordered_map>

namespace weft {
namespace {

// A walk meets about this many new nodes for each place in its beam (vector_index.cpp), and a float
// of a node anywhere in memory costs as much as this many products of a scan that stays in cache.
constexpr double kVisitsPerPlace = 12.0;
constexpr double kFarFloat = 12.0;
// A scan of vectors one query at a time waits for memory, too, but in one stream.
constexpr double kNearFloat = 4.0;

// An encoding only approximates MaxSim, and measuring is cheap beside the walk: on hard data (many
// docs alike) one place a doc finds 0.76 of the ten nearest, four find 0.89, on usual data 1.0.
constexpr size_t kEncodingsPerPlace = 4;
// Docs by the rows they were met by are ranked better: 0.99 on the same data.
constexpr size_t kDocsPerHit = 4;

IndexSettings with_products(IndexSettings settings) {
    settings.graph.metric = Metric::dot;
    return settings;
}

}  // namespace

double Candidates::walk_cost(size_t dimensions, size_t ef, double share) const {
    size_t pending = graph_->pending();
    double linked = double(graph_->count() - std::min(graph_->count(), pending));
    std::shared_ptr<const Codes> codes = graph_->codes();
    if (codes != nullptr) dimensions = codes->words();  // of four bytes, as a float
    double visits = double(ef) * kVisitsPerPlace / std::max(share, 1e-9);
    double walk = std::min(visits * kFarFloat, linked * share * kNearFloat + linked / 64);
    return (walk + double(pending) * kNearFloat) * double(dimensions);
}

MuveraCandidates::MuveraCandidates(const MuveraSettings& muvera, const IndexSettings& settings,
                                   size_t dimensions)
    : Candidates(with_products(settings)), encoder_(muvera, dimensions) {}

void MuveraCandidates::add(const TokenRows& table, uint32_t begin, uint32_t end) {
    std::vector<float> encoding(encoder_.dimensions());
    for (uint32_t slot = begin; slot < end; ++slot) {
        if (table.is_deleted(slot)) continue;
        TokenRows::Matrix matrix = table.matrix_of(slot);
        encoder_.encode_doc(matrix.rows, matrix.count, encoding.data());
        uint32_t doc = table.doc_of(slot);
        graph().add(&doc, encoding.data(), 1, encoding.size());
    }
}

void MuveraCandidates::erase(uint32_t doc, const TokenRows::Matrix&) {
    graph().erase(&doc, 1);
}

std::vector<uint32_t> MuveraCandidates::gather(const CandidateRequest& request) const {
    std::vector<float> encoding(encoder_.dimensions());
    encoder_.encode_query(request.query, request.rows, encoding.data());
    SearchRequest walk;
    walk.query = encoding.data();
    walk.dimensions = encoding.size();
    walk.k = request.wanted;
    walk.ef = std::max(request.ef, request.wanted);
    if (request.allow != nullptr) walk.allow = *request.allow;
    return graph().search(walk).docs;
}

size_t MuveraCandidates::wanted(size_t k, size_t ef) const {
    return kEncodingsPerPlace * std::max(k, ef);
}

double MuveraCandidates::cost(const CandidateRequest& request, double share) const {
    return encoder_.cost(request.rows) +
           walk_cost(encoder_.dimensions(), std::max(request.ef, request.wanted), share);
}

TokenCandidates::TokenCandidates(const IndexSettings& settings, size_t dimensions)
    : Candidates(with_products(settings)), dimensions_(dimensions), docs_(1, Filling::sparse) {}

void TokenCandidates::add(const TokenRows& table, uint32_t begin, uint32_t end) {
    std::vector<uint32_t> tokens;
    for (uint32_t slot = begin; slot < end; ++slot) {
        if (table.is_deleted(slot)) continue;
        TokenRows::Matrix matrix = table.matrix_of(slot);
        docs_.grow(matrix.first_token, matrix.count);
        tokens.clear();
        for (uint32_t at = 0; at < matrix.count; ++at) {
            tokens.push_back(matrix.first_token + at);
            docs_.row(tokens.back())->store(table.doc_of(slot), std::memory_order_relaxed);
        }
        uint32_t end_token = matrix.first_token + matrix.count;
        token_end_.store(end_token, std::memory_order_relaxed);
        graph().add(tokens.data(), matrix.rows, matrix.count, dimensions_);
    }
}

void TokenCandidates::erase(uint32_t, const TokenRows::Matrix& matrix) {
    std::vector<uint32_t> tokens(matrix.count);
    for (uint32_t at = 0; at < matrix.count; ++at) tokens[at] = matrix.first_token + at;
    graph().erase(tokens.data(), tokens.size());
}

// The rows of the allowed docs, as a set of tokens.
std::vector<uint64_t> TokenCandidates::allowed_tokens(const CandidateRequest& request,
                                                      size_t& allowed) const {
    std::vector<uint64_t> words(size_t{token_end_.load(std::memory_order_relaxed)} / 64 + 1);
    const AllowWords& allow = *request.allow;
    allowed = 0;
    for (size_t word = 0; word < allow.word_count; ++word) {
        for (uint64_t bits = allow.words[word]; bits != 0; bits &= bits - 1) {
            uint32_t doc = uint32_t(word * 64 + size_t(std::countr_zero(bits)));
            uint32_t slot = request.table->slot_of(doc);
            if (slot == kNoSlot) continue;
            TokenRows::Matrix matrix = request.table->matrix_of(slot);
            for (uint64_t at = 0; at < matrix.count; ++at) {
                uint64_t token = matrix.first_token + at;
                if (token / 64 < words.size()) words[token / 64] |= uint64_t{1} << (token % 64);
            }
            allowed += matrix.count;
        }
    }
    return words;
}

std::vector<uint32_t> TokenCandidates::gather(const CandidateRequest& request) const {
    struct Met {
        float gain;  // what the rows it was met by bring, against having been missed by all
        size_t row;  // the last of them + 1
    };
    std::unordered_map<uint32_t, Met> met;
    SearchRequest walk;
    walk.dimensions = dimensions_;
    walk.k = walk.ef = std::max<size_t>(request.ef, 1);
    std::vector<uint64_t> words;
    if (request.allow != nullptr) {
        size_t allowed = 0;
        words = allowed_tokens(request, allowed);
        walk.allow = AllowWords{words.data(), words.size(), allowed};
    }
    for (size_t row = 0; row < request.rows; ++row) {
        walk.query = request.query + row * dimensions_;
        Found found = graph().search(walk);
        for (size_t at = 0; at < found.docs.size(); ++at) {
            uint32_t doc = docs_.row(found.docs[at])->load(std::memory_order_relaxed);
            Met& known = met[doc];
            if (known.row == row + 1) continue;  // A nearer row of the same doc came before.
            known.row = row + 1;
            known.gain += found.distances[at] - found.distances.back();
        }
    }
    std::vector<Near> ranked;
    ranked.reserve(met.size());
    for (const auto& [doc, known] : met) ranked.push_back({known.gain, doc});
    if (ranked.size() > request.wanted) {
        std::nth_element(ranked.begin(), ranked.begin() + ptrdiff_t(request.wanted), ranked.end());
        ranked.resize(request.wanted);
    }
    std::vector<uint32_t> docs;
    for (const Near& near : ranked) docs.push_back(near.slot);
    return docs;
}

size_t TokenCandidates::wanted(size_t k, size_t ef) const {
    return std::max(ef, kDocsPerHit * k);
}

double TokenCandidates::cost(const CandidateRequest& request, double share) const {
    return double(request.rows) * walk_cost(dimensions_, request.ef, share);
}

size_t TokenCandidates::memory_bytes() const {
    return graph().memory_bytes() + token_end_.load(std::memory_order_relaxed) * sizeof(uint32_t);
}

}  // namespace weft
