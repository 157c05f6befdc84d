// CRC-32, eight bytes a step.
#include "postings_bytes.h"

#include <array>

namespace weft {
namespace {

using Table = std::array<std::array<uint32_t, 256>, 8>;

Table make_table() {
    Table table{};
    for (uint32_t byte = 0; byte < 256; ++byte) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0xEDB88320u : 0u);
        table[0][byte] = crc;
    }
    for (size_t byte = 0; byte < 256; ++byte)
        for (size_t slice = 1; slice < 8; ++slice)
            table[slice][byte] =
                (table[slice - 1][byte] >> 8) ^ table[0][table[slice - 1][byte] & 0xFF];
    return table;
}

}  // namespace

uint32_t crc32_of(std::string_view bytes) {
    static const Table table = make_table();
    const auto* at = reinterpret_cast<const uint8_t*>(bytes.data());
    size_t left = bytes.size();
    uint32_t crc = 0xFFFFFFFFu;
    for (; left >= 8; left -= 8, at += 8) {
        uint32_t low = crc ^ (uint32_t(at[0]) | uint32_t(at[1]) << 8 | uint32_t(at[2]) << 16 |
                              uint32_t(at[3]) << 24);
        crc = table[7][low & 0xFF] ^ table[6][(low >> 8) & 0xFF] ^ table[5][(low >> 16) & 0xFF] ^
              table[4][low >> 24] ^ table[3][at[4]] ^ table[2][at[5]] ^ table[1][at[6]] ^
              table[0][at[7]];
    }
    for (; left > 0; --left, ++at) crc = (crc >> 8) ^ table[0][(crc ^ *at) & 0xFF];
    return ~crc;
}

}  // namespace weft
