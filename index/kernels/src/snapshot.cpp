// Snapshot: writing, reading and checking the file.
#include "snapshot.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <exception>
#include <mutex>
#include <random>
#include <thread>

#include "checksum.h"
#include "file.h"

namespace weft {
namespace {

constexpr char kMagic[8] = {'W', 'E', 'F', 'T', 'H', 'N', 'S', 'W'};
constexpr uint32_t kVersion = 2;  // 1 had no generation
constexpr uint32_t kByteOrder = 0x01020304;
constexpr size_t kBlock = size_t{1} << 22;
constexpr uint8_t kDeletedBit = 0x80;
constexpr size_t kReadThreadsMax = 4;

uint64_t new_generation() {
    std::random_device random;
    return uint64_t(random()) << 32 | random();
}

uint64_t section_bytes(uint64_t content) {
    return content + (content + kBlock - 1) / kBlock * sizeof(uint64_t);
}

}  // namespace

struct Snapshot::Header {
    char magic[8];
    uint32_t version;
    uint32_t byte_order;
    uint32_t metric;
    uint32_t dimensions;
    uint32_t stride;
    uint32_t links;
    uint32_t ef_construction;
    uint32_t entry_slot;
    int32_t entry_level;
    uint32_t slots;
    uint32_t linked;
    uint32_t upper_lists;
    uint64_t seed;
    uint64_t generation;
    uint64_t checksum;

    uint32_t upper_links() const { return std::max(2u, links / 2); }
    uint64_t own_checksum() const { return weft::checksum(this, offsetof(Header, checksum)); }

    // Contents of the sections, in order.
    static constexpr int kSections = 6;
    enum Section { docs, levels, uppers, upper_links_section, base_links, rows };
    uint64_t content(int section) const {
        const uint64_t word = sizeof(uint32_t);
        switch (section) {
            case docs: return word * slots;
            case levels: return slots;
            case uppers: return word * slots;
            case upper_links_section: return word * upper_lists * upper_links();
            case base_links: return word * linked * links;
            default: return word * slots * stride;
        }
    }
    uint64_t offset(int section) const {
        uint64_t at = sizeof(Header);
        for (int before = 0; before < section; ++before) at += section_bytes(content(before));
        return at;
    }
};

// Cuts a section into blocks on its way to the file.
class Snapshot::Writer {
  public:
    explicit Writer(File& file) : file_(file) { block_.reserve(kBlock); }

    void put(const void* bytes, size_t length) {
        const char* at = static_cast<const char*>(bytes);
        while (length > 0) {
            size_t part = std::min(length, kBlock - block_.size());
            block_.insert(block_.end(), at, at + part);
            at += part;
            length -= part;
            if (block_.size() == kBlock) end_block();
        }
    }

    void end_section() {
        if (!block_.empty()) end_block();
    }

  private:
    void end_block() {
        uint64_t sum = checksum(block_.data(), block_.size());
        file_.append(block_.data(), block_.size());
        file_.append(&sum, sizeof(sum));
        block_.clear();
    }

    File& file_;
    std::vector<char> block_;
};

// Reads blocks into rows of a table, on a few threads.
class Snapshot::Reader {
  public:
    Reader(const File& file, const Header& header) : file_(file), header_(header) {}

    template <class T>
    void read(int section, const Chunks<T>& table) const {
        size_t row_bytes = table.row_bytes();
        read_blocks(
            section,
            [&](uint64_t first, size_t length, char* spare) {
                // A block that lies in one run of rows is read where it belongs.
                size_t row = size_t(first / row_bytes);
                size_t inside = size_t(first % row_bytes);
                char* target = reinterpret_cast<char*>(table.row(row)) + inside;
                if (inside + length <= table.run_length(row) * row_bytes) return target;
                return spare;
            },
            [&](uint64_t first, size_t length, const char* from) {
                while (length > 0) {
                    size_t row = size_t(first / row_bytes);
                    size_t inside = size_t(first % row_bytes);
                    size_t part = std::min(length, table.run_length(row) * row_bytes - inside);
                    std::memcpy(reinterpret_cast<char*>(table.row(row)) + inside, from, part);
                    first += part;
                    from += part;
                    length -= part;
                }
            });
    }

    template <class T>
    std::vector<T> read_all(int section) const {
        std::vector<T> values(size_t(header_.content(section) / sizeof(T)));
        char* begin = reinterpret_cast<char*>(values.data());
        read_blocks(
            section, [&](uint64_t first, size_t, char*) { return begin + first; },
            [](uint64_t, size_t, const char*) {});
        return values;
    }

