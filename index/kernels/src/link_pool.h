// LinkPool: the threads of this process that link vectors into graphs, shared by all indexes.
//
// Work is done in slices of a few milliseconds and queued again behind the others, so that many
// indexes make progress together and none can be held up for long.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

namespace weft {

class LinkWork {
  public:
    virtual ~LinkWork() = default;
    // Whether a slice could be taken now.
    virtual bool has_work() const = 0;
    // Called when the pool lets go of it because it has no work.
    virtual void left_queue() noexcept = 0;
    // Does one slice. Never throws: trouble is kept for the owner to report.
    virtual void run_slice() noexcept = 0;
};

class LinkPool {
  public:
    // Made at first use and never destroyed: its threads may outlive static destructors.
    static LinkPool& shared();

    // Threads start with the first work. Fewer threads take effect when running slices end.
    void resize(size_t threads);
    void set_niceness(int niceness);
    size_t threads() const;
    void submit(std::shared_ptr<LinkWork> work);

  private:
    LinkPool() = default;
    void start_locked();
    void run(size_t number);

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::shared_ptr<LinkWork>> queue_;
    std::vector<bool> running_;  // by thread number
    size_t wanted_ = 2;
    int niceness_ = 10;
};

}  // namespace weft
