// CodeFile: writing, reading and checking the file.
#include "code_file.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "checksum.h"
#include "file.h"

namespace weft {
namespace {

constexpr char kMagic[8] = {'W', 'E', 'F', 'T', 'C', 'O', 'D', 'E'};
constexpr uint32_t kVersion = 1;
constexpr uint32_t kByteOrder = 0x01020304;
constexpr size_t kBlockBytes = size_t{1} << 22;
constexpr size_t kReadThreadsMax = 4;

struct BlockHead {
    uint32_t first;
    uint32_t count;
    uint64_t docs;
};

uint32_t codes_in_block(uint32_t words) {
    return uint32_t(std::max<size_t>(1, kBlockBytes / (words * sizeof(float))));
}

uint64_t checksum_of_docs(const Graph& graph, uint32_t first, uint32_t count) {
    std::vector<uint32_t> docs(count);
    for (uint32_t at = 0; at < count; ++at) docs[at] = graph.doc_of(first + at);
    return checksum(docs.data(), docs.size() * sizeof(uint32_t)) ^ graph.settings().seed;
}

}  // namespace

struct CodeFile::Header {
    char magic[8];
    uint32_t version;
    uint32_t byte_order;
    uint32_t metric;
    uint32_t dimensions;
    uint32_t kind;
    uint32_t bits;
    uint32_t segments;
    uint32_t centroids;
    uint32_t tile;
    uint32_t log_normal;
    uint32_t words;
    uint32_t zero;
    uint64_t training_limit;
    uint64_t learned_from;
    uint64_t learned_count;
    uint64_t checksum;

