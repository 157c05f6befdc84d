// File: POSIX calls, retried when interrupted.
#include "file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

namespace weft {
namespace {

[[noreturn]] void raise_for(const std::string& path, const char* doing) {
    throw std::system_error(errno, std::generic_category(), std::string(doing) + " " + path);
}

}  // namespace

File::File(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}

File::File(File&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

File::~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

File File::open_to_read(const std::string& path) {
    int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) raise_for(path, "opening");
    return File(descriptor, path);
}

File File::open_to_append(const std::string& path, uint64_t length) {
    int descriptor = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (descriptor < 0) raise_for(path, "opening");
    File file(descriptor, path);
    if (::ftruncate(descriptor, off_t(length)) != 0) file.raise("cutting");
    return file;
}

File File::create(const std::string& path) {
    int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (descriptor < 0) raise_for(path, "creating");
    return File(descriptor, path);
}

void File::raise(const char* doing) const {
    raise_for(path_, doing);
}

uint64_t File::size() const {
    struct stat status;
    if (::fstat(descriptor_, &status) != 0) raise("examining");
    return uint64_t(status.st_size);
}

bool File::read(uint64_t offset, void* into, size_t length) const {
    char* at = static_cast<char*>(into);
    while (length > 0) {
        ssize_t got = ::pread(descriptor_, at, length, off_t(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) raise("reading");
        if (got == 0) return false;
        at += got;
        offset += uint64_t(got);
        length -= size_t(got);
    }
    return true;
}

void File::append(const void* bytes, size_t length) {
    const char* at = static_cast<const char*>(bytes);
    while (length > 0) {
        ssize_t put = ::write(descriptor_, at, length);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) raise("writing");
        at += put;
        length -= size_t(put);
    }
}

void File::sync() {
    if (::fsync(descriptor_) != 0) raise("syncing");
}

void File::replace(const std::string& source, const std::string& target) {
    if (std::rename(source.c_str(), target.c_str()) != 0) raise_for(target, "renaming to");
    size_t slash = target.rfind('/');
    std::string folder = slash == std::string::npos ? "." : target.substr(0, slash + 1);
    File directory = open_to_read(folder);
    directory.sync();
}

}  // namespace weft
