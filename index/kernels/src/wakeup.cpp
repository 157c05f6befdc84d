// Wakeup: an eventfd on Linux, a pipe elsewhere.
#include "wakeup.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

#if defined(__linux__)
#include <sys/eventfd.h>
#endif

namespace weft {

Wakeup::Wakeup() {
#if defined(__linux__)
    read_end_ = write_end_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (read_end_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
#else
    int ends[2];
    if (::pipe(ends) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    read_end_ = ends[0];
    write_end_ = ends[1];
    for (int end : ends) {
        ::fcntl(end, F_SETFL, O_NONBLOCK);
        ::fcntl(end, F_SETFD, FD_CLOEXEC);
    }
#endif
}

Wakeup::~Wakeup() {
    ::close(read_end_);
    if (write_end_ != read_end_) ::close(write_end_);
}

void Wakeup::signal() {
    // A write fails only when signals are pending already, which is as good.
    const uint64_t one = 1;
    while (::write(write_end_, &one, sizeof(one)) < 0 && errno == EINTR) continue;
}

void Wakeup::clear() {
    uint64_t pending[8];
    while (::read(read_end_, pending, sizeof(pending)) > 0 || errno == EINTR) {
        if (read_end_ == write_end_) return;  // one read empties an eventfd
    }
}

}  // namespace weft
