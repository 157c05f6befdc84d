// RowFile: its descriptor, and how pages change under readers.
#include "row_file.h"

#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

#if defined(__linux__)
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace weft {

#if defined(__linux__)

namespace {

constexpr size_t kPage = 4096;

size_t whole_pages(size_t bytes) {
    return (bytes + kPage - 1) / kPage * kPage;
}

}  // namespace

std::shared_ptr<RowFile> RowFile::create(const std::string& directory) {
    std::string pattern = directory + "/rows-XXXXXX";
    std::vector<char> path(pattern.begin(), pattern.end());
    path.push_back('\0');
    int descriptor = mkostemp(path.data(), O_CLOEXEC);
    if (descriptor < 0) throw std::system_error(errno, std::generic_category(), directory);
    unlink(path.data());
    return std::shared_ptr<RowFile>(new RowFile(descriptor));
}

RowFile::~RowFile() {
    close(descriptor_);
}

std::optional<uint64_t> RowFile::reserve(size_t bytes) {
    uint64_t offset = end_;
    if (posix_fallocate(descriptor_, off_t(offset), off_t(whole_pages(bytes))) != 0)
        return std::nullopt;
    end_ += whole_pages(bytes);
    return offset;
}

void RowFile::give_back(uint64_t offset, size_t bytes) noexcept {
    // A hint: the blocks are given back with the file at the latest.
    fallocate(descriptor_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off_t(offset),
              off_t(whole_pages(bytes)));
}

bool RowFile::write(uint64_t offset, const void* bytes, size_t length) noexcept {
    const char* at = static_cast<const char*>(bytes);
    while (length > 0) {
        ssize_t written = pwrite(descriptor_, at, length, off_t(offset));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        at += written;
        offset += uint64_t(written);
        length -= size_t(written);
    }
    return true;
}

bool RowFile::map_over(void* begin, uint64_t offset, size_t bytes) noexcept {
    // The system call itself: ThreadSanitizer takes `mmap` for a write of the whole range.
    long result = syscall(SYS_mmap, begin, whole_pages(bytes), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_FIXED, descriptor_, off_t(offset));
    if (result == -1) return false;
    madvise(begin, whole_pages(bytes), MADV_RANDOM);  // a hint: rows are read here and there
    return true;
}

bool map_memory_over(void* begin, size_t bytes) noexcept {
    const size_t size = whole_pages(bytes);
    void* fresh = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (fresh == MAP_FAILED) return false;
    std::memcpy(fresh, begin, bytes);
    if (syscall(SYS_mremap, fresh, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, begin) == -1) {
        munmap(fresh, size);
        return false;
    }
    madvise(begin, size, MADV_HUGEPAGE);
    return true;
}

#else

std::shared_ptr<RowFile> RowFile::create(const std::string& directory) {
    throw std::system_error(ENOTSUP, std::generic_category(), directory);
}
RowFile::~RowFile() {}
std::optional<uint64_t> RowFile::reserve(size_t) {
    return std::nullopt;
}
void RowFile::give_back(uint64_t, size_t) noexcept {}
bool RowFile::write(uint64_t, const void*, size_t) noexcept {
    return false;
}
bool RowFile::map_over(void*, uint64_t, size_t) noexcept {
    return false;
}
bool map_memory_over(void*, size_t) noexcept {
    return false;
}

#endif

}  // namespace weft
