// CommitLog: playing a file back. Every number is checked before it is used: checksums keep out
// damage, not a file that was written wrongly or forged.
#include <algorithm>
#include <cstring>
#include <system_error>

#include "checksum.h"
#include "commit_log.h"
#include "commit_log_format.h"
#include "file.h"

namespace weft {
namespace {

struct LogDamage : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// A payload, read word by word.
class Words {
  public:
    Words(const char* bytes, size_t length) : at_(bytes), end_(bytes + length) {}

    bool is_empty() const { return at_ == end_; }
    uint32_t next() {
        uint32_t word;
        std::memcpy(&word, take(sizeof(word)), sizeof(word));
        return word;
    }
    const char* take(uint64_t length) {
        if (length > uint64_t(end_ - at_)) throw LogDamage("a record is shorter than it says");
        const char* begin = at_;
        at_ += length;
        return begin;
    }

  private:
    const char* at_;
    const char* end_;
};

struct Record {
    LogRecord type;
    const char* payload;
    size_t length;
};

}  // namespace

// Reads records and brings the complete commits to a graph.
class CommitLog::Reader {
  public:
    Reader(Graph& graph, const std::vector<char>& bytes) : graph_(graph), bytes_(bytes) {}

    // Where the last good commit ends. Raises LogDamage after that, with the commits before played.
    void play(uint64_t& good) {
        std::vector<Record> commit;
        uint64_t at = good;
        while (at < bytes_.size()) {
            commit.push_back(record(at));
            at += kLogRecordHead + commit.back().length + sizeof(uint64_t);
            if (commit.back().type != LogRecord::end) continue;
            apply(commit);
            commit.clear();
            good = at;
        }
        if (!commit.empty()) throw LogDamage("the last commit is cut off");
    }

  private:
    Record record(uint64_t at) const {
        const uint64_t left = bytes_.size() - at;
        uint32_t length, type;
        if (left < kLogRecordHead + sizeof(uint64_t)) throw LogDamage("a record is cut off");
        std::memcpy(&length, bytes_.data() + at, sizeof(length));
        std::memcpy(&type, bytes_.data() + at + sizeof(length), sizeof(type));
        if (length > left - kLogRecordHead - sizeof(uint64_t))
            throw LogDamage("a record is cut off");
        uint64_t sum;
        std::memcpy(&sum, bytes_.data() + at + kLogRecordHead + length, sizeof(sum));
        if (checksum(bytes_.data() + at, kLogRecordHead + length) != sum)
            throw LogDamage("a record at byte " + std::to_string(at) + " fails its checksum");
        if (type < uint32_t(LogRecord::nodes) || type > uint32_t(LogRecord::end))
            throw LogDamage("a record is of an unknown type");
        return {LogRecord(type), bytes_.data() + at + kLogRecordHead, length};
    }

    // A first pass looks at everything, so that a bad commit changes nothing.
    void apply(const std::vector<Record>& commit) {
        const LogEnd end = end_of(commit.back());
        check_nodes(commit, end);
        for (const Record& record : commit)
            if (record.type == LogRecord::lists) walk_lists(record, end, false);
        for (const Record& record : commit)
            if (record.type == LogRecord::nodes) add_nodes(record);
        graph_.base_.grow(0, end.linked);
        for (const Record& record : commit) {
            if (record.type == LogRecord::lists) walk_lists(record, end, true);
            if (record.type == LogRecord::deleted) mark_deleted(record);
        }
        finish(end);
    }

    LogEnd end_of(const Record& record) const {
        LogEnd end;
        if (record.length != sizeof(end)) throw LogDamage("an end has another length");
        std::memcpy(&end, record.payload, sizeof(end));
        const bool has_entry = end.entry_slot != kNoSlot;
        if (end.slots > kSlotsMax || end.slots < graph_.count() || end.linked > end.slots ||
            end.linked < graph_.linked() || has_entry != (end.entry_level >= 0) ||
            (has_entry && end.entry_slot >= end.linked))
            throw LogDamage("an end contradicts what was before it");
        return end;
    }

    void check_nodes(const std::vector<Record>& commit, const LogEnd& end) {
        levels_.clear();
        for (const Record& record : commit) {
            if (record.type == LogRecord::deleted) {
                Words words(record.payload, record.length);
                while (!words.is_empty())
                    if (words.next() >= end.slots) throw LogDamage("a deleted slot is not there");
            }
            if (record.type != LogRecord::nodes) continue;
            Words words(record.payload, record.length);
            const uint32_t first = words.next();
            const uint64_t count = words.next();
            if (first != graph_.count() + levels_.size())
                throw LogDamage("nodes do not follow each other");
            for (uint64_t at = 0; at < count; ++at)
                if (words.next() == kNoSlot) throw LogDamage("a doc id is out of range");
            for (uint64_t at = 0; at < count; ++at) {
                const uint32_t level = words.next();
                if (level > kLevelMax) throw LogDamage("a level is out of range");
                levels_.push_back(uint8_t(level));
            }
            words.take(count * graph_.settings_.dimensions * sizeof(float));
            if (!words.is_empty()) throw LogDamage("a record is longer than it says");
        }
        if (end.slots != graph_.count() + levels_.size())
            throw LogDamage("an end contradicts its nodes");
        if (end.entry_level >= 0 && level_of(end.entry_slot) != uint32_t(end.entry_level))
            throw LogDamage("an entry contradicts its node");
    }

