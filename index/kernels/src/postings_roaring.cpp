// Writes and reads the portable roaring format.
#include "postings_roaring.h"

#include <algorithm>
#include <bit>

#include "postings_bytes.h"

namespace weft {
namespace {

constexpr uint32_t kCookie = 12346;
constexpr uint16_t kCookieRuns = 12347;
constexpr uint32_t kOffsetsFrom = 4;
constexpr size_t kArrayMax = 4096;
constexpr size_t kBitsetBytes = 8192;

struct Container {
    uint16_t high;
    bool is_run;
    uint32_t cardinality;
    std::string bytes;
};

size_t count_runs(const uint32_t* docs, size_t count) {
    size_t runs = 1;
    for (size_t at = 1; at < count; ++at) runs += docs[at] != docs[at - 1] + 1;
    return runs;
}

std::string encode_runs(const uint32_t* docs, size_t count, size_t runs) {
    std::string out;
    append_fixed<uint16_t>(out, static_cast<uint16_t>(runs));
    for (size_t first = 0; first < count;) {
        size_t last = first;
        while (last + 1 < count && docs[last + 1] == docs[last] + 1) ++last;
        append_fixed<uint16_t>(out, static_cast<uint16_t>(docs[first]));
        append_fixed<uint16_t>(out, static_cast<uint16_t>(last - first));
        first = last + 1;
    }
    return out;
}

Container encode_container(const uint32_t* docs, size_t count) {
    Container made{static_cast<uint16_t>(docs[0] >> 16), false, static_cast<uint32_t>(count), {}};
    size_t runs = count_runs(docs, count);
    if (2 + 4 * runs < std::min(2 * count, kBitsetBytes)) {
        made.is_run = true;
        made.bytes = encode_runs(docs, count, runs);
    } else if (count <= kArrayMax) {
        made.bytes.reserve(2 * count);
        for (size_t at = 0; at < count; ++at)
            append_fixed<uint16_t>(made.bytes, static_cast<uint16_t>(docs[at]));
    } else {
        std::vector<uint64_t> bits(kBitsetBytes / 8);
        for (size_t at = 0; at < count; ++at)
            bits[(docs[at] & 0xFFFF) / 64] |= uint64_t(1) << (docs[at] % 64);
        made.bytes.reserve(kBitsetBytes);
        for (uint64_t word : bits) append_fixed<uint64_t>(made.bytes, word);
    }
    return made;
}

std::string join(const std::vector<Container>& containers) {
    std::string out;
    auto count = static_cast<uint32_t>(containers.size());
    bool has_runs = std::any_of(containers.begin(), containers.end(),
                                [](const Container& item) { return item.is_run; });
    if (has_runs) {
        append_fixed<uint16_t>(out, kCookieRuns);
        append_fixed<uint16_t>(out, static_cast<uint16_t>(count - 1));
        std::string flags((count + 7) / 8, '\0');
        for (uint32_t at = 0; at < count; ++at)
            if (containers[at].is_run) flags[at / 8] |= static_cast<char>(1 << (at % 8));
        out += flags;
    } else {
        append_fixed<uint32_t>(out, kCookie);
        append_fixed<uint32_t>(out, count);
    }
    for (const Container& item : containers) {
        append_fixed<uint16_t>(out, item.high);
        append_fixed<uint16_t>(out, static_cast<uint16_t>(item.cardinality - 1));
    }
    if (!has_runs || count >= kOffsetsFrom) {
        auto offset = static_cast<uint32_t>(out.size() + 4 * size_t(count));
        for (const Container& item : containers) {
            append_fixed<uint32_t>(out, offset);
            offset += static_cast<uint32_t>(item.bytes.size());
        }
    }
    for (const Container& item : containers) out += item.bytes;
    return out;
}

// Calls `range(first, last)` and `bits(first_doc, reader over 1024 words)` for what is in there.
template <class OnRange, class OnWord>
void read_container(ByteReader& in, uint32_t base, uint32_t cardinality, bool is_run,
                    const OnRange& on_range, const OnWord& on_word) {
    if (is_run) {
        uint32_t next = 0;
        for (uint32_t left = in.fixed<uint16_t>(); left > 0; --left) {
            uint32_t first = in.fixed<uint16_t>();
            uint32_t last = first + in.fixed<uint16_t>();
            if (first < next || last > 0xFFFF) throw Damaged("runs of a bitmap overlap");
            on_range(base + first, base + last);
            next = last + 1;
        }
    } else if (cardinality <= kArrayMax) {
        uint32_t next = 0;
        for (uint32_t left = cardinality; left > 0; --left) {
            uint32_t low = in.fixed<uint16_t>();
            if (low < next) throw Damaged("values of a bitmap are not ascending");
            on_range(base + low, base + low);
            next = low + 1;
        }
    } else {
        for (uint32_t at = 0; at < kBitsetBytes / 8; ++at)
            if (uint64_t word = in.fixed<uint64_t>()) on_word(base / 64 + at, word);
    }
}

template <class OnRange, class OnWord>
void read_roaring(std::string_view bytes, const OnRange& on_range, const OnWord& on_word) {
    ByteReader in(bytes);
    uint32_t cookie = in.fixed<uint32_t>();
    uint32_t count;
    std::string_view flags;
    bool has_runs = (cookie & 0xFFFF) == kCookieRuns;
    if (has_runs) {
        count = (cookie >> 16) + 1;
        flags = in.bytes((count + 7) / 8);
    } else if (cookie == kCookie) {
        count = in.fixed<uint32_t>();
        if (count > 65536) throw Damaged("a bitmap has too many containers");
    } else {
        throw Damaged("no bitmap");
    }
    std::vector<std::pair<uint32_t, uint32_t>> heads(count);
    int64_t before = -1;
    for (auto& [high, cardinality] : heads) {
        high = in.fixed<uint16_t>();
        cardinality = uint32_t(in.fixed<uint16_t>()) + 1;
        if (int64_t(high) <= before) throw Damaged("containers of a bitmap are not ascending");
        before = high;
    }
    if (!has_runs || count >= kOffsetsFrom) in.bytes(4 * size_t(count));
    for (uint32_t at = 0; at < count; ++at) {
        bool is_run = has_runs && (flags[at / 8] >> (at % 8) & 1);
        read_container(in, heads[at].first << 16, heads[at].second, is_run, on_range, on_word);
    }
}

}  // namespace

void DocBits::add_range(uint32_t first, uint32_t last) {
    size_t word_last = last / 64;
    if (word_last >= words_.size()) words_.resize(std::max(word_last + 1, words_.size() * 2));
    uint64_t head = ~uint64_t(0) << (first % 64);
    uint64_t tail = ~uint64_t(0) >> (63 - last % 64);
    size_t word = first / 64;
    if (word == word_last) {
        words_[word] |= head & tail;
        return;
    }
    words_[word] |= head;
    for (++word; word < word_last; ++word) words_[word] = ~uint64_t(0);
    words_[word_last] |= tail;
}

void DocBits::add_words(uint32_t first_word, const uint64_t* words, size_t count) {
    if (first_word + count > words_.size())
        words_.resize(std::max(first_word + count, words_.size() * 2));
    for (size_t at = 0; at < count; ++at) words_[first_word + at] |= words[at];
}

std::vector<uint64_t> DocBits::take_words() {
    while (!words_.empty() && words_.back() == 0) words_.pop_back();
    return std::move(words_);
}

std::string roaring_of_docs(const uint32_t* docs, size_t count) {
    std::vector<Container> containers;
    for (size_t first = 0; first < count;) {
        size_t last = first;
        while (last < count && docs[last] >> 16 == docs[first] >> 16) ++last;
        containers.push_back(encode_container(docs + first, last - first));
        first = last;
    }
    return join(containers);
}

std::string roaring_of_words(const std::vector<uint64_t>& words) {
    std::vector<Container> containers;
    std::vector<uint32_t> docs;
    for (size_t first = 0; first < words.size(); first += 1024) {
        docs.clear();
        size_t last = std::min(first + 1024, words.size());
        for (size_t at = first; at < last; ++at)
            for (uint64_t word = words[at]; word != 0; word &= word - 1)
                docs.push_back(static_cast<uint32_t>(at * 64 + std::countr_zero(word)));
        if (!docs.empty()) containers.push_back(encode_container(docs.data(), docs.size()));
    }
    return join(containers);
}

void add_roaring(std::string_view bytes, DocBits& out) {
    read_roaring(
        bytes, [&](uint32_t first, uint32_t last) { out.add_range(first, last); },
        [&](uint32_t word, uint64_t bits) { out.add_words(word, &bits, 1); });
}

void append_roaring(std::string_view bytes, std::vector<uint32_t>& out) {
    read_roaring(
        bytes,
        [&](uint32_t first, uint32_t last) {
            for (uint64_t doc = first; doc <= last; ++doc) out.push_back(uint32_t(doc));
        },
        [&](uint32_t word, uint64_t bits) {
            for (; bits != 0; bits &= bits - 1)
                out.push_back(word * 64 + static_cast<uint32_t>(std::countr_zero(bits)));
        });
}

}  // namespace weft
