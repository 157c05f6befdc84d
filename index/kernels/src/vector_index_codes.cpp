// VectorIndex: its codes: asked for, made in the background, measured again after a search.
#include <algorithm>
#include <limits>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "row_file.h"
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
    if (most == 0) return {};
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
    if (!wants_codes_.load(std::memory_order_acquire) && graph.code_table() == nullptr &&
        !graph.has_rows_in_file())
        return;
    if (!codes_are_due(graph) && !rows_are_due(graph)) return;
    coding_.store(true);
    wake_linkers();
}

// Does a part of the work on codes. False where there is none, or other threads are at the rest.
bool VectorIndex::encode_slice() {
    if (!coding_.load()) return false;
    std::unique_lock lock(encoding_mutex_, std::try_to_lock);
    if (!lock.owns_lock()) return false;
    try {
        if (!prepare_encoding()) return false;
        return encoding_ == nullptr || share_encoding(lock);
    } catch (const std::invalid_argument& error) {
        if (!lock.owns_lock()) lock.lock();
        encoding_.reset();
        give_up_codes(error.what());
        return true;
    }
}

// Looks whether there is anything to do, and does what cannot be shared. True where it did or
// `encoding_` is what is asked for. Requires: encoding_mutex_ is held.
bool VectorIndex::prepare_encoding() {
    std::shared_ptr<Graph> graph = this->graph();
    if (graph == nullptr || !codes_are_due(*graph)) {
        encoding_.reset();
        if (graph != nullptr && rows_are_due(*graph)) {
            move_rows(*graph);
            return true;
        }
        coding_.store(false);
        // What was asked for since the look would be forgotten.
        if (graph != nullptr && (codes_are_due(*graph) || rows_are_due(*graph)))
            coding_.store(true);
        return false;
    }
    std::optional<CodeSettings> wanted = wanted_codes();
    if (!wanted || (wanted->is_trained() && learning_stage(*wanted, graph->live()) == 0)) {
        encoding_.reset();
        std::lock_guard writer(writer_mutex_);
        graph->set_code_table(nullptr);
        return true;
    }
    if (!encoding_ || encoding_->graph != graph || !encoding_->settings.makes_same_codes(*wanted))
        begin_encoding(graph, *wanted);
    return true;
}

// Does a part of what `encoding_` needs, with the lock released. False where others do the rest.
bool VectorIndex::share_encoding(std::unique_lock<std::mutex>& lock) {
    std::shared_ptr<Encoding> work = encoding_;
    const bool learns = work->table == nullptr;
    const uint32_t count = learns ? uint32_t(work->training->steps()) : work->graph->count();
    const uint32_t part = learns ? 1 : kEncodedASlice;
    // The last rows are encoded while no vector comes in.
    if (learns ? work->at == count : work->at + part >= count) {
        if (work->running > 0) return false;
        if (learns)
            work->begin_table(std::move(work->training->learned));
        else
            end_encoding();
        return true;
    }
    const uint32_t begin = work->at;
    work->at += part;
    if (!learns) work->table->rows.grow(begin, part);
    ++work->running;
    lock.unlock();
    try {
        work->run(begin, begin + part);
    } catch (...) {
        lock.lock();
        --work->running;
        throw;
    }
    lock.lock();
    --work->running;
    return true;
}

void VectorIndex::Encoding::run(uint32_t begin, uint32_t end) {
    if (table != nullptr)
        graph->encode(*table, begin, end);
    else
        training->step(begin);
}

// Raises std::invalid_argument where nobody can have learned this.
void VectorIndex::Encoding::begin_table(std::vector<float> learned) {
    const GraphSettings& shape = graph->settings();
    table = std::make_shared<CodeTable>(
        Codes::restore(settings, shape.metric, shape.dimensions, std::move(learned)));
    table->learned_from = learned_from;
    training.reset();
    at = 0;
}

