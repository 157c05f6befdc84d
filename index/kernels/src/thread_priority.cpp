// ThreadPriority: as Linux has it.
#include "thread_priority.h"

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#endif

namespace weft {

#if defined(__linux__)
namespace {

// The kernel's `struct sched_attr`, in its first form.
struct SchedAttributes {
    uint32_t size = sizeof(SchedAttributes);
    uint32_t policy = 0;
    uint64_t flags = 0;
    int32_t nice = 0;
    uint32_t priority = 0;
    uint64_t runtime_ns = 0;
    uint64_t deadline_ns = 0;
    uint64_t period_ns = 0;
};

// Less than the usual 1.4 ms and more, and enough for what a wake-up brings.
constexpr uint64_t kTurnNs = 1'000'000;
constexpr unsigned long kSlackNs = 1'000;
constexpr uint64_t kOnlyThisThread = 1;  // not the threads that it starts

}  // namespace

void work_in_background(int niceness) {
    setpriority(PRIO_PROCESS, id_t(syscall(SYS_gettid)), niceness);
    pthread_setname_np(pthread_self(), "weft-link");
}

void give_way() {
    sched_yield();
}

void answer_promptly() {
    prctl(PR_SET_TIMERSLACK, kSlackNs);
    SchedAttributes attributes;
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0) return;
    attributes.flags |= kOnlyThisThread;
    attributes.runtime_ns = kTurnNs;
    syscall(SYS_sched_setattr, 0, &attributes, 0);  // older kernels ignore the turns
}
#else
void work_in_background(int) {}
void give_way() {}
void answer_promptly() {}
#endif

}  // namespace weft
