// Chunks: a growing table whose rows never move, so that readers need no lock while it grows.
//
// Chunk c holds 4 << c rows; the address of a row is one bit scan, one load and one multiply. New
// memory is zero. Big chunks are mapped, so their untouched end costs nothing, and sit on huge
// pages where the system has them: a graph walk is a stream of TLB misses otherwise.
//
// Rows may live in a file instead (`keep_in`): their addresses stay, the pages behind them change.
//
// Concurrency: one writer grows, and ends moves. A reader may use any row whose number it has
// learned, by an acquiring load, from something stored after the row's growth.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include "row_file.h"

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

    // --- rows outside of memory ----------------------------------------------------------------
    // A chunk that is being copied to the file.
    struct Move {
        size_t chunk;
        uint64_t offset;
        size_t copied;  // rows
    };

    // Chunks that come from now on lie in `file`, or in memory again where it is null. Small ones
    // always stay in memory, and so do those for which the disk has no room.
    void keep_in(std::shared_ptr<RowFile> file) {
        file_ = std::move(file);
        has_file_.store(file_ != nullptr, std::memory_order_relaxed);
    }
    bool has_file() const { return has_file_.load(std::memory_order_relaxed); }

    // Whether the first `count` rows are so many that a file is worth it.
    bool can_leave(size_t count) const {
        return count > 0 && can_move(chunk_of(count - 1 + kFirst));
    }

    // A chunk of the first `count` rows that is not where `keep_in` wants it.
    std::optional<size_t> misplaced(size_t count) const {
        for (size_t chunk = 0; count > 0 && chunk <= chunk_of(count - 1 + kFirst); ++chunk)
            if (can_move(chunk) && is_in_file(chunk) != has_file()) return chunk;
        return std::nullopt;
    }

    // Copies what there is of a chunk, beside the writer. None where the disk has no room.
    std::optional<Move> begin_move(size_t chunk, size_t count) {
        std::optional<uint64_t> offset = file_->reserve(size_of(chunk));
        if (!offset) return std::nullopt;
        Move move{chunk, *offset, 0};
        if (copy(move, count)) return move;
        file_->give_back(*offset, size_of(chunk));
        return std::nullopt;
    }

    // Copies the rest and puts the file in the memory's place. Belongs to the writer's side.
    bool end_move(Move move, size_t count) {
        if (!copy(move, count) ||
            !file_->map_over(begin_of(move.chunk), move.offset, size_of(move.chunk))) {
            file_->give_back(move.offset, size_of(move.chunk));
            return false;
        }
        set_in_file(move.chunk, true);
        return true;
    }

    // Belongs to the writer's side.
    bool move_back(size_t chunk) {
        if (!map_memory_over(begin_of(chunk), size_of(chunk))) return false;
        set_in_file(chunk, false);
        return true;
    }

    // Bytes of the first `count` rows that take memory: the end of the last chunk lies on a huge
    // page, which is there as a whole.
    size_t resident_bytes(size_t count) const {
        size_t bytes = 0;
        for (size_t chunk = 0; count > 0 && chunk <= chunk_of(count - 1 + kFirst); ++chunk) {
            if (is_in_file(chunk)) continue;
            size_t used = rows_of(chunk, count) * bytes_;
            if (size_of(chunk) >= kMappedMin)
                used = std::min((used + kHugePage - 1) & ~(kHugePage - 1), size_of(chunk));
            bytes += used;
        }
        return bytes;
    }

  private:
    static constexpr size_t kFirstBits = 2;
    static constexpr size_t kFirst = size_t{1} << kFirstBits;
    static constexpr size_t kChunks = 33 - kFirstBits;
    static constexpr size_t kHugePage = size_t{1} << 21;
    static constexpr size_t kMappedMin = kHugePage / 2;

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
        if (file_ == nullptr || made.mapped == 0) return;
        std::optional<uint64_t> offset = file_->reserve(size);
        if (offset && file_->map_over(reinterpret_cast<void*>(begin), *offset, size))
            set_in_file(chunk, true);
    }

    size_t size_of(size_t chunk) const { return (kFirst << chunk) * bytes_; }
    void* begin_of(size_t chunk) const { return row((kFirst << chunk) - kFirst); }
    bool can_move(size_t chunk) const { return size_of(chunk) >= kMappedMin; }
    bool is_in_file(size_t chunk) const {
        return ((in_file_.load(std::memory_order_relaxed) >> chunk) & 1) != 0;
    }
    void set_in_file(size_t chunk, bool is_in) {
        uint64_t bit = uint64_t{1} << chunk;
        if (is_in)
            in_file_.fetch_or(bit, std::memory_order_relaxed);
        else
            in_file_.fetch_and(~bit, std::memory_order_relaxed);
    }

    // Rows of a chunk that are among the first `count`.
    size_t rows_of(size_t chunk, size_t count) const {
        size_t first = (kFirst << chunk) - kFirst;
        return count <= first ? 0 : std::min(count - first, kFirst << chunk);
    }

    bool copy(Move& move, size_t count) {
        size_t end = rows_of(move.chunk, count);
        const char* from = static_cast<const char*>(begin_of(move.chunk)) + move.copied * bytes_;
        if (!file_->write(move.offset + move.copied * bytes_, from, (end - move.copied) * bytes_))
            return false;
        move.copied = end;
        return true;
    }

    uintptr_t map([[maybe_unused]] size_t size, [[maybe_unused]] Allocation& made) {
#if defined(__linux__)
        if (size < kMappedMin) return 0;
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
    std::atomic<uint64_t> in_file_{0};  // a bit a chunk
    std::shared_ptr<RowFile> file_;
    std::atomic<bool> has_file_{false};
};

}  // namespace weft
