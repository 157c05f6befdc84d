// Writes and reads the blocks of a segment.
#include "segment.h"

#include <algorithm>

#include "postings_roaring.h"

namespace weft {
namespace {

constexpr char kMagic[] = "WFPB";
constexpr uint8_t kVersion = 1;
constexpr size_t kHeadBytes = 16;
constexpr size_t kBlockBytes = 8 * 1024;
constexpr size_t kInlineBytesMax = 4 * 1024;
constexpr size_t kOverflowBytes = 1024 * 1024;
constexpr size_t kRoaringFrom = 64;

std::string close_block(BlockKind kind, bool is_scored, uint32_t count, std::string_view payload) {
    if (payload.size() > UINT32_MAX) throw std::length_error("a block is larger than 4 GiB");
    std::string out;
    out.reserve(kHeadBytes + payload.size() + 4);
    out.append(kMagic, 4);
    append_u8(out, kVersion);
    append_u8(out, static_cast<uint8_t>(kind));
    append_u8(out, is_scored);
    append_u8(out, 0);
    append_fixed<uint32_t>(out, count);
    append_fixed<uint32_t>(out, static_cast<uint32_t>(payload.size()));
    out += payload;
    append_fixed<uint32_t>(out, crc32_of(out));
    return out;
}

size_t shared_prefix(std::string_view left, std::string_view right) {
    size_t size = std::min(left.size(), right.size());
    size_t at = 0;
    while (at < size && left[at] == right[at]) ++at;
    return at;
}

void append_key(std::string& out, std::string_view before, std::string_view key) {
    size_t shared = shared_prefix(before, key);
    append_varint(out, shared);
    append_varint(out, key.size() - shared);
    out += key.substr(shared);
}

void read_key(ByteReader& in, bool is_first, std::string& key) {
    uint32_t shared = in.varint32();
    uint32_t rest = in.varint32();
    if (shared > key.size()) throw Damaged("a key shares more than there is");
    std::string_view tail = in.bytes(rest);
    if (!is_first && std::string_view(key).substr(shared) >= tail)
        throw Damaged("keys are not ascending");
    key.resize(shared);
    key += tail;
    if (key.size() < 2) throw Damaged("a key is too short");
}

void encode_scored(const ColumnsView& postings, std::string& out) {
    uint32_t next = 0;
    for (size_t at = 0; at < postings.count; ++at) {
        uint32_t frequency = postings.frequencies[at];
        append_varint(out, postings.docs[at] - next);
        append_varint(out, uint64_t(postings.lengths[at]) << 1 | (frequency > 1));
        if (frequency > 1) append_varint(out, frequency);
        next = postings.docs[at];
    }
}

// One doc after another from gaps; the first gap is the doc itself.
class DocGaps {
  public:
    uint32_t next(ByteReader& in) {
        uint32_t gap = in.varint32();
        if (gap == 0 && !is_first_) throw Damaged("docs are not ascending");
        uint64_t doc = doc_ + gap;
        if (doc >= kDocMax) throw Damaged("a doc id is too large");
        doc_ = doc;
        is_first_ = false;
        return static_cast<uint32_t>(doc);
    }

