// Runs a keyword query: weights of the terms, then window after window.
#include "bm25.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "bm25_window.h"

namespace weft {
namespace {

bool is_dead(const LiveDocs& live, uint32_t doc) {
    size_t word = doc / 64;
    return word >= live.mask.count || !(live.mask.words[word] >> (doc % 64) & 1);
}

// Docs of the list that are alive. Looks from the shorter side.
uint32_t count_live(const PostingView& view, const LiveDocs& live) {
    size_t steps = live.dead_count * 16;
    uint32_t dead = 0;
    if (steps < view.count) {
        const uint32_t* at = view.docs;
        const uint32_t* end = view.docs + view.count;
        for (size_t item = 0; item < live.dead_count && at != end; ++item) {
            at = std::lower_bound(at, end, live.dead[item]);
            dead += at != end && *at == live.dead[item];
        }
        return view.count - dead;
    }
    for (uint32_t at = 0; at < view.count; ++at) dead += is_dead(live, view.docs[at]);
    return view.count - dead;
}

uint32_t count_live(const Lookup::Part& part, const LiveDocs& live) {
    if (live.version == 0) return part.view.count;
    if (!part.postings) return count_live(part.view, live);
    uint64_t memo = part.postings->live_memo.load(std::memory_order_relaxed);
    if (memo >> 32 == live.version) return static_cast<uint32_t>(memo);
    uint32_t count = count_live(part.view, live);
    part.postings->live_memo.store(uint64_t(live.version) << 32 | count, std::memory_order_relaxed);
    return count;
}

double idf_of(uint64_t docs, uint64_t with_term) {
    docs = std::max(docs, with_term);
    auto total = static_cast<double>(docs), some = static_cast<double>(with_term);
    return std::log(1.0 + (total - some + 0.5) / (some + 0.5));
}

uint64_t count_live(const Lookup& lookup, size_t key, const LiveDocs& live) {
    uint64_t docs = 0;
    for (const auto& part : lookup.parts(key)) docs += count_live(part, live);
    return docs;
}

// One list a part of each term and field; keys lie in the lookup by group, term, field.
std::vector<ScoredList> weigh(const std::vector<KeywordGroup>& groups, const Lookup& lookup,
                              const KeywordSettings& settings, const LiveDocs& live) {
    std::vector<ScoredList> lists;
    size_t key = 0;
    uint32_t field_base = 0, term_number = 0;
    for (const KeywordGroup& group : groups) {
        for (const KeywordTerm& term : group.terms) {
            uint64_t sum = 0, fields = 0;
            for (size_t field = 0; field < group.fields.size(); ++field) {
                uint64_t docs = settings.frequencies ? (*settings.frequencies)[key + field]
                                                     : count_live(lookup, key + field, live);
                sum += docs;
                fields += docs > 0;
            }
            double idf = fields > 0 ? idf_of(settings.live_count, sum / fields) : 0;
            for (size_t at = 0; at < group.fields.size(); ++at, ++key) {
                const KeywordField& field = group.fields[at];
                auto weight = static_cast<float>(double(field.boost) * term.count * idf);
                float flat = settings.k1 * (1 - settings.b);
                float slope = settings.k1 * settings.b / field.length_mean;
                for (const auto& part : lookup.parts(key)) {
                    ScoredList list{part.view, weight, flat, slope, 0, term_number};
                    list.field = field_base + static_cast<uint32_t>(at);
                    lists.push_back(list);
                }
            }
            ++term_number;
        }
        field_base += static_cast<uint32_t>(group.fields.size());
    }
    return lists;
}

// The lists of each field (or of each group, when terms may match across its fields) apart.
std::vector<StrictWindow::Condition> conditions_of(const std::vector<KeywordGroup>& groups,
                                                   const std::vector<ScoredList>& lists,
                                                   const KeywordSettings& settings) {
    std::vector<StrictWindow::Condition> conditions;
    uint32_t field = 0;
    for (const KeywordGroup& group : groups) {
        auto terms = static_cast<uint32_t>(group.terms.size());
        uint32_t needed = settings.combine == TermOperator::any ? settings.terms_min : terms;
        bool is_across = settings.combine == TermOperator::all_across;
        for (size_t at = 0; at < group.fields.size(); ++at, ++field) {
            if (at == 0 || !is_across) conditions.push_back({{}, needed});
            for (const ScoredList& list : lists)
                if (list.field == field) conditions.back().lists.push_back(list);
        }
    }
    for (auto& condition : conditions)
        std::stable_sort(
            condition.lists.begin(), condition.lists.end(),
            [](const ScoredList& left, const ScoredList& right) { return left.term < right.term; });
    return conditions;
}

template <class Window>
void walk(std::vector<ScoredList*> lists, Window& window, const WindowMask& mask, TopDocs& top) {
    uint64_t base = 0;
    while (true) {
        uint32_t next = UINT32_MAX;
        for (ScoredList* list : lists)
            next = std::min(next, list->next_doc(static_cast<uint32_t>(base)));
        if (next == UINT32_MAX) return;
        base = next / kWindowDocs * kWindowDocs;
        window.run(static_cast<uint32_t>(base), mask, top);
        base += kWindowDocs;
        if (base > kDocMax) return;
    }
}

}  // namespace

KeywordQuery::KeywordQuery(std::shared_ptr<const PostingSide> side,
                           std::vector<KeywordGroup> groups)
    : groups_(std::move(groups)), lookup_(std::move(side), keys_of(groups_)) {}

std::vector<std::string> KeywordQuery::keys_of(const std::vector<KeywordGroup>& groups) {
    std::vector<std::string> keys;
    for (const KeywordGroup& group : groups)
        for (const KeywordTerm& term : group.terms)
            for (const KeywordField& field : group.fields)
                keys.push_back(key_of(field.name, term.text));
    return keys;
}

ScoredDocs KeywordQuery::search(const KeywordSettings& settings, const DocMask& allow,
                                const LiveDocs& live) const {
    if (!lookup_.missing().empty()) throw std::logic_error("the lookup misses blocks");
    if (settings.frequencies && settings.frequencies->size() != lookup_.key_count())
        throw std::invalid_argument("there must be a frequency of every term in every field");
    if (settings.k == 0) return {};
    std::vector<ScoredList> lists = weigh(groups_, lookup_, settings, live);
    WindowMask mask{allow, live.version == 0 ? DocMask() : live.mask, live.end};
    TopDocs top(settings.k);
    std::vector<ScoredList*> walked;
    if (settings.combine == TermOperator::any && settings.terms_min <= 1) {
        for (ScoredList& list : lists) walked.push_back(&list);
        AnyWindow window(lists);
        walk(walked, window, mask, top);
        return top.take();
    }
    auto conditions = conditions_of(groups_, lists, settings);
    for (auto& condition : conditions)
        for (ScoredList& list : condition.lists) walked.push_back(&list);
    auto window = std::make_unique<StrictWindow>(conditions);
    walk(walked, *window, mask, top);
    return top.take();
}

std::vector<uint64_t> KeywordQuery::frequencies(const LiveDocs& live) const {
    if (!lookup_.missing().empty()) throw std::logic_error("the lookup misses blocks");
    std::vector<uint64_t> counts(lookup_.key_count());
    for (size_t key = 0; key < counts.size(); ++key) counts[key] = count_live(lookup_, key, live);
    return counts;
}

std::vector<TermMatch> KeywordQuery::explain(uint32_t doc) const {
    std::vector<TermMatch> matches;
    size_t key = 0;
    for (const KeywordGroup& group : groups_) {
        for (size_t term = 0; term < group.terms.size(); ++term) {
            TermMatch match;
            for (size_t field = 0; field < group.fields.size(); ++field, ++key) {
                for (const auto& part : lookup_.parts(key)) {
                    const uint32_t* end = part.view.docs + part.view.count;
                    const uint32_t* at = std::lower_bound(part.view.docs, end, doc);
                    if (at == end || *at != doc) continue;
                    auto place = static_cast<size_t>(at - part.view.docs);
                    match = {part.view.frequency(place), part.view.length(place)};
                }
            }
            matches.push_back(match);
        }
    }
    return matches;
}

}  // namespace weft
