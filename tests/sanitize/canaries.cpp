// Planted errors that the sanitizers must report: what goes unseen here would go unseen elsewhere.

#include <cstdlib>
#include <limits>
#include <thread>

namespace {

int shared_count = 0;

}  // namespace

extern "C" {

// Two threads write one number without a lock.
int weft_canary_race() {
    auto count = [] {
        for (int i = 0; i < 10'000; i++) shared_count++;
    };
    std::thread one(count), two(count);
    one.join();
    two.join();
    return shared_count;
}

// Reads past the end of a block from the heap.
int weft_canary_overflow() {
    volatile char* block = static_cast<char*>(std::calloc(16, 1));
    int found = block[16];
    std::free(const_cast<char*>(block));
    return found;
}

// Reads a block from the heap that was given back.
int weft_canary_freed() {
    volatile char* block = static_cast<char*>(std::calloc(16, 1));
    std::free(const_cast<char*>(block));
    return block[3];
}

// Adds one to the greatest number.
int weft_canary_undefined() {
    volatile int most = std::numeric_limits<int>::max();
    return most + 1;
}

}  // extern "C"
