// LinkPool: its queue and its threads.
#include "link_pool.h"

#include <thread>

#include "thread_priority.h"

namespace weft {

LinkPool& LinkPool::shared() {
    static LinkPool* pool = new LinkPool();
    return *pool;
}

void LinkPool::resize(size_t threads) {
    std::lock_guard guard(mutex_);
    wanted_ = threads == 0 ? 1 : threads;
    if (!queue_.empty()) start_locked();
    changed_.notify_all();
}

void LinkPool::set_niceness(int niceness) {
    std::lock_guard guard(mutex_);
    niceness_ = niceness;
}

size_t LinkPool::threads() const {
    std::lock_guard guard(mutex_);
    return wanted_;
}

void LinkPool::submit(std::shared_ptr<LinkWork> work) {
    std::lock_guard guard(mutex_);
    queue_.push_back(std::move(work));
    start_locked();
    changed_.notify_one();
}

void LinkPool::start_locked() {
    if (running_.size() < wanted_) running_.resize(wanted_, false);
    for (size_t number = 0; number < wanted_; ++number) {
        if (running_[number]) continue;
        std::thread(&LinkPool::run, this, number).detach();
        running_[number] = true;
    }
}

void LinkPool::run(size_t number) {
    std::unique_lock lock(mutex_);
    work_in_background(niceness_);
    while (true) {
        changed_.wait(lock, [&] { return number >= wanted_ || !queue_.empty(); });
        if (number >= wanted_) break;
        std::shared_ptr<LinkWork> work = std::move(queue_.front());
        queue_.pop_front();
        if (!work->has_work()) {
            lock.unlock();
            work->left_queue();
            work.reset();
            lock.lock();
            continue;
        }
        // Back at the end at once: another thread may take the next slice of the same index.
        queue_.push_back(work);
        changed_.notify_one();
        lock.unlock();
        work->run_slice();
        work.reset();
        lock.lock();
    }
    running_[number] = false;
    // The wake-up that ended this thread may have been meant for work.
    changed_.notify_one();
}

}  // namespace weft
