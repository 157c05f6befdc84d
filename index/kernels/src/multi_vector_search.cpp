// MultiVectorIndex: searches.
#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <unordered_map>

#include "multi_vector_index.h"

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;

double ns_since(Clock::time_point begun) {
    return std::chrono::duration<double, std::nano>(Clock::now() - begun).count();
}

}  // namespace

// What one search has measured.
class MultiVectorIndex::Sieve {
  public:
    Sieve(const TokenRows& table, const MultiVectorRequest& request, const float* query)
        : table_(table), request_(request), packed_(query, request.rows, request.dimensions) {
        eligible_ = table.live();
        if (request.allow) eligible_ = std::min(eligible_, request.allow->allowed);
        const size_t lanes = (request.rows + kMaxSimLanes - 1) / kMaxSimLanes * kMaxSimLanes;
        doc_products_ = double(table.live_rows()) / double(std::max(table.live(), 1u)) *
                        double(lanes) * double(table.dimensions());
    }

    const MultiVectorRequest& request() const { return request_; }
    size_t eligible() const { return eligible_; }
    size_t hits() const { return std::min(request_.k, eligible_); }
    double products(size_t docs) const { return double(docs) * doc_products_; }
    size_t measured() const { return distances_.size(); }
    double measuring_ns() const { return measuring_ns_; }
    RankProfile::Question question() const {
        return {request_.k, request_.allow.has_value(), eligible_};
    }
    bool is_full() const { return measured() >= hits(); }

    // Measures the first `depth` of ranked docs; what is in `ranked` afterwards are live slots.
    void take(std::vector<Near>& ranked, size_t depth) {
        for (Near& near : ranked) near.slot = table_.slot_of(near.slot);
        std::erase_if(ranked, [](const Near& near) { return near.slot == kNoSlot; });
        const auto begun = Clock::now();
        ranks_.clear();
        for (size_t at = 0; at < std::min(depth, ranked.size()); ++at)
            ranks_.emplace_back(distance_of(ranked[at].slot), uint32_t(at));
        measuring_ns_ += ns_since(begun);
    }

    // Where among the ranked docs the nearest were that `take` has measured.
    std::vector<size_t> ranks_of_hits() const {
        Nearest nearest;
        nearest.reset(request_.k, request_.distance_max);
        for (const auto& [distance, rank] : ranks_) nearest.push(distance, rank);
        std::vector<size_t> ranks;
        for (const Near& near : nearest.sorted()) ranks.push_back(near.slot);
        return ranks;
    }

    void take_all() {
        distances_.clear();
        const auto begun = Clock::now();
        if (request_.allow) {
            take_allowed(*request_.allow);
        } else {
            // The end is read again and again: what takes the place of a doc that goes meanwhile is
            // met.
            for (uint32_t slot = 0; slot < table_.slots(); ++slot)
                if (!table_.is_deleted(slot)) distances_.emplace_back(measure(slot), slot);
        }
        measuring_ns_ += ns_since(begun);
    }

    MultiVectorFound found() const {
        Nearest nearest;
        nearest.reset(request_.k, request_.distance_max);
        for (const auto& [distance, slot] : distances_) nearest.push(distance, slot);
        MultiVectorFound found;
        for (const Near& near : nearest.sorted()) {
            found.docs.push_back(table_.doc_of(near.slot));
            found.distances.push_back(near.distance);
        }
        return found;
    }

  private:
    void take_allowed(const AllowWords& allow) {
        for (size_t word = 0; word < allow.word_count; ++word) {
            for (uint64_t bits = allow.words[word]; bits != 0; bits &= bits - 1) {
                uint32_t doc = uint32_t(word * 64 + size_t(std::countr_zero(bits)));
                uint32_t slot = table_.slot_of(doc);
                if (slot != kNoSlot) distances_.emplace_back(measure(slot), slot);
            }
        }
    }

    float measure(uint32_t slot) const {
        TokenRows::Matrix matrix = table_.matrix_of(slot);
        return packed_.distance(matrix.rows, matrix.count);
    }

    float distance_of(uint32_t slot) {
        auto [place, is_new] = known_.try_emplace(slot, 0.0f);
        if (is_new) {
            place->second = measure(slot);
            distances_.emplace_back(place->second, slot);
        }
        return place->second;
    }

    const TokenRows& table_;
    const MultiVectorRequest& request_;
    MaxSimQuery packed_;
    size_t eligible_ = 0;
    double doc_products_ = 0;
    double measuring_ns_ = 0;
    std::vector<std::pair<float, uint32_t>> distances_;  // of slots
    std::unordered_map<uint32_t, float> known_;          // by slot
    std::vector<std::pair<float, uint32_t>> ranks_;      // distances of ranked docs
};

std::vector<float> MultiVectorIndex::prepared_query(const TokenRows& table, const float* query,
                                                    size_t rows, size_t dimensions) const {
    if (rows == 0) throw std::invalid_argument("the query has no rows");
    if (dimensions != table.dimensions()) throw DimensionError(dimensions, table.dimensions());
    if (!is_finite(query, rows * dimensions))
        throw std::invalid_argument("the query vector holds a value that is not finite");
    std::vector<float> ready(query, query + rows * dimensions);
    if (settings_.metric == Metric::cosine)
        for (size_t at = 0; at < rows; ++at)
            normalise(query + at * dimensions, dimensions, ready.data() + at * dimensions);
    return ready;
}

