// XXH64. Words are little-endian in the specification; on another machine they are swapped here.
#include "checksum.h"

#include <bit>
#include <cstring>

namespace weft {
namespace {

constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87ull;
constexpr uint64_t kPrime2 = 0xC2B2AE3D27D4EB4Full;
constexpr uint64_t kPrime3 = 0x165667B19E3779F9ull;
constexpr uint64_t kPrime4 = 0x85EBCA77C2B2AE63ull;
constexpr uint64_t kPrime5 = 0x27D4EB2F165667C5ull;

template <class Word>
Word word_at(const unsigned char* bytes) {
    Word word;
    std::memcpy(&word, bytes, sizeof(Word));
    if constexpr (std::endian::native == std::endian::big) {
        if constexpr (sizeof(Word) == 8)
            word = Word(__builtin_bswap64(word));
        else
            word = Word(__builtin_bswap32(word));
    }
    return word;
}

uint64_t round_of(uint64_t sum, uint64_t word) {
    return std::rotl(sum + word * kPrime2, 31) * kPrime1;
}

uint64_t merged(uint64_t hash, uint64_t sum) {
    return (hash ^ round_of(0, sum)) * kPrime1 + kPrime4;
}

}  // namespace

uint64_t checksum(const void* bytes, size_t length) {
    const unsigned char* at = static_cast<const unsigned char*>(bytes);
    const unsigned char* end = at + length;
    uint64_t hash = kPrime5;
    if (length >= 32) {
        uint64_t sums[4] = {kPrime1 + kPrime2, kPrime2, 0, uint64_t{0} - kPrime1};
        for (; end - at >= 32; at += 32)
            for (int lane = 0; lane < 4; ++lane)
                sums[lane] = round_of(sums[lane], word_at<uint64_t>(at + 8 * lane));
        hash = std::rotl(sums[0], 1) + std::rotl(sums[1], 7) + std::rotl(sums[2], 12) +
               std::rotl(sums[3], 18);
        for (uint64_t sum : sums) hash = merged(hash, sum);
    }
    hash += length;
    for (; end - at >= 8; at += 8)
        hash = std::rotl(hash ^ round_of(0, word_at<uint64_t>(at)), 27) * kPrime1 + kPrime4;
    if (end - at >= 4) {
        hash =
            std::rotl(hash ^ (uint64_t{word_at<uint32_t>(at)} * kPrime1), 23) * kPrime2 + kPrime3;
        at += 4;
    }
    for (; at < end; ++at) hash = std::rotl(hash ^ (*at * kPrime5), 11) * kPrime1;
    hash = (hash ^ (hash >> 33)) * kPrime2;
    hash = (hash ^ (hash >> 29)) * kPrime3;
    return hash ^ (hash >> 32);
}

}  // namespace weft
