// AllowWords: which docs a search may return; bit i % 64 of word i / 64 stands for doc i.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weft {

struct AllowWords {
    const uint64_t* words = nullptr;
    size_t word_count = 0;
    size_t allowed = 0;

    bool has(uint32_t doc) const {
        size_t word = doc / 64;
        return word < word_count && ((words[word] >> (doc % 64)) & 1) != 0;
    }

    // Of the 64 docs from `first` on.
    uint64_t run(uint32_t first) const {
        const size_t word = first / 64;
        const uint32_t shift = first % 64;
        uint64_t bits = word < word_count ? words[word] >> shift : 0;
        if (shift != 0 && word + 1 < word_count) bits |= words[word + 1] << (64 - shift);
        return bits;
    }
};

}  // namespace weft
