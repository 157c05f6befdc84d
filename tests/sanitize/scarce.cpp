// Memory that ends when a test says so: RLIMIT_AS would kill the sanitizer itself.
//
// Preloaded before the sanitizer's runtime, to which every other request is passed on. Blocks of
// 64 KiB and more are refused then, as a machine without memory refuses them: the ones of a moment
// are small, and what grows without end is made of big ones.

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <new>

namespace {

constexpr size_t kBig = size_t{64} << 10;
std::atomic<bool> is_at_end{false};

bool is_refused(size_t size) {
    return size >= kBig && is_at_end.load(std::memory_order_relaxed);
}

// The function that comes after ours. Not a static of a function: its guard would call into a
// runtime that is not there yet when the first block is asked for.
template <class Function>
Function* next(std::atomic<Function*>& found, const char* name) {
    Function* known = found.load(std::memory_order_relaxed);
    if (known == nullptr) {
        known = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
        found.store(known, std::memory_order_relaxed);
    }
    return known;
}

std::atomic<void* (*)(size_t, size_t)> next_aligned_alloc{nullptr};
std::atomic<void* (*)(void*, size_t, int, int, int, off_t)> next_mmap{nullptr};
std::atomic<void* (*)(size_t)> next_new{nullptr};

}  // namespace

extern "C" {

void weft_memory_ends(int ends) {
    is_at_end.store(ends != 0);
}

void* aligned_alloc(size_t alignment, size_t size) {
    if (!is_refused(size)) return next(next_aligned_alloc, "aligned_alloc")(alignment, size);
    errno = ENOMEM;
    return nullptr;
}

void* mmap(void* address, size_t size, int protection, int flags, int file, off_t offset) {
    if (file != -1 || !is_refused(size))
        return next(next_mmap, "mmap")(address, size, protection, flags, file, offset);
    errno = ENOMEM;
    return MAP_FAILED;
}

}  // extern "C"

void* operator new(size_t size) {
    if (is_refused(size)) throw std::bad_alloc();
    return next(next_new, "_Znwm")(size);
}