  private:
    // `place` says where the bytes [first, first + length) of the section go, in the table or in
    // the spare block it is given; `spread` brings a spare block to its rows.
    template <class Place, class Spread>
    void read_blocks(int section, const Place& place, const Spread& spread) const {
        uint64_t content = header_.content(section);
        uint64_t offset = header_.offset(section);
        uint64_t blocks = (content + kBlock - 1) / kBlock;
        std::atomic<uint64_t> next{0};
        std::mutex mutex;
        std::exception_ptr failure;
        auto work = [&] {
            try {
                std::vector<char> spare;
                for (uint64_t block; (block = next.fetch_add(1)) < blocks;) {
                    uint64_t first = block * kBlock;
                    size_t length = size_t(std::min<uint64_t>(kBlock, content - first));
                    if (spare.empty()) spare.resize(kBlock);
                    char* into = place(first, length, spare.data());
                    read_block(offset + block * (kBlock + sizeof(uint64_t)), into, length);
                    if (into == spare.data()) spread(first, length, into);
                }
            } catch (...) {
                std::lock_guard guard(mutex);
                failure = std::current_exception();
                next.store(blocks);
            }
        };
        size_t count = std::min<size_t>(
            {kReadThreadsMax, size_t(blocks), std::max(1u, std::thread::hardware_concurrency())});
        std::vector<std::thread> threads;
        for (size_t extra = 1; extra < count; ++extra) threads.emplace_back(work);
        work();
        for (std::thread& thread : threads) thread.join();
        if (failure) std::rethrow_exception(failure);
    }

    void read_block(uint64_t offset, char* into, size_t length) const {
        uint64_t sum = 0;
        if (!file_.read(offset, into, length) || !file_.read(offset + length, &sum, sizeof(sum)))
            throw SnapshotError("the snapshot is cut off");
        if (checksum(into, length) != sum)
            throw SnapshotError("a block of the snapshot at byte " + std::to_string(offset) +
                                " fails its checksum");
    }

