// Segment: the bytes of an inverted index, sorted keys with their postings, cut into blocks.
//
//   block     := "WFPB" version:u8 kind:u8 scored:u8 0:u8 count:u32 size:u32 payload[size]
//   crc32:u32 delta     := block of kind data            # one write batch, everything inline
//   segment   := block 0 of kind directory, then blocks of the kinds data and overflow
//   data      := entry[count]                  # ascending keys
//   entry     := shared:varint rest:varint key:bytes[rest] form:u8 docs:varint size:varint body
//   body      := bytes[size]                   # form < 0x80: inline
//              | first_block:varint            # form >= 0x80: in overflow blocks from there on
//   overflow  := up to 1 MiB of a body; as many as its size needs, with adjacent numbers
//   directory := (shared:varint rest:varint key:bytes[rest] block:varint)[count]   # first keys
//   key       := field_size:u16 (big-endian) field value
//   form 0    := doc gaps as varints           # docs: first doc, then differences
//   form 1    := roaring bitmap (postings_roaring.h)
//   form 2    := (gap:varint length*2+more:varint (frequency:varint)?)[docs]   # more: frequency >
//   1
//
// Numbers are little-endian, the crc covers all before it. `kind`, `form` and `version` are on
// disk: never renumber one. Doc ids are below 2^32 - 1. Values are at most 32 KiB: core/codec.py
// makes longer texts shorter.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "postings_bytes.h"

namespace weft {

constexpr uint32_t kDocMax = UINT32_MAX - 1;  // exclusive end of what a doc id may be
constexpr size_t kValueBytesMax = 32 * 1024;

enum class BlockKind : uint8_t { data = 0, overflow = 1, directory = 2 };
enum class Form : uint8_t { gaps = 0, roaring = 1, scored = 2 };
constexpr uint8_t kOverflowFlag = 0x80;

std::string key_of(std::string_view field, std::string_view value);

// Postings of one key in columns, ascending by doc. Frequencies and lengths are empty for a side
// that only filters.
struct Columns {
    std::vector<uint32_t> docs;
    std::vector<uint32_t> frequencies;
    std::vector<uint32_t> lengths;

    void clear() {
        docs.clear();
        frequencies.clear();
        lengths.clear();
    }
};

struct ColumnsView {
    const uint32_t* docs;
    const uint32_t* frequencies;  // null: a side that only filters
    const uint32_t* lengths;
    size_t count;
};

struct BlockView {
    BlockKind kind;
    bool is_scored;
    uint32_t count;
    std::string_view payload;
};

// Checks magic, version, sizes and checksum.
BlockView open_block(std::string_view bytes);

// One entry of a data block as it lies there.
struct Entry {
    std::string key;
    Form form;
    uint32_t docs;
    uint32_t size;
    bool is_overflow;
    uint32_t first_block;
    std::string_view body;

    uint32_t overflow_blocks() const;
};

class EntryCursor {
  public:
    explicit EntryCursor(std::string_view block_bytes);
    bool next();  // false at the end
    const Entry& entry() const { return entry_; }
    bool is_scored() const { return is_scored_; }

  private:
    ByteReader in_{std::string_view()};
    uint32_t left_ = 0;
    bool is_scored_ = false;
    bool is_first_ = true;
    Entry entry_;
};

std::string encode_gaps_or_roaring(const uint32_t* docs, size_t count, Form& form);

// Appends to `out`; checks that docs ascend and are as many as announced.
void decode_body(Form form, uint32_t docs, std::string_view body, Columns& out);

// First keys of the data blocks of one segment, and the keys' block numbers.
class Directory {
  public:
    explicit Directory(std::string_view block_bytes);
    size_t count() const { return blocks_.size(); }
    uint32_t block(size_t at) const { return blocks_[at]; }
    std::string_view first_key(size_t at) const {
        return std::string_view(keys_).substr(starts_[at], starts_[at + 1] - starts_[at]);
    }
    size_t find(std::string_view key) const;  // the data block that may hold it; count() if none
    size_t bytes() const { return keys_.size() + 12 * blocks_.size(); }

  private:
    std::string keys_;
    std::vector<size_t> starts_{0};
    std::vector<uint32_t> blocks_;
};

// Where sorted keys with their postings go.
class PostingSink {
  public:
    virtual ~PostingSink() = default;
    virtual void add(std::string_view key, const ColumnsView& postings) = 0;
};

// Writes the blocks of one segment, or with `kDelta` all in one block.
class SegmentWriter : public PostingSink {
  public:
    enum class Shape { delta, segment };

    SegmentWriter(Shape shape, bool is_scored) : shape_(shape), is_scored_(is_scored) {
        if (shape_ == Shape::segment) blocks_.emplace_back();
    }
    void add(std::string_view key, const ColumnsView& postings) override;
    bool is_empty() const { return count_ == 0 && directory_.empty(); }
    std::vector<std::string> finish();  // by block number

  private:
    void flush();
    uint32_t spill(std::string_view body);

    Shape shape_;
    bool is_scored_;
    std::vector<std::string> blocks_;
    std::string payload_;
    std::string first_key_;
    std::string last_key_;
    uint32_t count_ = 0;
    std::vector<std::pair<std::string, uint32_t>> directory_;
};

}  // namespace weft