    uint32_t level_of(uint32_t slot) const {
        return slot < graph_.count() ? graph_.nodes_.row(slot)->level
                                     : levels_[slot - graph_.count()];
    }

    void walk_lists(const Record& record, const LogEnd& end, bool is_writing) {
        Words words(record.payload, record.length);
        while (!words.is_empty()) {
            const uint32_t slot = words.next();
            const uint32_t lists = words.next();
            if (slot >= end.linked) throw LogDamage("a list belongs to no node");
            if (lists != 1 && lists != 1 + level_of(slot))
                throw LogDamage("a node has another number of lists than its level says");
            if (is_writing && lists > 1) graph_.reserve_upper(slot, int(lists) - 1);
            for (uint32_t level = 0; level < lists; ++level) {
                const uint32_t used = words.next();
                const uint32_t width = graph_.width_of(int(level));
                if (used > width) throw LogDamage("a list is too long");
                const char* from = words.take(uint64_t(used) * sizeof(uint32_t));
                if (is_writing)
                    write_list(graph_.links_of(slot, int(level)), from, used, width);
                else
                    check_list(from, used, end);
            }
        }
    }

    static void check_list(const char* from, uint32_t used, const LogEnd& end) {
        for (uint32_t at = 0; at < used; ++at) {
            uint32_t word;
            std::memcpy(&word, from + at * sizeof(word), sizeof(word));
            if (word == 0 || word > end.linked) throw LogDamage("a link leads nowhere");
        }
    }

    static void write_list(Graph::Link* links, const char* from, uint32_t used, uint32_t width) {
        for (uint32_t at = 0; at < width; ++at) {
            uint32_t word = 0;
            if (at < used) std::memcpy(&word, from + at * sizeof(word), sizeof(word));
            links[at].store(word, std::memory_order_relaxed);
        }
    }

    void add_nodes(const Record& record) {
        Words words(record.payload, record.length);
        const uint32_t first = words.next();
        const uint32_t count = words.next();
        const size_t dimensions = graph_.settings_.dimensions;
        std::vector<uint32_t> docs(count);
        std::vector<float> rows(count * dimensions);
        std::memcpy(docs.data(), words.take(count * sizeof(uint32_t)), count * sizeof(uint32_t));
        words.take(count * sizeof(uint32_t));
        std::memcpy(rows.data(), words.take(rows.size() * sizeof(float)),
                    rows.size() * sizeof(float));
        const uint32_t before = graph_.count();
        graph_.append(docs.data(), rows.data(), count);
        for (uint32_t at = 0; at < count; ++at)
            graph_.nodes_.row(first + at)->level = levels_[at + replayed_];
        replayed_ += graph_.count() - before;
    }

    void mark_deleted(const Record& record) {
        Words words(record.payload, record.length);
        while (!words.is_empty()) {
            std::atomic<uint8_t>& flags = graph_.nodes_.row(words.next())->flags;
            if ((flags.fetch_or(Graph::kDeleted) & Graph::kDeleted) == 0) graph_.deleted_++;
        }
    }

    void finish(const LogEnd& end) {
        for (uint32_t slot = graph_.linked(); slot < end.linked; ++slot)
            graph_.nodes_.row(slot)->flags.fetch_or(Graph::kLinked);
        graph_.claimed_.store(end.linked);
        graph_.linked_.store(end.linked);
        if (end.entry_level >= 0)
            graph_.entry_.store(uint64_t(end.entry_level + 1) << 32 | end.entry_slot);
        replayed_ = 0;
    }

    Graph& graph_;
    const std::vector<char>& bytes_;
    std::vector<uint8_t> levels_;  // of the nodes that a commit adds
    size_t replayed_ = 0;          // of them are in the graph
};

std::unique_ptr<CommitLog> CommitLog::replay(const std::shared_ptr<Graph>& graph,
                                             const std::string& snapshot_path,
                                             uint64_t generation) {
    auto log = std::make_unique<CommitLog>(graph, snapshot_path, generation, graph->count());
    std::vector<char> bytes;
    try {
        File file = File::open_to_read(path_for(snapshot_path));
        bytes.resize(size_t(file.size()));
        if (!file.read(0, bytes.data(), bytes.size())) throw LogDamage("the log is cut off");
    } catch (const std::system_error& error) {
        if (error.code() != std::errc::no_such_file_or_directory) log->fault_ = error.what();
        return log;
    } catch (const LogDamage& damage) {
        log->fault_ = damage.what();
        return log;
    }
    LogHeader header;
    if (bytes.size() < sizeof(header)) {
        log->fault_ = "the log is cut off";
        return log;
    }
    std::memcpy(&header, bytes.data(), sizeof(header));
    if (header.checksum != header.own_checksum() ||
        std::memcmp(header.magic, kLogMagic, sizeof(kLogMagic)) != 0 ||
        header.version != kLogVersion || header.byte_order != kLogByteOrder) {
        log->fault_ = "the header of the log is damaged or of another version";
        return log;
    }
    // The log of a snapshot before this one: the crash came before a commit to this one.
    if (header.generation != generation || header.dimensions != graph->settings_.dimensions ||
        header.links != graph->settings_.links)
        return log;
    log->bytes_ = sizeof(header);
    try {
        Reader(*graph, bytes).play(log->bytes_);
    } catch (const LogDamage& damage) {
        log->fault_ = damage.what();
    }
    log->slots_ = graph->count();
    return log;
}

}  // namespace weft
