// TermCache: decoded postings of sealed segments, least recently used out first.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "segment.h"
#include "segment_run.h"

namespace weft {

// What the cache holds: made from a sealed segment, immutable.
class Cached {
  public:
    virtual ~Cached() = default;
    virtual size_t bytes() const = 0;
};

// Postings of one key of one segment, decoded; none at all for a key that is not there.
class Postings : public Cached {
  public:
    Postings() = default;
    // Throws `Damaged`.
    Postings(Form form, uint32_t docs, std::string_view body);

    bool is_empty() const { return docs_.empty() && roaring_.empty(); }
    // The docs as roaring bytes; made on demand for scored postings.
    std::string roaring() const;
    PostingView view() const;  // scored postings only
    size_t bytes() const override;

    // How many of the docs were alive at a state of the live docs, kept for the next search.
    mutable std::atomic<uint64_t> live_memo{0};

  private:
    std::string roaring_;
    std::vector<uint32_t> docs_;
    std::vector<uint16_t> narrow_;  // frequencies, then lengths
    std::vector<uint32_t> wide_;    // the same where a number needs more than 16 bits
    std::vector<Impact> impacts_;
};

class TermCache {
  public:
    explicit TermCache(size_t bytes_max) : bytes_max_(bytes_max) {}

    // Null if it is not there; `get` is for the keys of postings.
    std::shared_ptr<const Postings> get(uint64_t segment, std::string_view key);
    std::shared_ptr<const Cached> find(uint64_t segment, std::string_view key);
    void put(uint64_t segment, std::string_view key, std::shared_ptr<const Cached> item);

    size_t bytes_max() const { return bytes_max_; }
    size_t bytes() const;
    size_t hits() const { return hits_; }
    size_t misses() const { return misses_; }

  private:
    struct Name {
        uint64_t segment;
        std::string_view key;
        bool operator==(const Name&) const = default;
    };
    struct NameHash {
        size_t operator()(const Name& name) const {
            return std::hash<std::string_view>()(name.key) ^ (name.segment * 0x9E3779B97F4A7C15ull);
        }
    };
    struct Item {
        uint64_t segment;
        std::string key;
        std::shared_ptr<const Cached> held;
        size_t bytes;
    };

    const size_t bytes_max_;
    mutable std::mutex mutex_;
    std::list<Item> items_;  // latest first
    std::unordered_map<Name, std::list<Item>::iterator, NameHash> places_;
    size_t bytes_ = 0;
    std::atomic<size_t> hits_{0};
    std::atomic<size_t> misses_{0};
};

}  // namespace weft
