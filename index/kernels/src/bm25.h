// BM25 over the searchable side: the best docs of a keyword query.
//
// Docs are scored in windows of 4,096. In a window the lists whose bounds together cannot reach the
// k-th best score only complete the scores of docs that other lists found (MaxScore), and blocks of
// 128 postings whose bound is too low are passed over. Frequencies and lengths are exact; so are
// scores, up to the rounding of float32 parts. Docs that tie with the k-th are all returned: who
// breaks ties needs them.
//
//   score(doc) = sum over fields and terms: boost * count * idf * f / (f + k1 * (1 - b + b * l /
//   a)) idf        = ln(1 + (N - n + 0.5) / (n + 0.5)),  n = docs with the term, averaged over the
//                group's fields that have any (rounded down)
//
// a is the field's average length. A field counts for a doc only if it matches enough terms.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "postings_side.h"

namespace weft {

// On the border with Python (index/bm25.py): keep the numbers.
enum class TermOperator : uint8_t { any = 0, all = 1, all_across = 2 };

struct KeywordField {
    std::string name;
    float boost;
    float length_mean;
};

struct KeywordTerm {
    std::string text;
    float count;  // how often the query has it
};

// Fields that cut the query into the same terms.
struct KeywordGroup {
    std::vector<KeywordField> fields;
    std::vector<KeywordTerm> terms;
};

struct KeywordSettings {
    size_t k;
    float k1;
    float b;
    uint64_t live_count;  // N
    TermOperator combine = TermOperator::any;
    uint32_t terms_min = 1;  // of `any`, within one field
    // Docs with each term by group, term, field, where a collection has more shards than this one;
    // otherwise they are counted. As many as `KeywordQuery::frequencies` gives.
    std::optional<std::vector<uint64_t>> frequencies = std::nullopt;
};

// Docs that may be found; null words allow all. Ids past the end are not allowed.
struct DocMask {
    const uint64_t* words = nullptr;
    size_t count = 0;
};

// The live docs, all below `end`. `version` tells their states apart; 0 means that every doc below
// `end` is alive. Docs from `end` on are of writes that this state does not know yet.
struct LiveDocs {
    uint32_t end = UINT32_MAX;
    DocMask mask;
    const uint32_t* dead = nullptr;  // ascending
    size_t dead_count = 0;
    uint32_t version = 0;
};

struct ScoredDocs {
    std::vector<uint32_t> docs;
    std::vector<float> scores;
};

// What a term is worth in one doc, for explanations.
struct TermMatch {
    uint32_t frequency = 0;  // 0: no match
    uint32_t length = 0;
};

class KeywordQuery {
  public:
    KeywordQuery(std::shared_ptr<const PostingSide> side, std::vector<KeywordGroup> groups);

    Lookup& lookup() { return lookup_; }

    // Requires: the lookup misses nothing. Best first, equal scores by doc id.
    ScoredDocs search(const KeywordSettings& settings, const DocMask& allow,
                      const LiveDocs& live) const;

    // Live docs with each term in each field, by group, term, field. Requires as `search`.
    std::vector<uint64_t> frequencies(const LiveDocs& live) const;

    // The match of every term (all groups, in order) in `doc`; of several fields the last counts.
    std::vector<TermMatch> explain(uint32_t doc) const;

  private:
    static std::vector<std::string> keys_of(const std::vector<KeywordGroup>& groups);

    std::vector<KeywordGroup> groups_;
    Lookup lookup_;
};

}  // namespace weft
