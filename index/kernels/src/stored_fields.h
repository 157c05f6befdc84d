// StoredFields: the fields of a stored object, read where they lie.
//
// storage/object_codec.py and storage/property_codec.py hold the grammars. What is read may be
// damaged: every step checks its bounds and throws `DamagedReply`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string_view>

namespace weft {

// A stored object that cannot be read.
struct DamagedReply : std::exception {
    explicit DamagedReply(const char* reason) : reason(reason) {}
    const char* what() const noexcept override { return reason; }
    const char* reason;
};

// object := crc32:u32 version:u8 flags:u8 doc_id:u32 uuid:16 created:i64 updated:i64 stamp:16
//           properties_bytes:u32 properties
constexpr size_t kUuidAt = 10, kCreatedAt = 26, kUpdatedAt = 34, kSizeAt = 58, kHeadBytes = 62;

constexpr unsigned kVarint = 0, kEight = 1, kLength = 2, kFour = 5;  // kinds of fields
constexpr unsigned kEntry = 1, kName = 1, kValue = 2;                // of `Properties`

struct Field {
    unsigned number;
    std::string_view body;   // Of a varint: its bytes.
    std::string_view whole;  // With tag and length.
};

inline uint64_t read_varint(std::string_view data, size_t& at) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && at < data.size(); shift += 7) {
        auto byte = static_cast<uint8_t>(data[at++]);
        value |= static_cast<uint64_t>(byte & 0x7F) << shift;
        if (byte < 0x80) return value;
    }
    throw DamagedReply("stored properties end inside a number");
}

inline Field read_field(std::string_view data, size_t& at) {
    size_t begin = at;
    uint64_t key = read_varint(data, at);
    size_t body = at;
    switch (key & 7) {
        case kLength: {
            uint64_t size = read_varint(data, at);
            body = at;
            if (size > data.size() - at) throw DamagedReply("stored properties are cut off");
            at += size;
            break;
        }
        case kVarint: read_varint(data, at); break;
        case kEight:
        case kFour: {
            size_t size = (key & 7) == kEight ? 8 : 4;
            if (size > data.size() - at) throw DamagedReply("stored properties are cut off");
            at += size;
            break;
        }
        default: throw DamagedReply("stored properties hold a field of an unknown kind");
    }
    return {static_cast<unsigned>(key >> 3), data.substr(body, at - body),
            data.substr(begin, at - begin)};
}

inline uint64_t read_little(std::string_view data, size_t at, size_t bytes) {
    uint64_t value = 0;
    for (size_t byte = 0; byte < bytes; ++byte)
        value |= static_cast<uint64_t>(static_cast<uint8_t>(data[at + byte])) << (8 * byte);
    return value;
}

// The `Properties` message of a stored object.
inline std::string_view stored_properties(std::string_view stored) {
    if (stored.size() < kHeadBytes) throw DamagedReply("a stored object is too short");
    uint64_t size = read_little(stored, kSizeAt, 4);
    if (size > stored.size() - kHeadBytes) throw DamagedReply("a stored object is cut off");
    return stored.substr(kHeadBytes, size);
}

}  // namespace weft
