// Doc ids as the portable serialised form of roaring bitmaps, which pyroaring reads and writes.
//
//   bitmap    := 0x303A:u32 count:u32 head[count] offset:u32[count] container[count]
//              | 0x303B:u16 (count-1):u16 runs:bits[count] head[count] offset:u32[count]?
//              container*
//   head      := high:u16 (cardinality-1):u16          offsets are there if no runs, or count >= 4
//   container := low:u16[cardinality]                  cardinality <= 4096
//              | bits:u64[1024]                        cardinality > 4096
//              | runs:u16 (start:u16 (length-1):u16)[runs]
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

// A dense set that grows: bit `i % 64` of word `i / 64`.
class DocBits {
  public:
    void add(uint32_t doc) {
        size_t word = doc / 64;
        if (word >= words_.size()) words_.resize(std::max(word + 1, words_.size() * 2));
        words_[word] |= uint64_t(1) << (doc % 64);
    }
    void add_range(uint32_t first, uint32_t last);  // both inclusive
    void add_words(uint32_t first_word, const uint64_t* words, size_t count);
    const std::vector<uint64_t>& words() const { return words_; }
    std::vector<uint64_t> take_words();  // without the empty words at the end

  private:
    std::vector<uint64_t> words_;
};

// `docs` strictly ascending.
std::string roaring_of_docs(const uint32_t* docs, size_t count);
std::string roaring_of_words(const std::vector<uint64_t>& words);

// Both throw `Damaged` for bytes that are no bitmap.
void add_roaring(std::string_view bytes, DocBits& out);
void append_roaring(std::string_view bytes, std::vector<uint32_t>& out);

}  // namespace weft
