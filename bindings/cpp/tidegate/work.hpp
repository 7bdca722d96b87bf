// Runs work that holds a permit, judges it, and gives back what it returned.
#ifndef TIDEGATE_WORK_HPP
#define TIDEGATE_WORK_HPP

#include <tidegate/classify.hpp>
#include <tidegate/permit.hpp>

#include <functional>

TIDEGATE_BEGIN

namespace detail {

// Work may take the permit, to read its deadline and route or to settle the outcome itself.
template <class Fn>
decltype(auto) start(Fn &&fn, permit &held) {
  if constexpr (std::is_invocable_v<Fn, permit &>) {
    return std::invoke(std::forward<Fn>(fn), held);
  } else {
    return std::invoke(std::forward<Fn>(fn));
  }
}

template <class Fn>
using returned = decltype(start(std::declval<Fn>(), std::declval<permit &>()));

template <class R>
struct wrapped {
  using type = result<std::conditional_t<std::is_lvalue_reference_v<R>, R, std::remove_cv_t<std::remove_reference_t<R>>>>;
};
template <class T>
struct wrapped<result<T>> {
  using type = result<T>;
};

}  // namespace detail

// What running Fn behind a guard returns: result<R> where Fn returns R, and what Fn returns where that is a result.
template <class Fn>
using run_result = typename detail::wrapped<detail::returned<Fn>>::type;

namespace detail {

inline void settle(permit &held, outcome how) noexcept {
  if (!held.settled()) held.settle(how);
}

template <class Fn, class Judge>
run_result<Fn> ended(permit &held, Fn &&fn, const Judge &judge) {
  if constexpr (std::is_void_v<returned<Fn>>) {
    start(std::forward<Fn>(fn), held);
    settle(held, judge.result());
    return {};
  } else {
    returned<Fn> value = start(std::forward<Fn>(fn), held);
    settle(held, judge.result(std::as_const(value)));
    return run_result<Fn>(std::forward<returned<Fn>>(value));
  }
}

// Runs the work and settles the permit, unless the work itself did.
template <class Fn, class Judge>
run_result<Fn> conduct(permit &held, Fn &&fn, const Judge &judge) {
#if TIDEGATE_EXCEPTIONS
  try {
    return ended(held, std::forward<Fn>(fn), judge);
  } catch (...) {
    settle(held, judge.exception(std::current_exception()));
    throw;
  }
#else
  return ended(held, std::forward<Fn>(fn), judge);
#endif
}

}  // namespace detail

TIDEGATE_END

#endif