  private:
    uint64_t doc_ = 0;
    bool is_first_ = true;
};

void decode_scored(uint32_t docs, ByteReader& in, Columns& out) {
    if (docs > in.left() / 2) throw Damaged("more postings than bytes");
    size_t base = out.docs.size();
    out.docs.resize(base + docs);
    out.frequencies.resize(base + docs);
    out.lengths.resize(base + docs);
    DocGaps gaps;
    for (size_t at = base; at < base + docs; ++at) {
        out.docs[at] = gaps.next(in);
        uint64_t packed = in.varint64();
        if (packed >> 33) throw Damaged("a length is too large");
        out.lengths[at] = static_cast<uint32_t>(packed >> 1);
        out.frequencies[at] = packed & 1 ? in.varint32() : 1;
        if (out.frequencies[at] == 0) throw Damaged("a frequency is zero");
    }
}

}  // namespace

std::string key_of(std::string_view field, std::string_view value) {
    if (field.size() > UINT16_MAX) throw std::invalid_argument("a field name is too long");
    std::string key;
    key.reserve(2 + field.size() + value.size());
    append_u8(key, static_cast<uint8_t>(field.size() >> 8));
    append_u8(key, static_cast<uint8_t>(field.size()));
    key += field;
    key += value;
    return key;
}

BlockView open_block(std::string_view bytes) {
    if (bytes.size() < kHeadBytes + 4) throw Damaged("a block is too short");
    ByteReader in(bytes);
    if (in.bytes(4) != std::string_view(kMagic, 4)) throw Damaged("a block has the wrong magic");
    uint8_t version = in.u8();
    uint8_t kind = in.u8();
    uint8_t is_scored = in.u8();
    in.u8();
    uint32_t count = in.fixed<uint32_t>();
    uint32_t size = in.fixed<uint32_t>();
    if (size != in.left() - 4) throw Damaged("a block has the wrong size");
    std::string_view payload = in.bytes(size);
    if (in.fixed<uint32_t>() != crc32_of(bytes.substr(0, bytes.size() - 4)))
        throw Damaged("a block's checksum is wrong");
    if (version != kVersion)
        throw Damaged("a block has version " + std::to_string(version) + ", known is 1");
    if (kind > 2 || is_scored > 1) throw Damaged("a block is of an unknown kind");
    return {static_cast<BlockKind>(kind), is_scored == 1, count, payload};
}

uint32_t Entry::overflow_blocks() const {
    return static_cast<uint32_t>((size_t(size) + kOverflowBytes - 1) / kOverflowBytes);
}

EntryCursor::EntryCursor(std::string_view block_bytes) {
    BlockView block = open_block(block_bytes);
    if (block.kind != BlockKind::data) throw Damaged("a block is not a data block");
    in_ = ByteReader(block.payload);
    left_ = block.count;
    is_scored_ = block.is_scored;
}

bool EntryCursor::next() {
    if (left_ == 0) {
        if (!in_.is_empty()) throw Damaged("a block has bytes left over");
        return false;
    }
    --left_;
    read_key(in_, is_first_, entry_.key);
    is_first_ = false;
    uint8_t form = in_.u8();
    entry_.is_overflow = form & kOverflowFlag;
    form &= static_cast<uint8_t>(~kOverflowFlag);
    if (form > 2 || (form == 2) != is_scored_) throw Damaged("postings of an unknown form");
    entry_.form = static_cast<Form>(form);
    entry_.docs = in_.varint32();
    entry_.size = in_.varint32();
    if (entry_.docs == 0 || entry_.size == 0) throw Damaged("an entry without postings");
    entry_.first_block = entry_.is_overflow ? in_.varint32() : 0;
    entry_.body = entry_.is_overflow ? std::string_view() : in_.bytes(entry_.size);
    return true;
}

std::string encode_gaps_or_roaring(const uint32_t* docs, size_t count, Form& form) {
    std::string gaps;
    uint32_t before = 0;
    for (size_t at = 0; at < count; ++at) {
        append_varint(gaps, docs[at] - before);
        before = docs[at];
    }
    form = Form::gaps;
    if (count < kRoaringFrom) return gaps;
    std::string roaring = roaring_of_docs(docs, count);
    if (roaring.size() > gaps.size()) return gaps;
    form = Form::roaring;
    return roaring;
}

void decode_body(Form form, uint32_t docs, std::string_view body, Columns& out) {
    ByteReader in(body);
    size_t base = out.docs.size();
    if (form == Form::roaring) {
        append_roaring(body, out.docs);
        if (out.docs.size() - base != docs) throw Damaged("a bitmap has the wrong cardinality");
        if (out.docs.back() >= kDocMax) throw Damaged("a doc id is too large");
        return;
    }
    if (form == Form::scored) {
        decode_scored(docs, in, out);
    } else {
        if (docs > in.left()) throw Damaged("more postings than bytes");
        DocGaps gaps;
        out.docs.resize(base + docs);
        for (size_t at = base; at < base + docs; ++at) out.docs[at] = gaps.next(in);
    }
    if (!in.is_empty()) throw Damaged("postings have bytes left over");
}

Directory::Directory(std::string_view block_bytes) {
    BlockView block = open_block(block_bytes);
    if (block.kind != BlockKind::directory) throw Damaged("block 0 is not a directory");
    ByteReader in(block.payload);
    std::string key;
    for (uint32_t at = 0; at < block.count; ++at) {
        read_key(in, at == 0, key);
        keys_ += key;
        starts_.push_back(keys_.size());
        blocks_.push_back(in.varint32());
    }
    if (!in.is_empty()) throw Damaged("a directory has bytes left over");
}

size_t Directory::find(std::string_view key) const {
    size_t low = 0, high = blocks_.size();  // first block whose first key is past `key`
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (first_key(middle) <= key)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? blocks_.size() : low - 1;
}

void SegmentWriter::add(std::string_view key, const ColumnsView& postings) {
    if (postings.count == 0) return;
    Form form = Form::scored;
    std::string body;
    if (is_scored_)
        encode_scored(postings, body);
    else
        body = encode_gaps_or_roaring(postings.docs, postings.count, form);
    if (body.size() > UINT32_MAX) throw std::length_error("postings are larger than 4 GiB");
    bool spills = shape_ == Shape::segment && body.size() > kInlineBytesMax;
    uint32_t first_block = spills ? spill(body) : 0;
    if (payload_.empty()) first_key_ = key;
    append_key(payload_, payload_.empty() ? std::string_view() : std::string_view(last_key_), key);
    append_u8(payload_, static_cast<uint8_t>(form) | (spills ? kOverflowFlag : 0));
    append_varint(payload_, postings.count);
    append_varint(payload_, body.size());
    if (spills)
        append_varint(payload_, first_block);
    else
        payload_ += body;
    last_key_ = key;
    ++count_;
    if (shape_ == Shape::segment && payload_.size() >= kBlockBytes) flush();
}

uint32_t SegmentWriter::spill(std::string_view body) {
    auto first = static_cast<uint32_t>(blocks_.size());
    for (size_t at = 0; at < body.size(); at += kOverflowBytes)
        blocks_.push_back(
            close_block(BlockKind::overflow, is_scored_, 0, body.substr(at, kOverflowBytes)));
    return first;
}

void SegmentWriter::flush() {
    directory_.emplace_back(first_key_, static_cast<uint32_t>(blocks_.size()));
    blocks_.push_back(close_block(BlockKind::data, is_scored_, count_, payload_));
    payload_.clear();
    count_ = 0;
}

std::vector<std::string> SegmentWriter::finish() {
    if (shape_ == Shape::delta) {
        blocks_.push_back(close_block(BlockKind::data, is_scored_, count_, payload_));
        return std::move(blocks_);
    }
    if (count_ > 0) flush();
    std::string payload;
    std::string_view before;
    for (const auto& [key, block] : directory_) {
        append_key(payload, before, key);
        append_varint(payload, block);
        before = key;
    }
    blocks_[0] = close_block(BlockKind::directory, is_scored_,
                             static_cast<uint32_t>(directory_.size()), payload);
    return std::move(blocks_);
}

}  // namespace weft
