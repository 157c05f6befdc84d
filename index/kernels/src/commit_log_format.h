// Numbers of the commit log's format, for its writing and its replay. The grammar is in
// commit_log.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "checksum.h"

namespace weft {

constexpr char kLogMagic[8] = {'W', 'E', 'F', 'T', 'H', 'L', 'O', 'G'};
constexpr uint32_t kLogVersion = 1;
constexpr uint32_t kLogByteOrder = 0x01020304;
constexpr size_t kLogRecordHead = 2 * sizeof(uint32_t);
constexpr size_t kLogPayload = size_t{1} << 20;  // a record is cut where it gets longer
constexpr size_t kLogPayloadMax = (size_t{1} << 31) - 1;

enum class LogRecord : uint32_t { nodes = 1, lists = 2, deleted = 3, end = 4 };

struct LogHeader {
    char magic[8];
    uint32_t version;
    uint32_t byte_order;
    uint64_t generation;
    uint32_t dimensions;
    uint32_t links;
    uint64_t checksum;

    uint64_t own_checksum() const { return weft::checksum(this, offsetof(LogHeader, checksum)); }
};

struct LogEnd {
    uint32_t slots;
    uint32_t linked;
    uint32_t entry_slot;
    int32_t entry_level;
};

}  // namespace weft
