// Several attempts at one answer, of which the first good one counts: a state, without the guard and the threads.
#ifndef TIDEGATE_RACE_HPP
#define TIDEGATE_RACE_HPP

#include <tidegate/cancel.hpp>
#include <tidegate/result.hpp>

#include <condition_variable>
#include <optional>

TIDEGATE_BEGIN

namespace detail {

// How an attempt ended: with a result, with an exception, or, with neither, without having been made.
template <class R>
struct attempt_end {
  std::optional<R> value;
  std::exception_ptr thrown;
  outcome how = outcome::cancelled;

  // Another attempt would not do better; it would at what is ignored as little as at a success.
  bool good() const noexcept { return how == outcome::success || how == outcome::ignored; }
};

// What the caller and its attempts share; it goes with the last of them.
template <class R>
class race {
 public:
  cancel_token token() const noexcept { return cancel_.token(); }

  // An attempt is sent.
  void begin() {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++out_;
  }

  // Whether an attempt's end counts: the first good one does, and none after it.
  bool claim(bool good) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (won_) return false;
    won_ = good;
    return true;
  }

  // An attempt has ended, after its claim. What it gave replaces what a failure gave before.
  void end(attempt_end<R> ended, bool counts) {
    const std::lock_guard<std::mutex> lock(mutex_);
    --out_;
    if (counts && !answered_ && (ended.value || ended.thrown)) {
      answered_ = ended.good();
      last_.emplace(std::move(ended));
    }
    changed_.notify_one();
  }

  // Waits until there is an answer that counts or no attempt is out: true; or the time is over: false.
  bool wait(nanoseconds time) {
    std::unique_lock<std::mutex> lock(mutex_);
    const auto over = [this] { return answered_ || out_ == 0; };
    // More would overflow in wait_for.
    if (time < std::chrono::hours(24 * 365)) return changed_.wait_for(lock, time, over);
    changed_.wait(lock, over);
    return true;
  }

  // The answer that counts, else what the last failure gave.
  attempt_end<R> take() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return last_ ? std::move(*last_) : attempt_end<R>();
  }

  // The caller leaves: whoever is still out has lost, and is told.
  void leave() noexcept {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      won_ = true;
    }
    cancel_.cancel();
  }

 private:
  cancel_source cancel_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int out_ = 0;  // attempts that have not ended
  bool won_ = false, answered_ = false;  // somebody's claim was good; and is here
  std::optional<attempt_end<R>> last_;
};

}  // namespace detail

TIDEGATE_END

#endif
