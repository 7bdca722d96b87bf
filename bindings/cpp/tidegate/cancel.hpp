// Telling work that its answer is not wanted any more.
#ifndef TIDEGATE_CANCEL_HPP
#define TIDEGATE_CANCEL_HPP

#include <tidegate/config.hpp>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

TIDEGATE_BEGIN

namespace detail {

// What a source, its tokens and their callbacks share. Callbacks run under the lock: who takes one out waits for it, so that
// it never runs afterwards. The lock is recursive, so that one may take itself out.
class cancellation {
 public:
  using callback = std::function<void()>;

  bool cancelled() const noexcept { return cancelled_.load(std::memory_order_acquire); }

  void cancel() noexcept {
    const std::lock_guard<std::recursive_mutex> lock(mutex_);
    cancelled_.store(true, std::memory_order_release);
    while (!waiting_.empty()) {
      const callback next = std::move(waiting_.begin()->second);
      waiting_.erase(waiting_.begin());
      next();
    }
  }

  // The callback's number; 0 where it was too late to wait, and the callback has run.
  std::uint64_t add(callback run) {
    std::unique_lock<std::recursive_mutex> lock(mutex_);
    if (!cancelled()) return waiting_.emplace(++last_, std::move(run)), last_;
    lock.unlock();
    run();
    return 0;
  }

  void remove(std::uint64_t number) noexcept {
    const std::lock_guard<std::recursive_mutex> lock(mutex_);
    waiting_.erase(number);
  }

 private:
  std::atomic<bool> cancelled_{false};
  std::recursive_mutex mutex_;
  std::map<std::uint64_t, callback> waiting_;
  std::uint64_t last_ = 0;
};

}  // namespace detail

// Says whether work is cancelled, as C++20's std::stop_token does. Copy it freely, use it from any thread. One that was made
// of nothing never is.
class cancel_token {
 public:
  cancel_token() noexcept = default;
  bool cancelled() const noexcept { return shared_ && shared_->cancelled(); }

 private:
  friend class cancel_source;
  friend class cancel_callback;
  explicit cancel_token(std::shared_ptr<detail::cancellation> shared) noexcept : shared_(std::move(shared)) {}

  std::shared_ptr<detail::cancellation> shared_;
};

// Calls `run` once, when the token is cancelled, on the thread that cancels; at once where it is already. Once this is destroyed
// `run` is over or will not run, so it may use what lives as long: a socket, to close it. It should be short and wait for nobody;
// what it throws ends the program.
class cancel_callback {
 public:
  cancel_callback(cancel_token token, std::function<void()> run)
      : token_(std::move(token)), number_(token_.shared_ ? token_.shared_->add(std::move(run)) : 0) {}
  cancel_callback(const cancel_callback &) = delete;
  cancel_callback &operator=(const cancel_callback &) = delete;
  ~cancel_callback() {
    if (number_ != 0) token_.shared_->remove(number_);
  }

 private:
  const cancel_token token_;
  const std::uint64_t number_;
};

// Cancels all that hold its tokens.
class cancel_source {
 public:
  cancel_token token() const noexcept { return cancel_token(shared_); }
  // Runs the callbacks, and returns after the last of them. Again: nothing.
  void cancel() noexcept { shared_->cancel(); }

 private:
  std::shared_ptr<detail::cancellation> shared_ = std::make_shared<detail::cancellation>();
};

TIDEGATE_END

#endif
