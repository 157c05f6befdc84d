// Candidates: the two ways, by encodings and by rows.
#include "candidates.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <unordered_map>

#include "snapshot.h"

namespace weft {
namespace {

// An encoding only approximates MaxSim, and measuring is cheap beside the walk: on hard data (many
// docs alike) one place a doc finds 0.76 of the ten nearest, four find 0.89, on usual data 1.0.
constexpr size_t kEncodingsPerPlace = 4;
// A walk over encodings whose beam is no longer than the list misses some of the list, and a rank
// profile cannot know of hits that were never met.
constexpr size_t kPlacesPerDoc = 2;
// Docs by the rows they were met by are ranked better: 0.99 on the same data.
constexpr size_t kDocsPerHit = 4;

void set_bit(std::vector<uint64_t>& words, uint32_t bit) {
    if (bit / 64 >= words.size()) words.resize(std::max<size_t>(bit / 64 + 1, words.size() * 2));
    words[bit / 64] |= uint64_t{1} << (bit % 64);
}

IndexSettings with_products(IndexSettings settings) {
    settings.graph.metric = Metric::dot;
    return settings;
}

}  // namespace

MuveraCandidates::MuveraCandidates(const MuveraSettings& muvera, const IndexSettings& settings,
                                   size_t dimensions)
    : Candidates(with_products(settings)),
      encoder_(muvera, dimensions),
      encoding_(encoder_.dimensions()) {}

void MuveraCandidates::encode(const TokenRows& table, uint32_t slot) {
    TokenRows::Matrix matrix = table.matrix_of(slot);
    encoder_.encode_doc(matrix.rows, matrix.count, encoding_.data());
    uint32_t doc = table.doc_of(slot);
    graph().add(&doc, encoding_.data(), 1, encoding_.size());
}

void MuveraCandidates::add(const TokenRows& table, uint32_t begin, uint32_t end) {
    for (uint32_t slot = begin; slot < end; ++slot)
        if (!table.is_deleted(slot)) encode(table, slot);
}

void MuveraCandidates::erase(uint32_t doc, const TokenRows::Matrix&) {
    graph().erase(&doc, 1);
}

void MuveraCandidates::load(const std::string& path, const TokenRows& table) {
    std::vector<uint64_t> docs;
    for (uint32_t slot = 0; slot < table.slots(); ++slot) set_bit(docs, table.doc_of(slot));
    std::vector<uint32_t> missing =
        graph().load(path, {docs.data(), docs.size(), size_t(table.live())});
    if (graph().count() > 0 && graph().dimensions() != encoder_.dimensions())
        throw SnapshotError("the graph was written for another encoding");
    for (uint32_t doc : missing) encode(table, table.slot_of(doc));
}

Gathered MuveraCandidates::gather(const CandidateRequest& request) const {
    std::vector<float> encoding(encoder_.dimensions());
    encoder_.encode_query(request.query, request.rows, encoding.data());
    SearchRequest walk;
    walk.query = encoding.data();
    walk.dimensions = encoding.size();
    walk.k = std::max(request.docs, request.ef);
    walk.ef = size_t(places(request));
    walk.rescores = graph().has_rescore_limit();  // a ranking needs no exact encodings
    walk.bounds.strategy = request.bounds.strategy;
    if (request.allow != nullptr) walk.allow = *request.allow;
    Found found = graph().search(walk);
    Gathered gathered;
    gathered.visited = found.explanation.effort.visited;
    for (size_t at = 0; at < found.docs.size(); ++at)
        gathered.ranked.push_back({found.distances[at], found.docs[at]});
    return gathered;
}

size_t MuveraCandidates::docs_for(size_t k, size_t ef) const {
    return kEncodingsPerPlace * std::max(k, ef);
}

double MuveraCandidates::places(const CandidateRequest& request) const {
    return double(kPlacesPerDoc * std::max(request.docs, request.ef));
}

TokenCandidates::TokenCandidates(const IndexSettings& settings, size_t dimensions)
    : Candidates(with_products(settings)), dimensions_(dimensions), docs_(1, Filling::sparse) {}

// Notes whose rows the tokens of a doc are.
void TokenCandidates::own(const TokenRows& table, uint32_t slot) {
    TokenRows::Matrix matrix = table.matrix_of(slot);
    const uint32_t doc = table.doc_of(slot);
    docs_.grow(matrix.first_token, matrix.count);
    for (uint32_t at = 0; at < matrix.count; ++at)
        docs_.row(matrix.first_token + at)->store(doc, std::memory_order_relaxed);
    token_end_.store(matrix.first_token + matrix.count, std::memory_order_relaxed);
}

void TokenCandidates::add(const TokenRows& table, uint32_t begin, uint32_t end) {
    std::vector<uint32_t> tokens;
    for (uint32_t slot = begin; slot < end; ++slot) {
        if (table.is_deleted(slot)) continue;
        own(table, slot);
        TokenRows::Matrix matrix = table.matrix_of(slot);
        tokens.resize(matrix.count);
        std::iota(tokens.begin(), tokens.end(), matrix.first_token);
        graph().add(tokens.data(), matrix.rows, matrix.count, dimensions_);
    }
}

void TokenCandidates::load(const std::string& path, const TokenRows& table) {
    std::vector<uint64_t> tokens;
    for (uint32_t slot = 0; slot < table.slots(); ++slot) {
        own(table, slot);
        TokenRows::Matrix matrix = table.matrix_of(slot);
        for (uint32_t at = 0; at < matrix.count; ++at) set_bit(tokens, matrix.first_token + at);
    }
    std::vector<uint32_t> missing =
        graph().load(path, {tokens.data(), tokens.size(), table.live_rows()});
    if (graph().count() > 0 && graph().dimensions() != dimensions_)
        throw SnapshotError("the graph was written for rows of another length");
    for (uint32_t token : missing) {
        uint32_t doc = docs_.row(token)->load(std::memory_order_relaxed);
        TokenRows::Matrix matrix = table.matrix_of(table.slot_of(doc));
        const float* row = matrix.rows + size_t(token - matrix.first_token) * dimensions_;
        graph().add(&token, row, 1, dimensions_);
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

Gathered TokenCandidates::gather(const CandidateRequest& request) const {
    struct Met {
        float gain;  // what the rows it was met by bring, against having been missed by all
        size_t row;  // the last of them + 1
    };
    std::unordered_map<uint32_t, Met> met;
    SearchRequest walk;
    walk.dimensions = dimensions_;
    walk.k = walk.ef = std::max<size_t>(request.ef, 1);
    walk.bounds.strategy = request.bounds.strategy;
    std::vector<uint64_t> words;
    if (request.allow != nullptr) {
        size_t allowed = 0;
        words = allowed_tokens(request, allowed);
        walk.allow = AllowWords{words.data(), words.size(), allowed};
    }
    Gathered gathered;
    for (size_t row = 0; row < request.rows; ++row) {
        walk.query = request.query + row * dimensions_;
        Found found = graph().search(walk);
        gathered.visited += found.explanation.effort.visited;
        for (size_t at = 0; at < found.docs.size(); ++at) {
            uint32_t doc = docs_.row(found.docs[at])->load(std::memory_order_relaxed);
            Met& known = met[doc];
            if (known.row == row + 1) continue;  // A nearer row of the same doc came before.
            known.row = row + 1;
            known.gain += found.distances[at] - found.distances.back();
        }
    }
    gathered.ranked.reserve(met.size());
    for (const auto& [doc, known] : met) gathered.ranked.push_back({known.gain, doc});
    std::sort(gathered.ranked.begin(), gathered.ranked.end());
    return gathered;
}

size_t TokenCandidates::docs_for(size_t k, size_t ef) const {
    return std::max(ef, kDocsPerHit * k);
}

double TokenCandidates::places(const CandidateRequest& request) const {
    return double(request.rows) * double(std::max<size_t>(request.ef, 1));
}

size_t TokenCandidates::memory_bytes() const {
    return graph().memory_bytes() + token_end_.load(std::memory_order_relaxed) * sizeof(uint32_t);
}

}  // namespace weft
