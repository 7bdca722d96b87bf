// Callers that ask for the same at the same time share one call.
#ifndef TIDEGATE_COLLAPSE_HPP
#define TIDEGATE_COLLAPSE_HPP

#include <tidegate/work.hpp>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

TIDEGATE_BEGIN

// Request collapsing ("single flight", as in Go's golang.org/x/sync/singleflight; "proxy_cache_lock" in nginx): of those
// that ask for one key at once, the first, the leader, does the work, and the others wait for its result and get a copy.
// Nothing is kept once it is there; that is a cache's part. Put it around the guard, so that the guard counts one call:
//
//   auto price = flights.run(item, [&] { return pricing.run([&] { return fetch(item); }); });
//
// All functions may be called by many threads at once; a mutex is held for the look-ups, not while work runs. Work that
// asks for its own key again on the same thread runs at once, instead of waiting for itself for ever.
template <class Key, class Value, class Hash = std::hash<Key>, class Equal = std::equal_to<Key>>
class collapser {
 public:
  collapser() = default;
  collapser(const collapser &) = delete;
  collapser &operator=(const collapser &) = delete;

  // Runs work, which returns result<Value>, or waits for the leader that does. A caller that waited longer than `longest`
  // gets status::timed_out; the leader goes on. What the leader throws, all throw.
  template <class Work>
  result<Value> run(const Key &key, Work &&work, nanoseconds longest = never) {
    std::unique_lock<std::mutex> lock(mutex_);
    const auto place = flights_.find(key);
    if (place == flights_.end()) return lead(lock, key, std::forward<Work>(work));
    const std::shared_ptr<flight> shared = place->second;
    if (shared->leader == std::this_thread::get_id()) {
      lock.unlock();
      return std::invoke(std::forward<Work>(work));
    }
    return follow(lock, *shared, longest);
  }

  // The next caller of this key leads anew, whoever is under way: for what was changed meanwhile.
  void forget(const Key &key) {
    const std::lock_guard<std::mutex> lock(mutex_);
    flights_.erase(key);
  }

  // How many callers wait for the leader of this key.
  std::size_t followers(const Key &key) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto place = flights_.find(key);
    return place == flights_.end() ? 0 : place->second->followers;
  }

 private:
  struct flight {
    std::thread::id leader = std::this_thread::get_id();
    std::size_t followers = 0;
    bool over = false;
    std::optional<result<Value>> answer;
    std::exception_ptr thrown;
    std::condition_variable landed;
  };

  template <class Work>
  result<Value> lead(std::unique_lock<std::mutex> &lock, const Key &key, Work &&work) {
    const auto mine = std::make_shared<flight>();
    flights_.emplace(key, mine);
    lock.unlock();
#if TIDEGATE_EXCEPTIONS
    try {
      result<Value> answer = std::invoke(std::forward<Work>(work));
      land(key, *mine, answer, nullptr);
      return answer;
    } catch (...) {
      land(key, *mine, std::nullopt, std::current_exception());
      throw;
    }
#else
    result<Value> answer = std::invoke(std::forward<Work>(work));
    land(key, *mine, answer, nullptr);
    return answer;
#endif
  }

  void land(const Key &key, flight &mine, std::optional<result<Value>> answer, std::exception_ptr thrown) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto place = flights_.find(key);
    if (place != flights_.end() && place->second.get() == &mine) flights_.erase(place);
    mine.answer = std::move(answer);
    mine.thrown = std::move(thrown);
    mine.over = true;
    mine.landed.notify_all();
  }

  result<Value> follow(std::unique_lock<std::mutex> &lock, flight &shared, nanoseconds longest) {
    const auto over = [&shared] { return shared.over; };
    ++shared.followers;
    if (longest > std::chrono::hours(24 * 365)) {  // more would overflow in wait_for
      shared.landed.wait(lock, over);
    } else {
      shared.landed.wait_for(lock, longest, over);
    }
    --shared.followers;
    if (!shared.over) return late();
    if (shared.answer) return *shared.answer;
#if TIDEGATE_EXCEPTIONS
    if (shared.thrown) std::rethrow_exception(shared.thrown);
#endif
    return failure("the leader was cancelled");
  }

  static error late() {
    error why = detail::plain(status::timed_out);
    why.outcome = outcome::timeout;
    return why;
  }

  mutable std::mutex mutex_;
  std::unordered_map<Key, std::shared_ptr<flight>, Hash, Equal> flights_;
};

TIDEGATE_END

#endif
