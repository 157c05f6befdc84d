// ThreadPriority: how the kernel treats the calling thread. On Linux; elsewhere nothing happens.
#pragma once

namespace weft {

// Below whoever answers requests: linking may wait, a search may not.
void work_in_background(int niceness);

// Runs soon after it is woken. Asks for short turns, with which a thread that wakes goes before
// those that are in the middle of a long one (Linux 6.12 and later), and to be woken on time: a
// thread that waits for the interpreter's lock sleeps for a tenth of a millisecond at a time.
void answer_promptly();

}  // namespace weft
