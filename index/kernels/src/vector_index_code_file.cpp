// VectorIndex: its code file: what a start takes from it, and how it is kept up to date.
#include <cstdio>
#include <stdexcept>

#include "vector_index.h"

namespace weft {
namespace {

constexpr uint32_t kEncodedWhileLoading = 4096;  // some ten milliseconds; more, in the background

}  // namespace

// Before the snapshot is read: what was learned is worth having where the rest is lost. Requires:
// save_mutex_ and encoding_mutex_ are held.
void VectorIndex::open_codes(const std::string& path) {
    code_file_.emplace(path);
    if (wanted_codes()) learned_ = code_file_->open();
}

// Gives a graph that was just loaded its codes. Requires: save_mutex_, encoding_mutex_ and
// writer_mutex_ are held.
void VectorIndex::take_codes(const std::shared_ptr<Graph>& graph) {
    std::optional<CodeSettings> wanted = wanted_codes();
    if (!wanted || !learned_ || !learned_->serves(*wanted, graph->settings())) return;
    LearnedCodes learned = *std::exchange(learned_, std::nullopt);
    auto work = std::make_shared<Encoding>();
    work->graph = graph;
    work->settings = *wanted;
    work->learned_from = learned.from;
    try {
        work->begin_table(std::move(learned.values));
    } catch (const std::invalid_argument&) {
        return;  // A forged file. Codes are made as for a graph without one.
    }
    work->at = code_file_->read(*graph, work->table);
    // What was learned from other vectors may not suit these.
    if (work->at == 0 && !code_file_->fault().empty()) return;
    encoding_ = std::move(work);
    const uint32_t count = graph->count();
    if (count - encoding_->at > kEncodedWhileLoading) return;
    encoding_->run(encoding_->at, count);
    graph->set_code_table(encoding_->table);
    encoding_.reset();
}

// Requires: save_mutex_ is held.
void VectorIndex::save_codes(const std::shared_ptr<Graph>& graph, const std::string& path) {
    std::optional<CodeSettings> wanted = wanted_codes();
    if (!wanted || graph == nullptr) {
        code_file_.reset();
        std::remove(CodeFile::path_for(path).c_str());
        return;
    }
    std::shared_ptr<CodeTable> table = graph->code_table();
    // While codes are made, the file of before still says what was learned.
    if (table == nullptr || !table->codes->settings().makes_same_codes(*wanted)) return;
    if (!code_file_ || code_file_->path() != CodeFile::path_for(path)) code_file_.emplace(path);
    code_file_->save(*graph, table);
}

size_t VectorIndex::unsaved_codes() const {
    std::lock_guard guard(save_mutex_);
    std::shared_ptr<Graph> graph = this->graph();
    std::shared_ptr<CodeTable> table = graph == nullptr ? nullptr : graph->code_table();
    if (table == nullptr || (code_file_ && code_file_->has(table))) return 0;
    return graph->count();
}

std::string VectorIndex::code_file_fault() const {
    std::lock_guard guard(save_mutex_);
    return code_file_ ? code_file_->fault() : std::string();
}

}  // namespace weft
