// What calls allocate: nothing. Counts by the program's operator new, for the thread that runs.
#include "support.hpp"

#include <tidegate/hedge.hpp>
#include <tidegate/queue.hpp>

#include <new>

namespace {

thread_local std::uint64_t allocations = 0;

template <class Fn>
std::uint64_t allocated_by(const Fn &fn) {
  const std::uint64_t before = allocations;
  fn();
  return allocations - before;
}

}  // namespace

void *operator new(std::size_t size) {
  ++allocations;
  void *made = std::malloc(size);
  if (made == nullptr) std::abort();
  return made;
}
void operator delete(void *made) noexcept { std::free(made); }
void operator delete(void *made, std::size_t) noexcept { std::free(made); }

TEST(allocations_are_seen) {
  CHECK(allocated_by([] { const std::vector<int> some(100); CHECK_EQ(some.size(), 100u); }) >= 1);
}

TEST(calls_and_refusals_allocate_nothing) {
  auto rt = opened();
  const auto guard = guarded(rt, R"({"concurrency": {"max": 1}})");
  tidegate::waiting_room room(guard);
  auto about = tidegate::call().key("tenant").timeout(1s);
  bool good = true;
  CHECK_EQ(allocated_by([&] {
    for (int i = 0; i < 100; i++) {
      good &= guard.run([] { return 1; }).ok() && guard.run(about, [] {}).ok() && room.run([] {}).ok();
      good &= tidegate::hedge(guard, [] { return 1; }).ok();
      auto held = guard.enter();
      good &= guard.run([] {}).refused() && guard.enter(about).refused();
    }
  }), 0u);
  CHECK(good);
}
