// CommitLog: writing commits.
#include "commit_log.h"

#include <cstring>

#include "checksum.h"
#include "commit_log_format.h"
#include "file.h"
#include "snapshot.h"

namespace weft {

// Collects records in memory: a commit is written in one go.
class CommitLog::Writer {
  public:
    void begin(LogRecord type) {
        begin_ = bytes_.size();
        put(uint32_t{0});
        put(uint32_t(type));
    }

    void put(uint32_t word) { put(&word, sizeof(word)); }
    void put(const void* from, size_t length) {
        const char* at = static_cast<const char*>(from);
        bytes_.insert(bytes_.end(), at, at + length);
    }

    size_t payload() const { return bytes_.size() - begin_ - kLogRecordHead; }

    void end() {
        uint32_t length = uint32_t(payload());
        std::memcpy(bytes_.data() + begin_, &length, sizeof(length));
        uint64_t sum = checksum(bytes_.data() + begin_, bytes_.size() - begin_);
        put(&sum, sizeof(sum));
    }

    // Ends a record that has become long and begins another one.
    void cut(LogRecord type) {
        if (payload() < kLogPayload) return;
        end();
        begin(type);
    }

    const std::vector<char>& bytes() const { return bytes_; }

  private:
    std::vector<char> bytes_;
    size_t begin_ = 0;
};

CommitLog::CommitLog(const std::shared_ptr<Graph>& graph, const std::string& snapshot_path,
                     uint64_t generation, uint32_t slots)
    : graph_(graph), snapshot_path_(snapshot_path), generation_(generation), slots_(slots) {}

bool CommitLog::continues(const std::shared_ptr<Graph>& graph,
                          const std::string& snapshot_path) const {
    return graph_.lock() == graph && snapshot_path_ == snapshot_path;
}

uint64_t CommitLog::bytes_after(const Graph& graph) const {
    const uint32_t linked = graph.linked();
    uint64_t changed = 0;
    for (uint32_t slot = 0; slot < linked; ++slot)
        changed +=
            (graph.nodes_.row(slot)->flags.load(std::memory_order_relaxed) & Graph::kChanged) != 0;
    const uint64_t fresh = graph.count() - slots_;
    return bytes_ + changed * (3 + graph.settings_.links) * sizeof(uint32_t) +
           fresh * (2 + graph.settings_.dimensions) * sizeof(uint32_t);
}

void CommitLog::create() const {
    LogHeader header{};
    std::memcpy(header.magic, kLogMagic, sizeof(kLogMagic));
    header.version = kLogVersion;
    header.byte_order = kLogByteOrder;
    header.generation = generation_;
    std::shared_ptr<Graph> graph = graph_.lock();
    header.dimensions = graph->settings_.dimensions;
    header.links = graph->settings_.links;
    header.checksum = header.own_checksum();
    File file = File::create(path_for(snapshot_path_));
    file.append(&header, sizeof(header));
}

void CommitLog::commit(Graph& graph) {
    // In this order: an entry that is linked later than `linked` says is not used.
    const uint32_t linked = graph.linked();
    const uint32_t entry = Snapshot::pick_entry(graph, linked);
    const uint32_t count = graph.count();
    Writer writer;
    put_nodes(graph, count, writer);
    put_changes(graph, linked, writer);
    writer.begin(LogRecord::end);
    writer.put(count);
    writer.put(linked);
    writer.put(entry);
    writer.put(entry == kNoSlot ? 0xFFFFFFFFu : uint32_t(graph.nodes_.row(entry)->level));
    writer.end();
    if (bytes_ == 0) {
        create();
        bytes_ = sizeof(LogHeader);
    }
    File file = File::open_to_append(path_for(snapshot_path_), bytes_);
    file.append(writer.bytes().data(), writer.bytes().size());
    bytes_ += writer.bytes().size();
    slots_ = count;
}

void CommitLog::put_nodes(const Graph& graph, uint32_t count, Writer& writer) const {
    const uint32_t dimensions = graph.settings_.dimensions;
    const uint32_t most = uint32_t(kLogPayload / ((2 + size_t(dimensions)) * sizeof(uint32_t)) + 1);
    for (uint32_t first = slots_; first < count;) {
        const uint32_t end = std::min(count, first + most);
        writer.begin(LogRecord::nodes);
        writer.put(first);
        writer.put(end - first);
        for (uint32_t slot = first; slot < end; ++slot) writer.put(graph.doc_of(slot));
        for (uint32_t slot = first; slot < end; ++slot) writer.put(graph.nodes_.row(slot)->level);
        for (uint32_t slot = first; slot < end; ++slot)
            writer.put(graph.vector_of(slot), dimensions * sizeof(float));
        writer.end();
        first = end;
    }
}

// Writes the lists of marked nodes. The mark goes before the lists are read: what changes later
// marks the node again.
void CommitLog::put_changes(Graph& graph, uint32_t linked, Writer& writer) {
    std::vector<uint32_t> deleted;
    writer.begin(LogRecord::lists);
    for (uint32_t slot = 0; slot < linked; ++slot) {
        std::atomic<uint8_t>& flags = graph.nodes_.row(slot)->flags;
        if ((flags.load(std::memory_order_relaxed) & Graph::kChanged) == 0) continue;
        const uint8_t were = flags.fetch_and(uint8_t(~Graph::kChanged), std::memory_order_acq_rel);
        if ((were & Graph::kDeleted) != 0) deleted.push_back(slot);
        const bool is_whole = put_lists(graph, slot, linked, writer);
        if (!is_whole) flags.fetch_or(Graph::kChanged, std::memory_order_release);
        writer.cut(LogRecord::lists);
    }
    writer.end();
    writer.begin(LogRecord::deleted);
    for (uint32_t slot : deleted) writer.put(slot);
    writer.end();
}

// False where links to nodes past `linked` were left out.
bool CommitLog::put_lists(const Graph& graph, uint32_t slot, uint32_t linked, Writer& writer) {
    const Graph::Node* node = graph.nodes_.row(slot);
    const int top = node->upper.load(std::memory_order_acquire) == 0 ? 0 : node->level;
    bool is_whole = true;
    std::vector<uint32_t>& list = Scratch::of_this_thread().slots;
    writer.put(slot);
    writer.put(uint32_t(top) + 1);
    for (int level = 0; level <= top; ++level) {
        list.clear();
        const Graph::Link* links = graph.links_of(slot, level);
        for (uint32_t at = 0; at < graph.width_of(level); ++at) {
            const uint32_t word = links[at].load(std::memory_order_acquire);
            if (word != 0 && word <= linked) list.push_back(word);
            is_whole = is_whole && word <= linked;
        }
        writer.put(uint32_t(list.size()));
        writer.put(list.data(), list.size() * sizeof(uint32_t));
    }
    return is_whole;
}

}  // namespace weft