    const File& file_;
    const Header& header_;
};

// The highest node that has links. Nodes that were deleted before their turn have none.
uint32_t Snapshot::pick_entry(const Graph& graph, uint32_t linked) {
    Graph::Entry entry = graph.entry();
    if (entry.level >= 0 && entry.slot < linked) return entry.slot;
    uint32_t best = kNoSlot;
    for (uint32_t slot = 0; slot < linked; ++slot) {
        const Graph::Node* node = graph.nodes_.row(slot);
        bool is_bare = node->level > 0
                           ? node->upper.load(std::memory_order_acquire) == 0
                           : graph.base_.row(slot)->load(std::memory_order_acquire) == 0;
        if (is_bare) continue;
        if (best == kNoSlot || node->level > graph.nodes_.row(best)->level) best = slot;
    }
    return best;
}

Snapshot::Saved Snapshot::save(Graph& graph, const std::string& path) {
    Header header{};
    std::memcpy(header.magic, kMagic, sizeof(kMagic));
    header.version = kVersion;
    header.byte_order = kByteOrder;
    header.metric = uint32_t(graph.settings_.metric);
    header.dimensions = graph.settings_.dimensions;
    header.stride = graph.stride_;
    header.links = graph.settings_.links;
    header.ef_construction = graph.settings_.ef_construction;
    header.seed = graph.settings_.seed;
    header.generation = new_generation();
    header.linked = graph.linked();
    clear_marks(graph, header.linked);
    header.slots = graph.count();
    {
        // After `linked`: every list of a linked node is counted.
        std::lock_guard guard(graph.upper_mutex_);
        header.upper_lists = graph.upper_count_;
    }
    header.entry_slot = pick_entry(graph, header.linked);
    header.entry_level =
        header.entry_slot == kNoSlot ? -1 : int32_t(graph.nodes_.row(header.entry_slot)->level);
    header.checksum = header.own_checksum();
    std::string beside = path + ".tmp";
    try {
        {
            File file = File::create(beside);
            file.append(&header, sizeof(header));
            Writer writer(file);
            save_sections(graph, header, writer);
            file.sync();
        }
        File::replace(beside, path);
        mark_shortened(graph, header.linked);
        return {header.generation, header.slots, header.offset(Header::kSections)};
    } catch (...) {
        std::remove(beside.c_str());  // on a full disk the half file would be in the way
        throw;
    }
}

// Before anything is read: what changes while the file is written is marked again.
void Snapshot::clear_marks(Graph& graph, uint32_t linked) {
    for (uint32_t slot = 0; slot < linked; ++slot)
        graph.nodes_.row(slot)->flags.fetch_and(uint8_t(~Graph::kChanged),
                                                std::memory_order_acq_rel);
}

// Marks nodes whose links to slots past `linked` were left out of the file.
void Snapshot::mark_shortened(Graph& graph, uint32_t linked) {
    for (uint32_t slot = 0; slot < linked; ++slot) {
        Graph::Node* node = graph.nodes_.row(slot);
        const int top = node->upper.load(std::memory_order_acquire) == 0 ? 0 : node->level;
        uint32_t highest = 0;
        for (int level = 0; level <= top; ++level)
            for (uint32_t at = 0; at < graph.width_of(level); ++at)
                highest = std::max(highest,
                                   graph.links_of(slot, level)[at].load(std::memory_order_acquire));
        if (highest > linked) node->flags.fetch_or(Graph::kChanged, std::memory_order_release);
    }
}

void Snapshot::save_sections(const Graph& graph, const Header& header, Writer& writer) {
    for (uint32_t slot = 0; slot < header.slots; ++slot)
        writer.put(&graph.nodes_.row(slot)->doc, sizeof(uint32_t));
    writer.end_section();
    for (uint32_t slot = 0; slot < header.slots; ++slot) {
        uint8_t level = graph.nodes_.row(slot)->level;
        if (graph.is_deleted(slot)) level |= kDeletedBit;
        writer.put(&level, sizeof(level));
    }
    writer.end_section();
    for (uint32_t slot = 0; slot < header.slots; ++slot) {
        uint32_t upper = slot < header.linked
                             ? graph.nodes_.row(slot)->upper.load(std::memory_order_acquire)
                             : 0;
        writer.put(&upper, sizeof(upper));
    }
    writer.end_section();
    std::vector<uint32_t> list;
    auto put_lists = [&](const Chunks<Graph::Link>& table, uint32_t lists, uint32_t width) {
        list.resize(width);
        for (uint32_t row = 0; row < lists; ++row) {
            // Links to nodes past `linked` are left out: those will be linked again.
            size_t kept = 0;
            const Graph::Link* links = table.row(row);
            for (uint32_t at = 0; at < width; ++at) {
                uint32_t word = links[at].load(std::memory_order_acquire);
                if (word != 0 && word <= header.linked) list[kept++] = word;
            }
            std::fill(list.begin() + ptrdiff_t(kept), list.end(), 0u);
            writer.put(list.data(), width * sizeof(uint32_t));
        }
        writer.end_section();
    };
    put_lists(graph.upper_, header.upper_lists, header.upper_links());
    put_lists(graph.base_, header.linked, header.links);
    for (uint32_t slot = 0; slot < header.slots; ++slot)
        writer.put(graph.rows_.row(slot), header.stride * sizeof(float));
    writer.end_section();
}

std::shared_ptr<Graph> Snapshot::load(const std::string& path, const GraphSettings& settings,
                                      Saved& saved) {
    File file = File::open_to_read(path);
    Header header;
    if (!file.read(0, &header, sizeof(header))) throw SnapshotError("the snapshot is cut off");
    if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0)
        throw SnapshotError("not a snapshot of a vector index");
    if (header.version != kVersion)
        throw SnapshotError("the snapshot has version " + std::to_string(header.version) +
                            ", this build reads " + std::to_string(kVersion));
    if (header.byte_order != kByteOrder)
        throw SnapshotError("the snapshot comes from a machine of another byte order");
    if (header.checksum != header.own_checksum())
        throw SnapshotError("the header of the snapshot fails its checksum");
    if (header.metric != uint32_t(settings.metric) || header.links != settings.links)
        throw SnapshotError("the snapshot was written for other settings");
    if (header.seed != settings.seed)
        throw SnapshotError("the snapshot belongs to another vector space");
    GraphSettings own = settings;
    own.dimensions = header.dimensions;
    auto graph = std::make_shared<Graph>(own);
    if (header.dimensions == 0 || header.stride != graph->stride_ || header.slots > kSlotsMax ||
        header.linked > header.slots || header.upper_lists > kSlotsMax)
        throw SnapshotError("the header of the snapshot contradicts itself");
    if (file.size() != header.offset(Header::kSections))
        throw SnapshotError("the snapshot has " + std::to_string(file.size()) +
                            " bytes instead of " +
                            std::to_string(header.offset(Header::kSections)));
    load_sections(*graph, header, Reader(file, header));
    saved = {header.generation, header.slots, file.size()};
    return graph;
}

