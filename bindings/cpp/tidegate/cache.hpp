// A bounded cache of results, and stale ones in place of errors.
#ifndef TIDEGATE_CACHE_HPP
#define TIDEGATE_CACHE_HPP

#include <tidegate/work.hpp>

#include <algorithm>
#include <cstddef>
#include <list>
#include <mutex>
#include <unordered_map>

TIDEGATE_BEGIN

// How long a cache keeps what.
struct cache_limits {
  // At most so many values; the least recently used goes first. 0 keeps nothing.
  std::size_t most = 1024;
  // So long after it was asked for, a value answers without a call.
  nanoseconds fresh_for = std::chrono::seconds(1);
  // So much longer it answers in place of an error.
  nanoseconds stale_for = std::chrono::minutes(5);
};

// Values by key, bounded in number and age: fresh ones spare the call, stale ones stand in for its errors, as the HTTP
// cache control "stale-if-error" does (RFC 5861, section 4). Values are given out as copies: of what is large, keep a
// std::shared_ptr<const T>.
//
//   auto price = prices.run(item, rt->now(), [&] { return pricing.run([&] { return fetch(item); }); });
//
// Time is a parameter of every call: any clock that does not go back. All functions may be called by many threads at
// once. A mutex is held for the look-ups only, never while work runs or a guard is asked.
template <class Key, class Value, class Hash = std::hash<Key>, class Equal = std::equal_to<Key>>
class stale_cache {
 public:
  // What was found, how old it is, and whether it is past its freshness.
  struct found {
    Value value;
    nanoseconds age;
    bool stale;
  };

  explicit stale_cache(cache_limits limits = {}) : limits_(limits) {}

  // A fresh value without a call; else what work, which returns result<Value>, answers: a value is kept; an error (or an
  // exception) is replaced by a stale value where there is one.
  template <class Work>
  result<Value> run(const Key &key, nanoseconds now, Work &&work) {
    std::optional<found> known = find(key, now);
    if (known && !known->stale) return std::move(known->value);
#if TIDEGATE_EXCEPTIONS
    try {
      return settled(key, now, std::invoke(std::forward<Work>(work)), known);
    } catch (...) {
      if (!known) throw;
      return std::move(known->value);
    }
#else
    return settled(key, now, std::invoke(std::forward<Work>(work)), known);
#endif
  }

  // The value of a key, fresh or stale; none where it is older than both times. Counts as its use.
  std::optional<found> find(const Key &key, nanoseconds now) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto place = index_.find(key);
    if (place == index_.end()) return std::nullopt;
    const nanoseconds age = std::max(now - place->second->at, nanoseconds(0));
    if (age >= detail::later(limits_.fresh_for, limits_.stale_for)) {
      drop(place);
      return std::nullopt;
    }
    order_.splice(order_.begin(), order_, place->second);
    return found{place->second->value, age, age >= limits_.fresh_for};
  }

  // Keeps a value as asked for at `now`, in place of an earlier one.
  void put(const Key &key, Value value, nanoseconds now) {
    if (limits_.most == 0) return;
    std::list<entry> made;
    made.push_front(entry{key, std::move(value), now});
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto place = index_.find(key);
    if (place != index_.end()) drop(place);
    index_.emplace(key, made.begin());
    order_.splice(order_.begin(), made);
    if (order_.size() > limits_.most) drop(index_.find(order_.back().key));
  }

  void erase(const Key &key) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto place = index_.find(key);
    if (place != index_.end()) drop(place);
  }

  std::size_t size() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return order_.size();
  }

 private:
  struct entry {
    Key key;
    Value value;
    nanoseconds at;
  };
  using places = std::unordered_map<Key, typename std::list<entry>::iterator, Hash, Equal>;

  result<Value> settled(const Key &key, nanoseconds now, result<Value> answer, std::optional<found> &known) {
    if (answer.ok()) {
      put(key, *answer, now);
    } else if (known) {
      return std::move(known->value);
    }
    return answer;
  }

  void drop(typename places::iterator place) {
    order_.erase(place->second);
    index_.erase(place);
  }

  const cache_limits limits_;
  mutable std::mutex mutex_;
  std::list<entry> order_;  // the most recently used first
  places index_;
};

TIDEGATE_END

#endif
