// Chunks: a growing table whose rows never move, so that readers need no lock while it grows.
//
// Chunk c holds 4 << c rows; the address of a row is one bit scan, one load and one multiply. New
// memory is zero. Big chunks are mapped, so their untouched end costs nothing, and sit on huge
// pages where the system has them: a graph walk is a stream of TLB misses otherwise.
//
// Concurrency: one writer grows. A reader may use any row whose number it has learned, by an
// acquiring load, from something stored after the row's growth.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace weft {

enum class Filling { dense, sparse };  // sparse tables stay on small pages

template <class T>
class Chunks {
  public:
    explicit Chunks(size_t width, Filling filling = Filling::dense)
        : bytes_(width * sizeof(T)), filling_(filling) {}
    Chunks(const Chunks&) = delete;
    Chunks& operator=(const Chunks&) = delete;
    ~Chunks() {
        for (size_t chunk = 0; chunk < kChunks; ++chunk) release(chunk);
    }

    T* row(size_t index) const {
        size_t at = index + kFirst;
        return reinterpret_cast<T*>(origins_[chunk_of(at)].load(std::memory_order_relaxed) +
                                    at * bytes_);
    }

    T* row_or_null(size_t index) const {
        size_t at = index + kFirst;
        uintptr_t origin = origins_[chunk_of(at)].load(std::memory_order_acquire);
        return origin == 0 ? nullptr : reinterpret_cast<T*>(origin + at * bytes_);
    }

    // Makes the rows [first, first + count) exist. Raises std::bad_alloc and changes nothing then.
    void grow(size_t first, size_t count) {
        if (count == 0) return;
        size_t last = chunk_of(first + count - 1 + kFirst);
        for (size_t chunk = chunk_of(first + kFirst); chunk <= last; ++chunk)
            if (allocations_[chunk].address == nullptr) allocate(chunk);
    }

    // Rows from `index` that lie one after the other in memory.
    size_t run_length(size_t index) const {
        size_t at = index + kFirst;
        return (kFirst << (chunk_of(at) + 1)) - at;
    }

    size_t row_bytes() const { return bytes_; }

  private:
    static constexpr size_t kFirstBits = 2;
    static constexpr size_t kFirst = size_t{1} << kFirstBits;
    static constexpr size_t kChunks = 33 - kFirstBits;
    static constexpr size_t kHugePage = size_t{1} << 21;

    struct Allocation {
        void* address = nullptr;
        size_t mapped = 0;  // 0 where it came from the heap
    };

    static size_t chunk_of(size_t at) {
        return size_t{63} - size_t(std::countl_zero(uint64_t(at))) - kFirstBits;
    }

    void allocate(size_t chunk) {
        size_t first = kFirst << chunk;
        size_t size = first * bytes_;
        Allocation& made = allocations_[chunk];
        uintptr_t begin = map(size, made);
        if (begin == 0) {
            size_t rounded = (size + 63) & ~size_t{63};
            made.address = std::aligned_alloc(64, rounded);
            if (made.address == nullptr) throw std::bad_alloc();
            std::memset(made.address, 0, rounded);
            begin = reinterpret_cast<uintptr_t>(made.address);
        }
        // Unsigned arithmetic may wrap here and wraps back in `row`. An origin is never 0, because
        // no chunk begins at first * bytes_ < 2^40 in practice; the assertion below keeps it so.
        uintptr_t origin = begin - first * bytes_;
        if (origin == 0) throw std::bad_alloc();
        origins_[chunk].store(origin, std::memory_order_release);
    }

    uintptr_t map([[maybe_unused]] size_t size, [[maybe_unused]] Allocation& made) {
#if defined(__linux__)
        if (size < kHugePage / 2) return 0;
        size_t mapped = size + kHugePage;
        void* address = mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (address == MAP_FAILED) throw std::bad_alloc();
        made = {address, mapped};
        uintptr_t begin = (reinterpret_cast<uintptr_t>(address) + kHugePage - 1) & ~(kHugePage - 1);
        // A hint: where the system refuses it, small pages serve as well.
        if (filling_ == Filling::dense)
            madvise(reinterpret_cast<void*>(begin), size, MADV_HUGEPAGE);
        return begin;
#else
        return 0;
#endif
    }

    void release(size_t chunk) {
        Allocation& held = allocations_[chunk];
        if (held.address == nullptr) return;
#if defined(__linux__)
        if (held.mapped != 0) {
            munmap(held.address, held.mapped);
            return;
        }
#endif
        std::free(held.address);
    }

    size_t bytes_;
    Filling filling_;
    std::atomic<uintptr_t> origins_[kChunks] = {};
    Allocation allocations_[kChunks] = {};
};

}  // namespace weft
