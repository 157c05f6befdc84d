// RightOfWay: as Linux has it; elsewhere nobody looks at descriptors.
#include "right_of_way.h"

#include <nanobind/nanobind.h>

#include <algorithm>
#include <chrono>

#if defined(__linux__)
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#endif

namespace weft {
namespace {

int64_t now_ns() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

#if defined(__linux__)
void control(int ready, int operation, int descriptor) {
    epoll_event event{};
    event.events = EPOLLIN;
    if (::epoll_ctl(ready, operation, descriptor, &event) != 0)
        throw std::system_error(errno, std::generic_category(), "epoll_ctl");
}
#endif

}  // namespace

#if defined(__linux__)
RightOfWay::RightOfWay(const Times& times) : times_(times), ready_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (ready_ < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
}

void RightOfWay::watch(int descriptor) {
    control(ready_, EPOLL_CTL_ADD, descriptor);
}

void RightOfWay::forget(int descriptor) {
    control(ready_, EPOLL_CTL_DEL, descriptor);
}

void RightOfWay::close() {
    if (ready_ >= 0) ::close(ready_);
    ready_ = -1;
}

bool RightOfWay::can_be_read() const {
    epoll_event event;
    return ready_ >= 0 && ::epoll_wait(ready_, &event, 1, 0) > 0;
}
#else
RightOfWay::RightOfWay(const Times& times) : times_(times) {}
void RightOfWay::watch(int) {}
void RightOfWay::forget(int) {}
void RightOfWay::close() {}
bool RightOfWay::can_be_read() const {
    return false;
}
#endif

RightOfWay::~RightOfWay() {
    close();
}

void RightOfWay::search_begins() {
    ++searches_;
    searches_max_ = std::max(searches_max_, searches_);
    is_awaited_ = searches_ == 1;
}

void RightOfWay::search_ends() {
    --searches_;
    is_awaited_ = false;
}

void RightOfWay::loop_rests() {
    works_ = false;
    if (sleeping_ == 0) return;
    {
        std::lock_guard guard(mutex_);
        ++rests_;
    }
    rested_.notify_all();
}

void RightOfWay::give_way() {
    const int64_t now = now_ns();
    // Beside one search a ration ends where the loop has come to work: its answer comes soon.
    const bool is_cut = works_ && searches_max_ <= 1;
    if (now < go_on_until_ && !is_cut) return;
    if (!is_wanted()) {
        go_on_until_ = now + times_.look;
        return;
    }
    sleep();
    const int64_t ration = searches_max_ > 1 ? times_.ration_of_several
                           : is_awaited_     ? times_.look
                                             : times_.ration;
    go_on_until_ = now_ns() + ration;
    searches_max_ = searches_;
}

void RightOfWay::end_turn() {
    go_on_until_ = 0;
    give_way();
}

void RightOfWay::sleep() {
    ++sleeping_;
    std::unique_lock lock(mutex_);
    const uint64_t before = rests_;
    {
        nanobind::gil_scoped_release free;
        rested_.wait_for(lock, std::chrono::nanoseconds(times_.wait_max),
                         [&] { return rests_ != before; });
        lock.unlock();  // Before the interpreter's: whoever has that one takes this one.
    }
    --sleeping_;
}

}  // namespace weft