// Requires: encoding_mutex_ is held.
void VectorIndex::begin_encoding(const std::shared_ptr<Graph>& graph,
                                 const CodeSettings& settings) {
    encoding_.reset();
    auto work = std::make_shared<Encoding>();
    work->graph = graph;
    work->settings = settings;
    work->learned_from = settings.is_trained() ? learning_stage(settings, graph->live()) : 0;
    std::optional<LearnedCodes> learned = std::exchange(learned_, std::nullopt);
    if (learned && learned->serves(settings, graph->settings()) &&
        learned->from >= work->learned_from) {
        work->learned_from = learned->from;
        work->begin_table(std::move(learned->values));
    } else {
        work->training =
            CodeTraining::begin(settings, graph->settings().metric, graph->settings().dimensions,
                                sample_of(*graph, settings.sample_count()));
    }
    encoding_ = std::move(work);
}

// Requires: encoding_mutex_ is held, and nobody runs a part.
void VectorIndex::end_encoding() {
    std::lock_guard writer(writer_mutex_);
    // From here until the codes are the graph's, no vector comes in.
    const uint32_t count = encoding_->graph->count();
    if (encoding_->at < count) {
        encoding_->table->rows.grow(encoding_->at, count - encoding_->at);
        encoding_->run(encoding_->at, count);
    }
    encoding_->graph->set_code_table(encoding_->table);
    encoding_.reset();
}

void VectorIndex::set_row_directory(const std::string& directory) {
    {
        std::lock_guard guard(wanted_mutex_);
        row_directory_ = directory;
        moves_rows_.store(!directory.empty());
    }
    if (std::shared_ptr<Graph> graph = this->graph()) look_after_codes(*graph);
}

// Whether vectors are in memory that codes stand for, or in the file though nothing does.
bool VectorIndex::rows_are_due(const Graph& graph) const {
    if (!moves_rows_.load()) return false;
    bool has_codes = graph.code_table() != nullptr;
    // A file each for thousands of small indexes would be too many.
    if (has_codes && !graph.has_rows_in_file()) return graph.can_rows_leave();
    return has_codes != graph.has_rows_in_file() || graph.has_misplaced_rows();
}

// Gives a graph that has codes a file for its vectors. Requires: writer_mutex_ is held, or nobody
// else knows the graph.
void VectorIndex::place_rows(Graph& graph) {
    if (!moves_rows_.load()) return;
    std::string directory;
    {
        std::lock_guard guard(wanted_mutex_);
        directory = row_directory_;
    }
    try {
        graph.rows().keep_in(RowFile::create(directory));
    } catch (const std::system_error& error) {
        keep_rows_in_memory(error.what());
    }
}

void VectorIndex::keep_rows_in_memory(const std::string& reason) {
    std::lock_guard guard(wanted_mutex_);
    moves_rows_.store(false);
    codes_fault_ = "the vectors stay in memory: " + reason;
}

// Moves one chunk of vectors. Requires: encoding_mutex_ is held.
void VectorIndex::move_rows(Graph& graph) {
    Chunks<float>& rows = graph.rows();
    bool has_codes = graph.code_table() != nullptr;
    if (has_codes != rows.has_file()) {
        std::lock_guard writer(writer_mutex_);
        if (has_codes)
            place_rows(graph);
        else
            rows.keep_in(nullptr);
        return;
    }
    std::optional<size_t> chunk = rows.misplaced(graph.count());
    if (!chunk) return;
    bool is_moved = false;
    if (has_codes) {
        std::optional<Chunks<float>::Move> move = rows.begin_move(*chunk, graph.count());
        std::lock_guard writer(writer_mutex_);
        is_moved = move && rows.end_move(*move, graph.count());
    } else {
        std::lock_guard writer(writer_mutex_);
        is_moved = rows.move_back(*chunk);
    }
    if (!is_moved) keep_rows_in_memory("there is no room to move them");
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
