// ThreadPriority: how the kernel treats the calling thread. On Linux; elsewhere nothing happens.
#pragma once

namespace weft {

// Below whoever answers requests: linking may wait, a search may not.
void work_in_background(int niceness);

// Lets whoever waits for this processor run first. A thread of low priority, too, keeps it for a
// whole tick of the kernel, 4 ms at 250 Hz, where it does not say so.
void give_way();

// Runs soon after it is woken. Asks for short turns, with which a thread that wakes goes before
// those that are in the middle of a long one (Linux 6.12 and later), and to be woken on time: a
// thread that waits for the interpreter's lock sleeps for a tenth of a millisecond at a time.
void answer_promptly();

}  // namespace weft
