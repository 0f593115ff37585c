#pragma once

#include <sys/mman.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lab/host/record.h"

namespace carrick::lab {

// Runs `work` for each node in a process of its own that is in the node's cgroup, all at the same time, and waits for
// them. They end with this process.
Result<void> in_node_processes(const RunningLab& lab, const std::vector<std::string>& nodes,
                               const std::function<Result<void>(const std::string&)>& work);

// Memory that such processes share with their parent. T is plain data.
template <class T>
class SharedArray {
 public:
  static Result<SharedArray> make(size_t count) {
    size_t bytes = (count + 1) * sizeof(T);
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return fail_errno(errno, "shared memory");
    std::uninitialized_value_construct_n(static_cast<T*>(memory), count);
    return SharedArray(memory, bytes, count);
  }
  SharedArray(SharedArray&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)), bytes_(other.bytes_), count_(other.count_) {}
  ~SharedArray() {
    if (memory_) ::munmap(memory_, bytes_);
  }
  std::span<T> span() { return {static_cast<T*>(memory_), count_}; }

 private:
  SharedArray(void* memory, size_t bytes, size_t count) : memory_(memory), bytes_(bytes), count_(count) {}
  void* memory_;
  size_t bytes_, count_;
};

}  // namespace carrick::lab
