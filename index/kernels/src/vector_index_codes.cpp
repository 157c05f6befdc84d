// VectorIndex: its codes: asked for, made in the background, measured again after a search.
#include <algorithm>
#include <limits>
#include <stdexcept>

#include "vector_index.h"

namespace weft {
namespace {

constexpr uint32_t kEncodedASlice = 512;  // a few milliseconds
constexpr size_t kLearnFrom = 10'000;     // vectors before codes that learn are worth it
constexpr size_t kLearnAgainAfter = 4;    // times as many, up to the training limit

// What `count` vectors are enough to learn from, in stages of growth; 0 where they are too few.
size_t learning_stage(const CodeSettings& settings, size_t count) {
    size_t least = std::min<uint64_t>(kLearnFrom, settings.training_limit);
    if (count < least) return 0;
    size_t stage = least;
    while (stage < settings.training_limit && stage * kLearnAgainAfter <= count)
        stage *= kLearnAgainAfter;
    return stage;
}

// Vectors at even distances among those that are live, `most` of them at most.
std::vector<float> sample_of(const Graph& graph, size_t most) {
    const size_t dimensions = graph.settings().dimensions;
    std::vector<uint32_t> slots;
    for (uint32_t slot = 0; slot < graph.count(); ++slot)
        if (!graph.is_deleted(slot)) slots.push_back(slot);
    const size_t taken = std::min(most, slots.size());
    std::vector<float> rows(taken * dimensions);
    for (size_t at = 0; at < taken; ++at) {
        const float* row = graph.vector_of(slots[at * slots.size() / taken]);
        std::copy(row, row + dimensions, rows.data() + at * dimensions);
    }
    return rows;
}

}  // namespace

std::optional<CodeSettings> VectorIndex::wanted_codes() const {
    if (!wants_codes_.load(std::memory_order_acquire)) return std::nullopt;
    std::lock_guard guard(wanted_mutex_);
    return wanted_codes_;
}

void VectorIndex::set_codes(const std::optional<CodeSettings>& settings) {
    std::shared_ptr<Graph> graph = this->graph();
    if (settings)
        check_codes(*settings, settings_.graph.metric,
                    graph == nullptr ? 0 : graph->settings().dimensions);
    {
        std::lock_guard guard(wanted_mutex_);
        wanted_codes_ = settings;
        codes_fault_.clear();
        wants_codes_.store(settings.has_value(), std::memory_order_release);
        if (settings) rescore_limit_.store(settings->rescore_limit);
    }
    if (graph != nullptr) look_after_codes(*graph);
}

std::shared_ptr<const Codes> VectorIndex::codes() const {
    std::shared_ptr<Graph> graph = this->graph();
    std::shared_ptr<CodeTable> table = graph == nullptr ? nullptr : graph->code_table();
    return table == nullptr ? nullptr : table->codes;
}

std::string VectorIndex::codes_fault() const {
    std::lock_guard guard(wanted_mutex_);
    return codes_fault_;
}

// Gives a graph without vectors its codes at once, where they need no learning.
void VectorIndex::begin_codes(Graph& fresh) {
    std::optional<CodeSettings> wanted = wanted_codes();
    if (!wanted || wanted->is_trained()) return;
    try {
        const GraphSettings& settings = fresh.settings();
        fresh.set_code_table(std::make_shared<CodeTable>(
            Codes::restore(*wanted, settings.metric, settings.dimensions, {})));
    } catch (const std::invalid_argument& error) {
        give_up_codes(error.what());
    }
}

void VectorIndex::give_up_codes(const std::string& reason) {
    std::lock_guard guard(wanted_mutex_);
    codes_fault_ = reason;
    wanted_codes_.reset();
    wants_codes_.store(false, std::memory_order_release);
}

// Whether a graph's codes are others than the ones that are asked for.
bool VectorIndex::codes_are_due(const Graph& graph) const {
    std::optional<CodeSettings> wanted = wanted_codes();
    std::shared_ptr<CodeTable> table = graph.code_table();
    if (!wanted) return table != nullptr;
    bool is_same = table != nullptr && table->codes->settings().makes_same_codes(*wanted);
    if (!wanted->is_trained()) return !is_same;
    size_t stage = learning_stage(*wanted, graph.live());
    // A change of kind that has too few vectors to learn from drops the codes of before.
    if (stage == 0) return table != nullptr && !is_same;
    return !is_same || table->learned_from < stage;
}

void VectorIndex::look_after_codes(const Graph& graph) {
    if (!wants_codes_.load(std::memory_order_acquire) && graph.code_table() == nullptr) return;
    if (!codes_are_due(graph)) return;
    coding_.store(true);
    wake_linkers();
}

// Does a part of the work on codes. False where there is none, or another thread is at it.
bool VectorIndex::encode_slice() {
    if (!coding_.load()) return false;
    std::unique_lock guard(encoding_mutex_, std::try_to_lock);
    if (!guard.owns_lock()) return false;
    try {
        return encode_step();
    } catch (const std::invalid_argument& error) {
        encoding_.reset();
        give_up_codes(error.what());
        return true;
    }
}

// Requires: encoding_mutex_ is held.
bool VectorIndex::encode_step() {
    std::shared_ptr<Graph> graph = this->graph();
    if (graph == nullptr || !codes_are_due(*graph)) {
        encoding_.reset();
        coding_.store(false);
        // What was asked for since the look would be forgotten.
        if (graph != nullptr && codes_are_due(*graph)) coding_.store(true);
        return false;
    }
    std::optional<CodeSettings> wanted = wanted_codes();
    if (!wanted || (wanted->is_trained() && learning_stage(*wanted, graph->live()) == 0)) {
        encoding_.reset();
        std::lock_guard writer(writer_mutex_);
        graph->set_code_table(nullptr);
        return true;
    }
    if (!encoding_ || encoding_->graph != graph || !encoding_->settings.makes_same_codes(*wanted)) {
        begin_encoding(graph, *wanted);
        return true;
    }
    if (encoding_->table == nullptr) {
        if (!encoding_->training->step()) return true;
        std::shared_ptr<const Codes> codes =
            Codes::restore(*wanted, graph->settings().metric, graph->settings().dimensions,
                           std::move(encoding_->training->learned));
        encoding_->training.reset();
        encoding_->table = std::make_shared<CodeTable>(std::move(codes));
        encoding_->table->learned_from = encoding_->learned_from;
        return true;
    }
    uint32_t end = std::min(encoding_->at + kEncodedASlice, graph->count());
    encoding_->encode(end);
    if (encoding_->at + kEncodedASlice >= graph->count()) end_encoding();
    return true;
}

void VectorIndex::Encoding::encode(uint32_t end) {
    table->rows.grow(at, end - at);
    for (; at < end; ++at) graph->encode(*table, at);
}

void VectorIndex::begin_encoding(const std::shared_ptr<Graph>& graph,
                                 const CodeSettings& settings) {
    encoding_.reset();
    size_t stage = settings.is_trained() ? learning_stage(settings, graph->live()) : 0;
    std::vector<float> rows;
    if (stage > 0) rows = sample_of(*graph, settings.training_limit);
    encoding_.emplace();
    encoding_->graph = graph;
    encoding_->settings = settings;
    encoding_->learned_from = stage;
    encoding_->training = CodeTraining::begin(settings, graph->settings().metric,
                                              graph->settings().dimensions, std::move(rows));
}

void VectorIndex::end_encoding() {
    std::lock_guard writer(writer_mutex_);
    // From here until the codes are the graph's, no vector comes in.
    encoding_->encode(encoding_->graph->count());
    encoding_->graph->set_code_table(encoding_->table);
    encoding_.reset();
}

size_t VectorIndex::rescored(const SearchRequest& request) const {
    int64_t limit = rescore_limit_.load(std::memory_order_relaxed);
    size_t least = limit < 0 ? request.ef : size_t(limit);
    return std::max(request.k, least);
}

// Measures the finds in scratch.nearest by their vectors and keeps the nearest.
void VectorIndex::rescore(const Graph& graph, const float* query, const SearchRequest& request,
                          Scratch& scratch) const {
    const std::vector<Near>& found = scratch.nearest.sorted();
    Measure exact = graph.measure(query);
    scratch.candidates.assign(found.begin(), found.end());
    const size_t count = scratch.candidates.size();
    scratch.rows.resize(std::max(scratch.rows.size(), count));
    scratch.distances.resize(std::max(scratch.distances.size(), count));
    for (size_t at = 0; at < count; ++at) {
        scratch.rows[at] = exact.row(scratch.candidates[at].slot);
        exact.prefetch(scratch.rows[at]);
    }
    exact.many(scratch.rows.data(), count, scratch.distances.data());
    scratch.nearest.reset(request.k, request.distance_max);
    for (size_t at = 0; at < count; ++at)
        scratch.nearest.push(scratch.distances[at], scratch.candidates[at].slot);
}

}  // namespace weft