MultiVectorFound MultiVectorIndex::search(const MultiVectorRequest& request) const {
    State state = this->state();
    if (state.table == nullptr) return {};
    std::vector<float> query =
        prepared_query(*state.table, request.query, request.rows, request.dimensions);
    if (request.k == 0 || std::isnan(request.distance_max)) return {};
    Sieve sieve(*state.table, request, query.data());
    MultiVectorExplanation explanation;
    CandidateRequest wanted = wanted_of(state, sieve);
    wanted.query = query.data();
    if (is_exact(state, wanted, sieve, explanation)) {
        scan(sieve);
    } else {
        explanation.plan = state.candidates->name();
        explanation.gave_up = !sift(state, wanted, sieve, explanation);
        if (explanation.gave_up) {
            scan(sieve);
            explanation.recall = 1.0;
        }
    }
    MultiVectorFound found = sieve.found();
    explanation.measured = sieve.measured();
    found.explanation = explanation;
    return found;
}

void MultiVectorIndex::scan(Sieve& sieve) const {
    const double before = sieve.measuring_ns();
    sieve.take_all();
    costs_.note_products(sieve.products(sieve.measured()), sieve.measuring_ns() - before);
}

CandidateRequest MultiVectorIndex::wanted_of(const State& state, const Sieve& sieve) const {
    const MultiVectorRequest& request = sieve.request();
    CandidateRequest wanted;
    wanted.rows = request.rows;
    wanted.ef = std::max(request.ef, request.k);
    wanted.allow = request.allow ? &*request.allow : nullptr;
    wanted.bounds = request.bounds;
    wanted.table = state.table.get();
    if (state.candidates == nullptr) return wanted;
    wanted.docs = request.is_ef_fixed ? state.candidates->docs_for(request.k, wanted.ef)
                                      : profile_.depth_for(sieve.question(), request.recall);
    return wanted;
}

RouteWork MultiVectorIndex::work_of(const State& state, const CandidateRequest& wanted,
                                    const Sieve& sieve) const {
    return {state.candidates->places(wanted), sieve.products(wanted.docs), wanted.allow != nullptr};
}

// Whether measuring all eligible docs is less work than finding candidates and measuring those.
bool MultiVectorIndex::is_exact(const State& state, const CandidateRequest& wanted,
                                const Sieve& sieve, MultiVectorExplanation& explanation) const {
    auto decide = [&](bool exact, const char* reason) {
        explanation.reason = reason;
        return exact;
    };
    if (state.candidates == nullptr) return decide(true, "so few docs that no graph is kept");
    if (sieve.request().route == Route::exact) return decide(true, "as asked");
    if (sieve.request().route == Route::candidates) return decide(false, "as asked");
    const SearchBounds& bounds = wanted.bounds;
    if (wanted.allow != nullptr && bounds.is_cutoff_set)
        return sieve.eligible() < bounds.flat_search_cutoff
                   ? decide(true, "fewer docs are allowed than flatSearchCutoff")
                   : decide(false, "no fewer docs are allowed than flatSearchCutoff");
    if (sieve.eligible() <= wanted.docs)
        return decide(true, "no more docs are eligible than would be measured anyway");
    const double exact_ns = costs_.scan_ns(sieve.products(sieve.eligible()));
    const double candidates_ns = costs_.candidates_ns(work_of(state, wanted, sieve));
    if (exact_ns > candidates_ns || candidates_ns == 0)
        return decide(false, "candidates are less work than measuring every eligible doc");
    if (costs_.is_look_due())
        return decide(false, "a look whether candidates have become less work");
    return decide(true, "measuring every eligible doc is less work");
}

// Measures candidates. False where it is better to measure all docs after all.
bool MultiVectorIndex::sift(const State& state, CandidateRequest wanted, Sieve& sieve,
                            MultiVectorExplanation& explanation) const {
    const MultiVectorRequest& request = sieve.request();
    // A list may be shorter than what would only be good to know.
    const bool is_known = profile_.recall_at(sieve.question(), 0) >= 0;
    const size_t needed =
        std::min(request.is_ef_fixed || !is_known ? 0 : wanted.docs, sieve.eligible());
    if (!request.is_ef_fixed) wanted.docs = profile_.explored(wanted.docs);
    while (true) {
        const auto begun = Clock::now();
        Gathered gathered = state.candidates->gather(wanted);
        costs_.note_places(work_of(state, wanted, sieve), ns_since(begun));
        const double before_ns = sieve.measuring_ns();
        const size_t before = sieve.measured();
        sieve.take(gathered.ranked, wanted.docs);
        costs_.note_products(sieve.products(sieve.measured() - before),
                             sieve.measuring_ns() - before_ns);
        explanation.ef = wanted.ef;
        explanation.candidates = gathered.ranked.size();
        explanation.visited += gathered.visited;
        ++explanation.walks;
        const size_t depth = std::min(wanted.docs, gathered.ranked.size());
        if (sieve.is_full() && gathered.ranked.size() >= needed) {
            if (!request.is_ef_fixed) profile_.note(sieve.question(), sieve.ranks_of_hits(), depth);
            explanation.recall = profile_.recall_at(sieve.question(), depth);
            return true;
        }
        if (request.is_ef_fixed)
            explanation.overrides = "ef: the walks met fewer docs than were asked for";
        wanted.ef *= 2;
        const double rest_ns = costs_.scan_ns(sieve.products(sieve.eligible()));
        if (wanted.ef >= sieve.eligible() ||
            costs_.candidates_ns(work_of(state, wanted, sieve)) >= rest_ns) {
            explanation.reason = "wider walks would be more work than measuring every eligible doc";
            return false;
        }
    }
}

}  // namespace weft
