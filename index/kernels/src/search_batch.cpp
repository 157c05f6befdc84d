// SearchBatch: sharing the queries out among threads.
#include "search_batch.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <limits>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace weft {
namespace {

// Queries a thread takes at a time: few enough that all threads end together, and rows of results
// that two of them write lie on different lines but for the ends.
constexpr size_t kShare = 8;

void answer(const VectorIndex& index, const SearchRequest& request, size_t at,
            const BatchTables& into) {
    const Found found = index.search(request);
    const size_t filled = std::min(found.docs.size(), into.width);
    uint32_t* docs = into.docs + at * into.width;
    float* distances = into.distances + at * into.width;
    std::copy_n(found.docs.begin(), filled, docs);
    std::copy_n(found.distances.begin(), filled, distances);
    std::fill(docs + filled, docs + into.width, kNoSlot);
    std::fill(distances + filled, distances + into.width, std::numeric_limits<float>::infinity());
    into.counts[at] = uint32_t(filled);
    into.explanations[at] = found.explanation;
}

// Threads that are joined whatever happens.
struct Crew {
    std::vector<std::thread> threads;
    ~Crew() {
        for (std::thread& thread : threads) thread.join();
    }
};

}  // namespace

void search_batch(const VectorIndex& index, const SearchRequest& each, const float* queries,
                  size_t count, size_t threads, const BatchTables& into) {
    std::atomic<size_t> next{0};
    std::mutex mutex;
    std::exception_ptr failure;
    auto work = [&] {
        SearchRequest request = each;
        try {
            for (size_t begin; (begin = next.fetch_add(kShare)) < count;) {
                for (size_t at = begin; at < std::min(begin + kShare, count); ++at) {
                    request.query = queries + at * each.dimensions;
                    answer(index, request, at, into);
                }
            }
        } catch (...) {
            next.store(count);
            std::lock_guard guard(mutex);
            if (!failure) failure = std::current_exception();
        }
    };
    {
        Crew crew;
        const size_t shares = (count + kShare - 1) / kShare;
        const size_t helpers = std::min(threads, shares);
        try {
            while (crew.threads.size() + 1 < helpers) crew.threads.emplace_back(work);
        } catch (const std::system_error&) {
            // The system has no more threads: those there are do the work.
        }
        work();
    }
    if (failure) std::rethrow_exception(failure);
}

}  // namespace weft