    uint64_t own_checksum() const { return weft::checksum(this, offsetof(Header, checksum)); }
    // What is wrong with it, or nothing.
    const char* fault() const {
        if (std::memcmp(magic, kMagic, sizeof(kMagic)) != 0) return "it is not a code file";
        if (version != kVersion) return "it has another version than this build reads";
        if (byte_order != kByteOrder) return "it comes from a machine of another byte order";
        if (checksum != own_checksum()) return "its header fails its checksum";
        if (kind > uint32_t(CodeKind::product) || dimensions == 0)
            return "its header contradicts itself";
        return nullptr;
    }
};

struct CodeFile::Block {
    uint64_t offset;
    uint32_t first;
    uint32_t count;
    size_t bytes;  // with its head, without its checksum
};

bool LearnedCodes::serves(const CodeSettings& wanted, const GraphSettings& graph) const {
    return settings.makes_same_codes(wanted) && metric == graph.metric &&
           dimensions == graph.dimensions;
}

std::optional<LearnedCodes> CodeFile::open() {
    try {
        File file = File::open_to_read(path_);
        Header header;
        const bool is_whole = file.read(0, &header, sizeof(header));
        const char* wrong = is_whole ? header.fault() : "it is cut off";
        if (wrong == nullptr && header.learned_count > file.size() / sizeof(float))
            wrong = "it is cut off";
        if (wrong != nullptr) {
            fault_ = wrong;
            return std::nullopt;
        }
        LearnedCodes learned;
        learned.settings.kind = CodeKind(header.kind);
        learned.settings.bits = header.bits;
        learned.settings.segments = header.segments;
        learned.settings.centroids = header.centroids;
        learned.settings.tile = header.tile != 0;
        learned.settings.log_normal = header.log_normal != 0;
        learned.settings.training_limit = header.training_limit;
        learned.metric = Metric(header.metric);
        learned.dimensions = header.dimensions;
        learned.from = size_t(header.learned_from);
        learned.values.resize(size_t(header.learned_count));
        const size_t bytes = learned.values.size() * sizeof(float);
        uint64_t sum = 0;
        if (!file.read(sizeof(header), learned.values.data(), bytes) ||
            !file.read(sizeof(header) + bytes, &sum, sizeof(sum)) ||
            checksum(learned.values.data(), bytes) != sum) {
            fault_ = "what was learned fails its checksum";
            return std::nullopt;
        }
        blocks_at_ = sizeof(header) + bytes + sizeof(sum);
        return learned;
    } catch (const std::system_error& error) {
        if (error.code() != std::errc::no_such_file_or_directory) fault_ = error.what();
        return std::nullopt;
    }
}

// Blocks that follow each other over slots that the graph has.
std::vector<CodeFile::Block> CodeFile::find_blocks(const File& file, uint32_t slots,
                                                   uint32_t words) {
    std::vector<Block> blocks;
    const uint64_t size = file.size();
    uint64_t offset = blocks_at_;
    uint32_t first = 0;
    while (offset < size) {
        BlockHead head;
        if (!file.read(offset, &head, sizeof(head)) || head.first != first || head.count == 0 ||
            head.count > codes_in_block(words)) {
            fault_ = "the block at byte " + std::to_string(offset) + " contradicts its place";
            break;
        }
        if (head.count > slots - first) break;  // the log was cut; those docs have other slots now
        const size_t bytes = sizeof(head) + size_t(head.count) * words * sizeof(float);
        if (size - offset < bytes + sizeof(uint64_t)) {
            fault_ = "it is cut off at byte " + std::to_string(offset);
            break;
        }
        blocks.push_back({offset, first, head.count, bytes});
        offset += bytes + sizeof(uint64_t);
        first += head.count;
    }
    return blocks;
}

bool CodeFile::read_block(const File& file, const Block& block, const Graph& graph,
                          CodeTable& table, std::vector<char>& spare, std::string& fault) {
    spare.resize(block.bytes + sizeof(uint64_t));
    uint64_t sum = 0;
    bool is_good = file.read(block.offset, spare.data(), spare.size());
    std::memcpy(&sum, spare.data() + block.bytes, sizeof(sum));
    is_good = is_good && checksum(spare.data(), block.bytes) == sum;
    if (!is_good) {
        fault = "the block at byte " + std::to_string(block.offset) + " fails its checksum";
        return false;
    }
    BlockHead head;
    std::memcpy(&head, spare.data(), sizeof(head));
    if (head.docs != checksum_of_docs(graph, block.first, block.count)) {
        fault = "from slot " + std::to_string(block.first) + " on it is of other vectors";
        return false;
    }
    const size_t row_bytes = table.rows.row_bytes();
    for (uint32_t at = 0; at < block.count; ++at) {
        float* code = table.rows.row(block.first + at);
        std::memcpy(code, spare.data() + sizeof(head) + at * row_bytes, row_bytes);
        if (table.codes->accepts(code)) continue;
        fault = "the code of slot " + std::to_string(block.first + at) + " is none";
        return false;
    }
    return true;
}

uint32_t CodeFile::read(const Graph& graph, const std::shared_ptr<CodeTable>& table) {
    try {
        File file = File::open_to_read(path_);
        const uint32_t slots = graph.count();
        const std::vector<Block> blocks = find_blocks(file, slots, table->codes->words());
        table->rows.grow(0, slots);
        std::atomic<size_t> next{0};
        std::atomic<size_t> good{blocks.size()};  // blocks before the first bad one
        std::mutex mutex;
        auto work = [&] {
            std::vector<char> spare;
            for (size_t at; (at = next.fetch_add(1)) < good.load();) {
                std::string fault;
                if (read_block(file, blocks[at], graph, *table, spare, fault)) continue;
                std::lock_guard guard(mutex);
                if (at >= good.load()) continue;
                good.store(at);
                fault_ = fault;
            }
        };
        const size_t count = std::min<size_t>(
            {kReadThreadsMax, blocks.size(), std::max(1u, std::thread::hardware_concurrency())});
        std::vector<std::thread> threads;
        for (size_t extra = 1; extra < count; ++extra) threads.emplace_back(work);
        work();
        for (std::thread& thread : threads) thread.join();
        table_ = table;
        slots_ = 0;
        bytes_ = blocks_at_;
        if (good.load() > 0) {
            const Block& last = blocks[good.load() - 1];
            slots_ = last.first + last.count;
            bytes_ = last.offset + last.bytes + sizeof(uint64_t);
        }
        return slots_;
    } catch (const std::system_error& error) {
        fault_ = error.what();
        return 0;
    }
}

uint64_t CodeFile::put_blocks(File& file, const Graph& graph, const CodeTable& table,
                              uint32_t begin, uint32_t end) {
    const size_t row_bytes = table.rows.row_bytes();
    const uint32_t most = codes_in_block(table.codes->words());
    std::vector<char> bytes;
    uint64_t written = 0;
    for (uint32_t first = begin; first < end;) {
        const uint32_t count = std::min(most, end - first);
        const BlockHead head{first, count, checksum_of_docs(graph, first, count)};
        bytes.resize(sizeof(head) + count * row_bytes);
        std::memcpy(bytes.data(), &head, sizeof(head));
        for (uint32_t at = 0; at < count; ++at)
            std::memcpy(bytes.data() + sizeof(head) + at * row_bytes, table.rows.row(first + at),
                        row_bytes);
        const uint64_t sum = checksum(bytes.data(), bytes.size());
        file.append(bytes.data(), bytes.size());
        file.append(&sum, sizeof(sum));
        written += bytes.size() + sizeof(sum);
        first += count;
    }
    return written;
}

void CodeFile::save(const Graph& graph, const std::shared_ptr<CodeTable>& table) {
    const uint32_t count = graph.count();  // after the table was the graph's: it has them all
    const bool is_known = has(table);
    const uint64_t bytes = std::exchange(bytes_, 0);  // until nothing can fail any more
    if (!is_known) {
        write(graph, *table, count);
        table_ = table;
    } else {
        uint64_t written = 0;
        if (slots_ < count) {
            File file = File::open_to_append(path_, bytes);
            written = put_blocks(file, graph, *table, slots_, count);
        }
        bytes_ = bytes + written;
    }
    slots_ = count;
}

void CodeFile::write(const Graph& graph, const CodeTable& table, uint32_t count) {
    const CodeSettings& settings = table.codes->settings();
    const std::vector<float> learned = table.codes->learned();
    Header header{};
    std::memcpy(header.magic, kMagic, sizeof(kMagic));
    header.version = kVersion;
    header.byte_order = kByteOrder;
    header.metric = uint32_t(table.codes->metric());
    header.dimensions = table.codes->dimensions();
    header.kind = uint32_t(settings.kind);
    header.bits = settings.bits;
    header.segments = settings.segments;
    header.centroids = settings.centroids;
    header.tile = settings.tile ? 1 : 0;
    header.log_normal = settings.log_normal ? 1 : 0;
    header.words = table.codes->words();
    header.training_limit = settings.training_limit;
    header.learned_from = table.learned_from;
    header.learned_count = learned.size();
    header.checksum = header.own_checksum();
    const size_t bytes = learned.size() * sizeof(float);
    const uint64_t sum = checksum(learned.data(), bytes);
    const std::string beside = path_ + ".tmp";
    uint64_t written = sizeof(header) + bytes + sizeof(sum);
    try {
        {
            File file = File::create(beside);
            file.append(&header, sizeof(header));
            file.append(learned.data(), bytes);
            file.append(&sum, sizeof(sum));
            written += put_blocks(file, graph, table, 0, count);
            file.sync();
        }
        File::replace(beside, path_);
    } catch (...) {
        std::remove(beside.c_str());  // on a full disk the half file would be in the way
        throw;
    }
    bytes_ = written;
}

}  // namespace weft
