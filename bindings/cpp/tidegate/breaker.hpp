// Hearing of a breaker's changes.
#ifndef TIDEGATE_BREAKER_HPP
#define TIDEGATE_BREAKER_HPP

#include <tidegate/error.hpp>
#include <tidegate/result.hpp>
#include <tidegate/status.hpp>

#include <memory>
#include <utility>

TIDEGATE_BEGIN

// Hears of a guard's breaker as long as it lives. Destroying it, also from within the callback, returns at once; calls that
// have begun go on, and what is called is destroyed after the last of them.
class breaker_watch {
 public:
  breaker_watch() noexcept = default;
  breaker_watch(breaker_watch &&from) noexcept : guard_(from.guard_), watch_(std::exchange(from.watch_, 0)) {}
  breaker_watch &operator=(breaker_watch &&from) noexcept {
    std::swap(guard_, from.guard_);
    std::swap(watch_, from.watch_);
    return *this;
  }
  ~breaker_watch() { end(); }

  // Ends it before its time.
  void end() noexcept {
    if (watch_ != 0) tg_guard_unwatch_breaker(guard_, std::exchange(watch_, 0));
  }

 private:
  friend class guard;

  template <class Hear>
  static result<breaker_watch> begin(const tg_guard *guard, Hear hear) {
    breaker_watch begun;
    // In C's hands from here on: it is freed also where the watch does not begin.
    auto *own = std::make_unique<Hear>(std::move(hear)).release();
    const tg_status code = tg_guard_watch_breaker(
        guard, [](void *to, const tg_breaker_change *change) noexcept { (*static_cast<Hear *>(to))(*change); }, own,
        [](void *to) noexcept { delete static_cast<Hear *>(to); }, &begun.watch_);
    if (code != TG_OK) return detail::plain(code);
    begun.guard_ = guard;
    return begun;
  }

  const tg_guard *guard_ = nullptr;
  std::uint64_t watch_ = 0;
};

TIDEGATE_END

#endif
