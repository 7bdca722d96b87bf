// What a runtime's guards share.
#ifndef TIDEGATE_ENVIRONMENT_HPP
#define TIDEGATE_ENVIRONMENT_HPP

#include <tidegate/config.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

TIDEGATE_BEGIN

// Waits before guarded work starts, where rules or a policy ask for it. True: the time is over; false: the caller has
// left, and the work is not to be run. Called on the caller's thread, by several at once.
using waiter = std::function<bool(nanoseconds)>;

namespace detail {

struct environment {
  environment(tg_runtime *opened, bool closed, waiter by) noexcept
      : handle(opened), fail_closed(closed), waits(std::move(by)) {}

  bool wait(nanoseconds time) const {
    if (waits) return waits(time);
    std::this_thread::sleep_for(time);
    return true;
  }

  // Never unmapped: it outlives the runtime's close.
  tg_runtime *const handle;
  const bool fail_closed;
  const waiter waits;
  std::atomic<std::uint64_t> faults{0};
};

}  // namespace detail

TIDEGATE_END

#endif
