// SearchPool: searches for an event loop. `submit` returns at once; results gather in a queue, and
// one wake-up of the loop collects however many there are.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "arrays.h"
#include "bindings.h"
#include "index_handle.h"
#include "thread_priority.h"
#include "wakeup.h"

namespace nb = nanobind;

namespace weft {
namespace {

enum class Outcome { found, dimensions, invalid, closed, failed };

struct Job {
    uint64_t ticket = 0;
    std::shared_ptr<VectorIndex> index;
    std::vector<float> query;
    // Keeps the words alive. Dropped by `drain`, because that holds the GIL.
    std::optional<WordArray> allow;
    SearchRequest request;
    Found found;
    Outcome outcome = Outcome::found;
    std::string message;

    void run() {
        try {
            request.query = query.data();
            if (allow) {
                AllowWords words{allow->data(), allow->shape(0), 0};
                words.allowed = count_bits(words);
                request.allow = words;
            }
            found = index->search(request);
        } catch (const DimensionError& error) {
            fail(Outcome::dimensions, error.what());
        } catch (const std::invalid_argument& error) {
            fail(Outcome::invalid, error.what());
        } catch (const ClosedError& error) {
            fail(Outcome::closed, error.what());
        } catch (const std::exception& error) {
            fail(Outcome::failed, error.what());
        }
        index.reset();
    }

    void fail(Outcome kind, const char* what) {
        outcome = kind;
        message = what;
    }
};

const char* name_of(Outcome outcome) {
    switch (outcome) {
        case Outcome::dimensions: return "dimensions";
        case Outcome::invalid: return "invalid";
        case Outcome::closed: return "closed";
        case Outcome::failed: return "failed";
        case Outcome::found: break;
    }
    return "";
}

class SearchPool {
  public:
    explicit SearchPool(size_t threads) {
        for (size_t number = 0; number < std::max<size_t>(threads, 1); ++number)
            threads_.emplace_back(&SearchPool::run, this);
    }
    ~SearchPool() { close(); }

    int descriptor() const { return wakeup_.descriptor(); }

    void submit(const IndexHandle& index, const FloatRow& query, size_t k, size_t ef,
                const std::optional<WordArray>& allow, const SearchBounds& bounds,
                float distance_max, uint64_t ticket) {
        auto job = std::make_unique<Job>();
        job->ticket = ticket;
        job->index = index.index;
        job->query.assign(query.data(), query.data() + query.shape(0));
        job->allow = allow;
        job->request.dimensions = query.shape(0);
        job->request.k = k;
        job->request.ef = ef;
        job->request.bounds = bounds;
        job->request.distance_max = distance_max;
        bool must_wake = false;
        {
            std::lock_guard guard(mutex_);
            if (closed_) throw ClosedError();
            waiting_.push_back(std::move(job));
            must_wake = begin_wake_locked();
        }
        // After the lock, or the thread that wakes waits for it again.
        if (must_wake) changed_.notify_one();
    }

    // [(ticket, doc ids, distances, explanation)] of searches that succeeded and
    // [(ticket, kind of error, message)] of those that did not, in one list.
    nb::list drain() {
        std::vector<std::unique_ptr<Job>> done;
        // Cleared first: a result that comes now is either in the swap or signals again.
        wakeup_.clear();
        {
            std::lock_guard guard(mutex_);
            done.swap(done_);
        }
        nb::list results;
        for (const std::unique_ptr<Job>& job : done) {
            if (job->outcome == Outcome::found)
                results.append(nb::make_tuple(job->ticket, numpy_of(job->found.docs),
                                              numpy_of(job->found.distances),
                                              job->found.explanation));
            else
                results.append(nb::make_tuple(job->ticket, name_of(job->outcome), job->message));
        }
        return results;
    }

    // Ends the running searches; those that wait complete as closed. `drain` still works.
    void close() {
        {
            std::lock_guard guard(mutex_);
            if (closed_) return;
            closed_ = true;
            bool must_tell = false;
            for (std::unique_ptr<Job>& job : waiting_) {
                job->fail(Outcome::closed, "the search pool is closed");
                must_tell |= complete_locked(std::move(job));
            }
            waiting_.clear();
            changed_.notify_all();
            if (must_tell) wakeup_.signal();
        }
        nb::gil_scoped_release free;
        for (std::thread& thread : threads_) thread.join();
    }

  private:
    void run() {
        answer_promptly();
        std::unique_lock lock(mutex_);
        while (true) {
            while (waiting_.empty() && !closed_) {
                ++sleeping_;
                changed_.wait(lock);
                --sleeping_;
                is_waking_ = false;
            }
            if (waiting_.empty()) return;
            std::unique_ptr<Job> job = std::move(waiting_.front());
            waiting_.pop_front();
            const bool must_wake = !waiting_.empty() && begin_wake_locked();
            lock.unlock();
            if (must_wake) changed_.notify_one();
            job->run();
            lock.lock();
            if (!complete_locked(std::move(job))) continue;
            lock.unlock();
            wakeup_.signal();
            lock.lock();
        }
    }

    // True where a sleeping thread is to be woken and none is on its way: whoever wakes wakes the
    // next one. So a burst of searches costs the event loop one wake-up, not one each.
    bool begin_wake_locked() {
        if (is_waking_ || sleeping_ == 0) return false;
        is_waking_ = true;
        return true;
    }

    // True where the event loop has to be told, after the lock: it takes it next.
    bool complete_locked(std::unique_ptr<Job> job) {
        done_.push_back(std::move(job));
        return done_.size() == 1;
    }

    Wakeup wakeup_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::unique_ptr<Job>> waiting_;
    std::vector<std::unique_ptr<Job>> done_;
    std::vector<std::thread> threads_;
    size_t sleeping_ = 0;
    bool is_waking_ = false;  // a thread is told to wake and has not yet
    bool closed_ = false;
};

}  // namespace

void bind_search_pool(nb::module_& m) {
    nb::class_<SearchPool>(m, "SearchPool")
        .def(nb::init<size_t>(), nb::arg("threads"))
        .def_prop_ro("descriptor", &SearchPool::descriptor)
        .def("submit", &SearchPool::submit, nb::arg("index"), nb::arg("query"), nb::arg("k"),
             nb::arg("ef"), nb::arg("allow").none(), nb::arg("bounds"), nb::arg("distance_max"),
             nb::arg("ticket"))
        .def("drain", &SearchPool::drain)
        .def("close", &SearchPool::close);
    m.def("answer_promptly", &answer_promptly,
          "Let the calling thread run soon after it is woken.");
}

}  // namespace weft
