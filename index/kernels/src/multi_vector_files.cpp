// MultiVectorIndex: its files, and the upkeep of the candidates' graph.
#include <algorithm>
#include <cstdio>
#include <system_error>

#include "code_file.h"
#include "multi_vector_index.h"
#include "snapshot.h"

namespace weft {
namespace {

void remove_graph(const std::string& path) {
    std::remove(path.c_str());
    std::remove(CommitLog::path_for(path).c_str());
    std::remove(CodeFile::path_for(path).c_str());
}

}  // namespace

MatrixSpace MultiVectorIndex::space() const {
    return {settings_.muvera.value_or(MuveraSettings{0, 0, 0}), settings_.graph.graph.seed};
}

std::string MultiVectorIndex::save(const std::string& path) {
    std::lock_guard guard(save_mutex_);
    State state = this->state();
    // Out of its place while something may fail: what a log knows of its file is wrong then.
    std::unique_ptr<MatrixLog> log = std::move(log_);
    if (state.table == nullptr) {
        std::remove(path.c_str());
        if (log) remove_graph(log->graph_path());
        return "";
    }
    if (!log || log->path() != path || log->generation() != state.generation)
        log = std::make_unique<MatrixLog>(path, space(), state.generation);
    const std::string graph_path = log->graph_path();
    // The graph first: a file of matrices never names a graph that is still to come. What the graph
    // knows more than the file is dropped when both are loaded.
    if (state.candidates != nullptr)
        state.candidates->graph().save(graph_path);
    else
        remove_graph(graph_path);
    log->save(state.table);
    log_ = std::move(log);
    return graph_path;
}

std::vector<uint32_t> MultiVectorIndex::load(const std::string& path, const AllowWords& live) {
    std::lock_guard saving(save_mutex_);
    std::lock_guard guard(writer_mutex_);
    if (this->state().table != nullptr) throw std::invalid_argument("the index is not empty");
    State state;
    std::unique_ptr<MatrixLog> log = MatrixLog::load(path, space(), live, state.table);
    docs_end_.store(log->docs_end(), std::memory_order_relaxed);
    std::string fault = log->fault();
    std::vector<uint32_t> missing;
    for (uint32_t word = 0; word < live.word_count; ++word)
        for (uint32_t bit = 0; bit < 64; ++bit)
            if (((live.words[word] >> bit) & 1) != 0 &&
                state.table->slot_of(word * 64 + bit) == kNoSlot)
                missing.push_back(word * 64 + bit);
    if (state.table->live() == 0) {
        set_load_fault(fault);
        return missing;
    }
    state.generation = log->generation();
    next_token_ = log->token_end();
    if (state.table->live() >= settings_.candidate_docs_min) {
        const std::string of_graph = load_candidates(state, log->graph_path());
        if (!of_graph.empty()) fault += (fault.empty() ? "" : "; ") + of_graph;
    }
    log_ = std::move(log);
    set_state(state);
    set_load_fault(fault);
    return missing;
}

// Gives what went wrong and is built again. Requires: save_mutex_ and writer_mutex_ are held.
std::string MultiVectorIndex::load_candidates(State& state, const std::string& path) {
    std::string fault;
    try {
        state.candidates = make_candidates(state.table->dimensions());
        state.candidates->load(path, *state.table);
        // Tokens that only the graph knows are not given out again: the graph that is loaded beside
        // these matrices the next time may still be this one.
        if (!settings_.muvera)
            next_token_ = std::max(next_token_, uint32_t(state.candidates->graph().docs_end()));
        return state.candidates->graph().log_fault();
    } catch (const SnapshotError& error) {
        fault = error.what();
    } catch (const std::system_error& error) {
        fault = error.what();
    }
    state.candidates = make_candidates(state.table->dimensions());
    state.candidates->add(*state.table, 0, state.table->slots());
    return "the graph of the candidates is built again: " + fault;
}

void MultiVectorIndex::set_load_fault(const std::string& fault) {
    std::lock_guard guard(state_mutex_);
    load_fault_ = fault;
}

std::string MultiVectorIndex::load_fault() const {
    std::lock_guard guard(state_mutex_);
    return load_fault_;
}

size_t MultiVectorIndex::deleted() const {
    State state = this->state();
    return state.candidates == nullptr ? 0 : state.candidates->graph().deleted();
}

uint64_t MultiVectorIndex::compactions() const {
    State state = this->state();
    return state.candidates == nullptr ? 0 : state.candidates->graph().compactions();
}

uint64_t MultiVectorIndex::log_bytes() const {
    State state = this->state();
    return state.candidates == nullptr ? 0 : state.candidates->graph().log_bytes();
}

void MultiVectorIndex::compact(double share) {
    std::lock_guard guard(writer_mutex_);
    State state = this->state();
    shrink_table(state, share);
    if (state.candidates != nullptr) state.candidates->graph().compact(share);
}

VectorIndex::CompactionRoom MultiVectorIndex::compaction_room(double share) const {
    State state = this->state();
    VectorIndex::CompactionRoom room;
    if (state.candidates != nullptr) room = state.candidates->graph().compaction_room(share);
    if (state.table != nullptr) room.memory += table_room(*state.table, share);
    return room;
}

VectorIndex::CompactionBytes MultiVectorIndex::compaction_bytes() const {
    State state = this->state();
    if (state.candidates == nullptr) return {};
    return state.candidates->graph().compaction_bytes();
}

size_t MultiVectorIndex::code_bytes() const {
    State state = this->state();
    if (state.candidates == nullptr) return 0;
    std::shared_ptr<const Codes> codes = state.candidates->graph().codes();
    return codes == nullptr ? 0 : codes->words() * sizeof(float);
}

std::string MultiVectorIndex::code_file_fault() const {
    State state = this->state();
    return state.candidates == nullptr ? "" : state.candidates->graph().code_file_fault();
}

size_t MultiVectorIndex::unsaved_codes() const {
    State state = this->state();
    return state.candidates == nullptr ? 0 : state.candidates->graph().unsaved_codes();
}

}  // namespace weft
