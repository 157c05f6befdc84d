// Scores one window.
#include "bm25_window.h"

#include <algorithm>
#include <bit>

namespace weft {

void AnyWindow::run(uint32_t base, const WindowMask& mask, TopDocs& top) {
    uint64_t end = uint64_t(base) + kWindowDocs;
    active_.clear();
    float total = 0;
    for (ScoredList& list : lists_) {
        list.enter(base, end);
        if (list.impact_end == list.impact) continue;
        active_.push_back(&list);
        total += list.window_bound;
    }
    if (active_.empty() || top.is_hopeless(total) || mask.is_empty(base)) return;
    std::sort(active_.begin(), active_.end(), [](const ScoredList* left, const ScoredList* right) {
        return left->window_bound < right->window_bound;
    });
    // The first `optional` lists cannot bring a doc in by themselves.
    size_t optional = 0;
    float optional_bound = 0;
    while (optional + 1 < active_.size() &&
           top.is_hopeless(optional_bound + active_[optional]->window_bound))
        optional_bound += active_[optional++]->window_bound;
    if (optional + 1 == active_.size()) return run_alone(base, optional_bound, mask, top);
    for (size_t at = active_.size(); at-- > optional;)
        score(base, *active_[at], total - active_[at]->window_bound, top);
    for (size_t word = 0; word < touched_.size(); ++word) {
        uint64_t touched = touched_[word];
        if (touched == 0) continue;
        touched_[word] = 0;
        uint64_t allowed = mask.word(base / 64 + word);
        for (uint64_t bits = touched; bits != 0; bits &= bits - 1) {
            auto slot = static_cast<uint32_t>(word * 64 + std::countr_zero(bits));
            double sum = scores_[slot];
            scores_[slot] = 0;
            if (allowed & bits & -bits) complete(base + slot, sum, optional, optional_bound, top);
        }
    }
}

// Adds what the first `optional` lists know of a doc, as long as that can still matter.
void AnyWindow::complete(uint32_t doc, double sum, size_t optional, float optional_bound,
                         TopDocs& top) {
    for (size_t at = optional; at-- > 0;) {
        if (top.is_hopeless(static_cast<float>(sum) + optional_bound)) return;
        sum += active_[at]->probe_doc(doc);
        optional_bound -= active_[at]->window_bound;
    }
    if (sum > 0) top.add(doc, static_cast<float>(sum));
}

// Only the last list brings docs in: no sums to keep for the whole window.
void AnyWindow::run_alone(uint32_t base, float optional_bound, const WindowMask& mask,
                          TopDocs& top) {
    const ScoredList& list = *active_.back();
    uint64_t end = uint64_t(base) + kWindowDocs;
    float worth[kImpactPostings];
    for (size_t block = list.impact; block < list.impact_end; ++block) {
        if (top.is_hopeless(list.bound(block) + optional_bound)) continue;
        auto [first, last] = list.postings_in(block, base, end);
        score_postings(list.view, first, last - first, list.weight, list.flat, list.slope, worth);
        for (size_t at = first; at < last; ++at) {
            float score = worth[at - first];
            if (top.is_hopeless(score + optional_bound)) continue;
            uint32_t doc = list.view.docs[at];
            if (mask.has(doc)) complete(doc, score, active_.size() - 1, optional_bound, top);
        }
    }
}

void AnyWindow::score(uint32_t base, const ScoredList& list, float others, const TopDocs& top) {
    uint64_t end = uint64_t(base) + kWindowDocs;
    float worth[kImpactPostings];
    for (size_t block = list.impact; block < list.impact_end; ++block) {
        if (top.threshold() > 0 && top.is_hopeless(list.bound(block) + others)) continue;
        auto [first, last] = list.postings_in(block, base, end);
        score_postings(list.view, first, last - first, list.weight, list.flat, list.slope, worth);
        const uint32_t* docs = list.view.docs + first;
        for (size_t at = 0; at < last - first; ++at) {
            uint32_t slot = docs[at] - base;
            scores_[slot] += worth[at];
            touched_[slot / 64] |= uint64_t(1) << (slot % 64);
        }
    }
}

void StrictWindow::run(uint32_t base, const WindowMask& mask, TopDocs& top) {
    if (mask.is_empty(base)) return;
    bool any = false;
    for (Condition& condition : conditions_) any = score(base, condition) || any;
    if (!any) return;
    for (size_t word = 0; word < matched_.size(); ++word) {
        uint64_t matched = matched_[word];
        if (matched == 0) continue;
        matched_[word] = 0;
        uint64_t allowed = mask.word(base / 64 + word);
        for (uint64_t bits = matched; bits != 0; bits &= bits - 1) {
            auto slot = static_cast<uint32_t>(word * 64 + std::countr_zero(bits));
            double sum = totals_[slot];
            totals_[slot] = 0;
            if ((allowed & bits & -bits) && sum > 0) top.add(base + slot, static_cast<float>(sum));
        }
    }
}

// Adds the scores of docs that meet the condition to the totals; false if there are none.
bool StrictWindow::score(uint32_t base, Condition& condition) {
    uint64_t end = uint64_t(base) + kWindowDocs;
    uint32_t terms = 0;
    uint32_t latest = UINT32_MAX;
    for (ScoredList& list : condition.lists) {
        list.enter(base, end);
        if (list.impact_end == list.impact || list.term == latest) continue;
        latest = list.term;
        ++terms;
    }
    if (terms < condition.terms_min) return false;
    float worth[kImpactPostings];
    for (const ScoredList& list : condition.lists) {
        for (size_t block = list.impact; block < list.impact_end; ++block) {
            auto [first, last] = list.postings_in(block, base, end);
            score_postings(list.view, first, last - first, list.weight, list.flat, list.slope,
                           worth);
            for (size_t at = first; at < last; ++at) {
                uint32_t slot = list.view.docs[at] - base;
                scores_[slot] += worth[at - first];
                touched_[slot / 64] |= uint64_t(1) << (slot % 64);
                if (latest_[slot] == list.term + 1) continue;
                latest_[slot] = list.term + 1;
                ++counts_[slot];
            }
        }
    }
    bool any = false;
    for (size_t word = 0; word < touched_.size(); ++word) {
        uint64_t bits = touched_[word];
        touched_[word] = 0;
        for (; bits != 0; bits &= bits - 1) {
            size_t slot = word * 64 + std::countr_zero(bits);
            if (counts_[slot] >= condition.terms_min) {
                totals_[slot] += scores_[slot];
                matched_[word] |= bits & -bits;
                any = true;
            }
            scores_[slot] = 0;
            counts_[slot] = 0;
            latest_[slot] = 0;
        }
    }
    return any;
}

}  // namespace weft
