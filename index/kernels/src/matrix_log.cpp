// MatrixLog: writing blocks and reading them back.
#include "matrix_log.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "checksum.h"
#include "file.h"
#include "snapshot.h"

namespace weft {
namespace {

constexpr char kMagic[8] = {'W', 'E', 'F', 'T', 'M', 'A', 'T', 'S'};
constexpr uint32_t kVersion = 1;
constexpr uint32_t kByteOrder = 0x01020304;
constexpr size_t kBlock = size_t{1} << 22;  // a block is cut where it gets longer
constexpr uint64_t kDeadRowsMin = 1 << 16;  // fewer are not worth a new file
constexpr uint64_t kTokensMax = uint64_t{1} << 32;
constexpr uint32_t kDimensionsMax = 1 << 16;

struct BlockHead {
    uint32_t docs;
    uint32_t rows;
};

struct BlockDoc {
    uint32_t doc;
    uint32_t rows;
    uint32_t first_token;
};

void put(std::vector<char>& bytes, const void* from, size_t length) {
    const size_t at = bytes.size();
    bytes.resize(at + length);
    std::memcpy(bytes.data() + at, from, length);
}

}  // namespace

struct MatrixLog::Header {
    char magic[8];
    uint32_t version;
    uint32_t byte_order;
    uint32_t dimensions;
    uint32_t ksim;
    uint32_t dprojections;
    uint32_t repetitions;
    uint64_t generation;
    uint64_t checksum;

    uint64_t own_checksum(uint64_t owner) const {
        return weft::checksum(this, offsetof(Header, checksum)) ^ owner;
    }
};

// Reads block after block into a table.
class MatrixLog::Reader {
  public:
    Reader(const File& file, uint32_t dimensions) : file_(file), dimensions_(dimensions) {}

    // Takes the block at `offset`; returns its length. Raises SnapshotError where it is not good.
    uint64_t take(uint64_t offset, const AllowWords& live, MatrixLog& log, TokenRows& table) {
        BlockHead head;
        if (!file_.read(offset, &head, sizeof(head))) throw SnapshotError("is cut off");
        const uint64_t row_bytes = uint64_t(dimensions_) * sizeof(float);
        const uint64_t length = sizeof(head) + head.docs * uint64_t(sizeof(BlockDoc)) +
                                head.rows * row_bytes + sizeof(uint64_t);
        if (length > file_.size() - offset) throw SnapshotError("is cut off");
        block_.resize(size_t(length));
        if (!file_.read(offset, block_.data(), block_.size())) throw SnapshotError("is cut off");
        uint64_t sum = 0;
        const size_t content = block_.size() - sizeof(sum);
        std::memcpy(&sum, block_.data() + content, sizeof(sum));
        if (checksum(block_.data(), content) != sum) throw SnapshotError("fails its checksum");
        docs_.resize(head.docs);
        std::memcpy(docs_.data(), block_.data() + sizeof(head), head.docs * sizeof(BlockDoc));
        check(head, log.token_end_);
        rows_.resize(size_t(head.rows) * dimensions_);
        std::memcpy(rows_.data(), block_.data() + sizeof(head) + head.docs * sizeof(BlockDoc),
                    rows_.size() * sizeof(float));
        const float* at = rows_.data();
        for (const BlockDoc& doc : docs_) {
            if (live.has(doc.doc) && table.slot_of(doc.doc) == kNoSlot)
                table.append(doc.doc, at, doc.rows, doc.first_token);
            at += size_t(doc.rows) * dimensions_;
            log.token_end_ = doc.first_token + doc.rows;
            log.docs_end_ = std::max(log.docs_end_, uint64_t(doc.doc) + 1);
        }
        log.rows_ += head.rows;
        return length;
    }

  private:
    // Checksums hold, so this fails for a file that was written wrongly or forged.
    void check(const BlockHead& head, uint64_t token_end) const {
        uint64_t rows = 0;
        for (const BlockDoc& doc : docs_) {
            rows += doc.rows;
            if (doc.doc == kNoSlot || doc.rows == 0 || doc.first_token < token_end ||
                uint64_t(doc.first_token) + doc.rows >= kTokensMax)
                throw SnapshotError("contradicts itself");
            token_end = uint64_t(doc.first_token) + doc.rows;
        }
        if (rows != head.rows) throw SnapshotError("contradicts itself");
    }

