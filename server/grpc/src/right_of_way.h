// RightOfWay: when a thread that writes steps aside for the event loop; right_of_way.py says why.
//
// Everything is called with the interpreter's lock held, which guards all but the sleep. A look
// keeps that lock: to let go of it for a moment wakes a loop that waits for it, and takes it back
// before the loop has a processor.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace weft {

class RightOfWay {
  public:
    // All in nanoseconds.
    struct Times {
        int64_t wait_max = 0;  // a thread goes on after this, also where the loop never rests
        int64_t look = 0;      // between two looks
        int64_t ration = 0;    // work after having waited, beside one search at a time
        int64_t ration_of_several = 0;  // the same beside several
    };

    explicit RightOfWay(const Times& times);
    ~RightOfWay();
    RightOfWay(const RightOfWay&) = delete;
    RightOfWay& operator=(const RightOfWay&) = delete;

    // Takes it as work for the loop when `descriptor` can be read. Throws std::system_error.
    void watch(int descriptor);
    // Undoes `watch`. Requires: the descriptor is still open. Throws std::system_error.
    void forget(int descriptor);
    // Lets go of the descriptors; from then on nothing can be read.
    void close();

    void search_begins();
    void search_ends();
    void loop_works() { works_ = true; }
    // Wakes who sleeps. While the loop waits for the result of a single search, which comes sooner
    // than a ration is over, they go on looking.
    void loop_rests();

    // Sleeps without the interpreter's lock while the loop goes first.
    void give_way();
    // As `give_way`, and without what is left of a ration: before a call that keeps the lock for
    // about as long as one, so that the loop never waits for both.
    void end_turn();

    bool is_wanted() const { return works_ || can_be_read(); }
    size_t sleeping() const { return sleeping_; }

  private:
    bool can_be_read() const;
    // Until the loop rests, or `wait_max` is over.
    void sleep();

    const Times times_;
    int ready_ = -1;  // an epoll
    bool works_ = false;
    bool is_awaited_ = false;
    size_t searches_ = 0;
    size_t searches_max_ = 0;  // since a thread last slept
    size_t sleeping_ = 0;
    int64_t go_on_until_ = 0;

    std::mutex mutex_;
    std::condition_variable rested_;
    uint64_t rests_ = 0;  // guarded by mutex_
};

}  // namespace weft
