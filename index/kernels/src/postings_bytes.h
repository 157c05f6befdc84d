// Bytes of the inverted index: bounded reading, varints and the checksum.
//
// Whatever is read may be damaged: every step checks its bounds and throws `Damaged`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

namespace weft {

// Bytes that are not what they must be. Python sees it as `_native.Damaged` (a ValueError).
struct Damaged : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// CRC-32 as in zlib (polynomial 0xEDB88320).
uint32_t crc32_of(std::string_view bytes);

inline void append_u8(std::string& out, uint8_t value) {
    out.push_back(static_cast<char>(value));
}

// Little-endian on every machine.
template <class T>
inline void append_fixed(std::string& out, T value) {
    for (size_t at = 0; at < sizeof(T); ++at)
        out.push_back(static_cast<char>(static_cast<uint64_t>(value) >> (8 * at)));
}

inline void append_varint(std::string& out, uint64_t value) {
    while (value >= 0x80) {
        out.push_back(static_cast<char>(value | 0x80));
        value >>= 7;
    }
    out.push_back(static_cast<char>(value));
}

class ByteReader {
  public:
    explicit ByteReader(std::string_view bytes)
        : at_(reinterpret_cast<const uint8_t*>(bytes.data())), end_(at_ + bytes.size()) {}

    bool is_empty() const { return at_ == end_; }
    size_t left() const { return static_cast<size_t>(end_ - at_); }

    uint8_t u8() {
        need(1);
        return *at_++;
    }

    template <class T>
    T fixed() {
        need(sizeof(T));
        uint64_t value = 0;
        for (size_t at = 0; at < sizeof(T); ++at) value |= uint64_t(at_[at]) << (8 * at);
        at_ += sizeof(T);
        return static_cast<T>(value);
    }

    uint32_t varint32() {
        uint64_t value = varint64();
        if (value > UINT32_MAX) throw Damaged("a number is too large");
        return static_cast<uint32_t>(value);
    }

    uint64_t varint64() {
        if (at_ != end_ && *at_ < 0x80) return *at_++;
        uint64_t value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            uint8_t byte = u8();
            value |= uint64_t(byte & 0x7F) << shift;
            if (byte < 0x80) return value;
        }
        throw Damaged("a varint does not end");
    }

    std::string_view bytes(size_t count) {
        need(count);
        std::string_view taken(reinterpret_cast<const char*>(at_), count);
        at_ += count;
        return taken;
    }

  private:
    void need(size_t count) const {
        if (left() < count) throw Damaged("bytes end too early");
    }

    const uint8_t* at_;
    const uint8_t* end_;
};

}  // namespace weft