    const File& file_;
    uint32_t dimensions_;
    std::vector<char> block_;
    std::vector<BlockDoc> docs_;
    std::vector<float> rows_;
};

MatrixLog::MatrixLog(const std::string& path, const MatrixSpace& space, uint64_t generation)
    : path_(path), space_(space), generation_(generation) {}

std::string MatrixLog::graph_path(const std::string& path, uint64_t generation) {
    char digits[17];
    std::snprintf(digits, sizeof(digits), "%016llx", static_cast<unsigned long long>(generation));
    return path + "." + digits;
}

MatrixLog::Header MatrixLog::header(uint32_t dimensions) const {
    Header header{};
    std::memcpy(header.magic, kMagic, sizeof(kMagic));
    header.version = kVersion;
    header.byte_order = kByteOrder;
    header.dimensions = dimensions;
    header.ksim = space_.encoding.ksim;
    header.dprojections = space_.encoding.dprojections;
    header.repetitions = space_.encoding.repetitions;
    header.generation = generation_;
    header.checksum = header.own_checksum(space_.owner);
    return header;
}

std::unique_ptr<MatrixLog> MatrixLog::load(const std::string& path, const MatrixSpace& space,
                                           const AllowWords& live,
                                           std::shared_ptr<TokenRows>& table) {
    File file = File::open_to_read(path);
    Header header;
    if (!file.read(0, &header, sizeof(header))) throw SnapshotError("the file is cut off");
    if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0)
        throw SnapshotError("not a file of multi-vectors");
    if (header.version != kVersion)
        throw SnapshotError("the file has version " + std::to_string(header.version) +
                            ", this build reads " + std::to_string(kVersion));
    if (header.byte_order != kByteOrder)
        throw SnapshotError("the file comes from a machine of another byte order");
    if (header.checksum != header.own_checksum(space.owner))
        throw SnapshotError("the header of the file fails its checksum, or is of another space");
    const MuveraSettings& encoding = space.encoding;
    if (header.ksim != encoding.ksim || header.dprojections != encoding.dprojections ||
        header.repetitions != encoding.repetitions)
        throw SnapshotError("the file was written for another encoding");
    if (header.dimensions == 0 || header.dimensions > kDimensionsMax)
        throw SnapshotError("the header of the file contradicts itself");
    auto log = std::make_unique<MatrixLog>(path, space, header.generation);
    table = std::make_shared<TokenRows>(header.dimensions);
    log->bytes_ = sizeof(header);
    Reader reader(file, header.dimensions);
    const uint64_t size = file.size();
    while (log->bytes_ < size) {
        try {
            log->bytes_ += reader.take(log->bytes_, live, *log, *table);
        } catch (const SnapshotError& error) {
            log->fault_ = "the block at byte " + std::to_string(log->bytes_) + " " + error.what();
            break;
        }
    }
    log->table_ = table;
    log->slots_ = table->slots();
    return log;
}

// Fills `block` with live docs from `slot` on, as many as it takes, and moves `slot` past them.
void MatrixLog::put_block(const TokenRows& table, uint32_t& slot, uint32_t end,
                          std::vector<char>& block) {
    const size_t row_bytes = table.dimensions() * sizeof(float);
    std::vector<TokenRows::Matrix> matrices;
    std::vector<BlockDoc> docs;
    BlockHead head{0, 0};
    for (; slot < end && head.rows * row_bytes < kBlock; ++slot) {
        if (table.is_deleted(slot)) continue;
        TokenRows::Matrix matrix = table.matrix_of(slot);
        matrices.push_back(matrix);
        docs.push_back({table.doc_of(slot), matrix.count, matrix.first_token});
        head.rows += matrix.count;
        ++head.docs;
    }
    block.clear();
    if (docs.empty()) return;
    put(block, &head, sizeof(head));
    put(block, docs.data(), docs.size() * sizeof(BlockDoc));
    for (const TokenRows::Matrix& matrix : matrices)
        put(block, matrix.rows, matrix.count * row_bytes);
    const uint64_t sum = checksum(block.data(), block.size());
    put(block, &sum, sizeof(sum));
    rows_ += head.rows;
    token_end_ = docs.back().first_token + docs.back().rows;
}

void MatrixLog::write_anew(const TokenRows& table, uint32_t end) {
    const std::string beside = path_ + ".tmp";
    const Header header = this->header(table.dimensions());
    rows_ = 0;
    bytes_ = sizeof(header);
    token_end_ = 0;
    try {
        {
            File file = File::create(beside);
            file.append(&header, sizeof(header));
            std::vector<char> block;
            for (uint32_t slot = 0; slot < end;) {
                put_block(table, slot, end, block);
                file.append(block.data(), block.size());
                bytes_ += block.size();
            }
            file.sync();
        }
        File::replace(beside, path_);
    } catch (...) {
        std::remove(beside.c_str());  // on a full disk the half file would be in the way
        throw;
    }
}

void MatrixLog::save(const std::shared_ptr<TokenRows>& table) {
    const uint32_t end = table->slots();
    // A copy of a table without its dead has other slots, but the same tokens.
    if (table_.lock() != table)
        for (slots_ = 0; slots_ < end && table->matrix_of(slots_).first_token < token_end_;)
            ++slots_;
    if (bytes_ == 0 || rows_ > 2 * table->live_rows() + kDeadRowsMin) {
        write_anew(*table, end);
    } else if (slots_ < end) {
        File file = File::open_to_append(path_, bytes_);
        std::vector<char> block;
        for (uint32_t slot = slots_; slot < end;) {
            put_block(*table, slot, end, block);
            file.append(block.data(), block.size());
            bytes_ += block.size();
        }
    }
    table_ = table;
    slots_ = end;
}

}  // namespace weft
