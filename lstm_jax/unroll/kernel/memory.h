// Scratch memory that a thread keeps from call to call: fresh pages would cost as much as a short sequence.
#pragma once
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

namespace lstm {

// Ask for large pages under a large array that is about to be written: where the system grants them, XLA's fresh buffers
// cost a tenth of the page faults, which took a quarter of the time.
inline void expect_writes(void* data, std::size_t bytes) {
#if defined(__linux__)
  constexpr std::uintptr_t kPage = 4096, kLarge = std::size_t{2} << 20;
  if (bytes < 2 * kLarge) return;
  const std::uintptr_t begin = (reinterpret_cast<std::uintptr_t>(data) + kPage - 1) / kPage * kPage;
  const std::uintptr_t end = (reinterpret_cast<std::uintptr_t>(data) + bytes) / kPage * kPage;
  madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);  // advice: a refusal changes nothing
#endif
}

// Blocks in the order in which a call takes them; each grows to the largest that ever stood in its place.
class Scratch {
 public:
  void begin() { next_ = 0; }

  template <typename T>
  T* take(int64_t count) {
    const std::size_t bytes = (count * sizeof(T) + 4095) / 4096 * 4096;
    if (next_ == blocks_.size()) blocks_.push_back({});
    Block& block = blocks_[next_++];
    if (block.bytes < bytes) {
      std::free(block.data);
      block = {std::aligned_alloc(64, bytes), bytes};
      if (block.data == nullptr) {
        block.bytes = 0;
        throw std::bad_alloc();
      }
    }
    return static_cast<T*>(block.data);
  }

  template <typename T>
  T* zeros(int64_t count) {
    T* data = take<T>(count);
    if (count) std::memset(data, 0, count * sizeof(T));
    return data;
  }

  // A thread does not sit on what one large call took.
  void end() {
    for (Block& block : blocks_)
      if (block.bytes > kKept) {
        std::free(block.data);
        block = {};
      }
  }

  ~Scratch() {
    for (Block& block : blocks_) std::free(block.data);
  }

 private:
  struct Block {
    void* data = nullptr;
    std::size_t bytes = 0;
  };
  static constexpr std::size_t kKept = std::size_t{16} << 20;
  std::vector<Block> blocks_;
  std::size_t next_ = 0;
};

}  // namespace lstm