void Snapshot::load_sections(Graph& graph, const Header& header, const Reader& reader) {
    graph.rows_.grow(0, header.slots);
    graph.nodes_.grow(0, header.slots);
    graph.base_.grow(0, header.linked);
    graph.upper_.grow(0, header.upper_lists);
    std::vector<uint32_t> docs = reader.read_all<uint32_t>(Header::docs);
    std::vector<uint8_t> levels = reader.read_all<uint8_t>(Header::levels);
    std::vector<uint32_t> uppers = reader.read_all<uint32_t>(Header::uppers);
    reader.read(Header::upper_links_section, graph.upper_);
    reader.read(Header::base_links, graph.base_);
    reader.read(Header::rows, graph.rows_);
    uint32_t deleted = 0;
    for (uint32_t slot = 0; slot < header.slots; ++slot) {
        Graph::Node* node = graph.nodes_.row(slot);
        bool is_deleted = (levels[slot] & kDeletedBit) != 0;
        graph.set_doc(slot, docs[slot]);
        node->level = levels[slot] & uint8_t(~kDeletedBit);
        node->upper.store(uppers[slot], std::memory_order_relaxed);
        node->flags.store(uint8_t((is_deleted ? Graph::kDeleted : 0) |
                                  (slot < header.linked ? Graph::kLinked : 0)),
                          std::memory_order_relaxed);
        deleted += is_deleted ? 1 : 0;
        if (docs[slot] == kNoSlot || node->level > 31 ||
            (uppers[slot] != 0 &&
             uint64_t(uppers[slot]) - 1 + node->level > uint64_t(header.upper_lists)))
            throw SnapshotError("a node of the snapshot contradicts its header");
        graph.slots_by_doc_.grow(docs[slot], 1);
        graph.slots_by_doc_.row(docs[slot])->store(slot + 1, std::memory_order_relaxed);
    }
    check_links(graph, header);
    graph.upper_count_ = header.upper_lists;
    graph.claimed_.store(header.linked);
    graph.deleted_.store(deleted);
    if (header.entry_level >= 0)
        graph.entry_.store(uint64_t(header.entry_level + 1) << 32 | header.entry_slot);
    graph.linked_.store(header.linked);
    graph.count_.store(header.slots, std::memory_order_release);
}

// Checksums hold, so this fails for a file that was written wrongly or forged; a walk over bad
// numbers would read anywhere.
void Snapshot::check_links(const Graph& graph, const Header& header) {
    uint32_t highest = 0;
    for (uint32_t row = 0; row < header.linked; ++row)
        for (uint32_t at = 0; at < header.links; ++at)
            highest = std::max(highest, graph.base_.row(row)[at].load(std::memory_order_relaxed));
    for (uint32_t row = 0; row < header.upper_lists; ++row)
        for (uint32_t at = 0; at < header.upper_links(); ++at)
            highest = std::max(highest, graph.upper_.row(row)[at].load(std::memory_order_relaxed));
    if (highest > header.linked) throw SnapshotError("a link of the snapshot leads nowhere");
    if (header.entry_level < 0) return;
    if (header.entry_slot >= header.linked ||
        header.entry_level != int32_t(graph.nodes_.row(header.entry_slot)->level))
        throw SnapshotError("the entry of the snapshot contradicts its nodes");
}

std::vector<uint32_t> Snapshot::reconcile(Graph& graph, const AllowWords& live) {
    for (uint32_t slot = 0; slot < graph.count(); ++slot) {
        uint32_t doc = graph.doc_of(slot);
        if (!live.has(doc) && !graph.is_deleted(slot)) graph.erase(doc);
    }
    std::vector<uint32_t> missing;
    for (size_t word = 0; word < live.word_count; ++word) {
        for (uint64_t bits = live.words[word]; bits != 0; bits &= bits - 1) {
            uint32_t doc = uint32_t(word * 64 + size_t(std::countr_zero(bits)));
            if (graph.slot_of(doc) == kNoSlot) missing.push_back(doc);
        }
    }
    return missing;
}

}  // namespace weft
