// Wakeup: a descriptor that an event loop watches; one signal stands for any number of results.
#pragma once

namespace weft {

class Wakeup {
  public:
    Wakeup();  // raises std::system_error
    Wakeup(const Wakeup&) = delete;
    Wakeup& operator=(const Wakeup&) = delete;
    ~Wakeup();

    int descriptor() const { return read_end_; }
    void signal();
    void clear();

  private:
    int read_end_ = -1;
    int write_end_ = -1;
};

}  // namespace weft
