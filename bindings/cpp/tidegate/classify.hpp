// How the end of guarded work is judged, unless the caller says otherwise.
#ifndef TIDEGATE_CLASSIFY_HPP
#define TIDEGATE_CLASSIFY_HPP

#include <tidegate/result.hpp>

#include <system_error>

TIDEGATE_BEGIN

// Judges what guarded work returned or threw:
//
//   an outcome                                     that outcome
//   a result with an error, bad_result             error::outcome: failure, unless it was made as something else
//   std::error_code, std::system_error             timeout for timed_out, cancelled for operation_canceled,
//                                                  success for none, else failure
//   what has has_value() and error()               success or failure (std::expected and its likes)
//   any other exception                            failure
//   any other value (bool and numbers too), void   success
//
// To replace some of it, inherit and hide the functions that are to differ; run takes any type that has these names.
struct classify {
  outcome result() const noexcept { return outcome::success; }

  outcome result(outcome how) const noexcept { return how; }

  outcome result(const std::error_code &code) const noexcept {
    if (!code) return outcome::success;
    if (code == std::errc::timed_out) return outcome::timeout;
    return code == std::errc::operation_canceled ? outcome::cancelled : outcome::failure;
  }

  template <class T>
  outcome result(const tidegate::result<T> &ended) const noexcept {
    return ended.ok() ? outcome::success : ended.error().outcome;
  }

  template <class T>
  outcome result(const T &ended) const noexcept {
    if constexpr (is_expected<T>::value) {
      return ended.has_value() ? outcome::success : outcome::failure;
    } else {
      return outcome::success;
    }
  }

#if TIDEGATE_EXCEPTIONS
  // `thrown` is empty for what is no C++ exception, such as a thread's cancellation.
  outcome exception(const std::exception_ptr &thrown) const {
    if (!thrown) return outcome::failure;
    try {
      std::rethrow_exception(thrown);
    } catch (const bad_result &bad) {
      return bad.error().outcome;
    } catch (const std::system_error &failed) {
      return result(failed.code());
    } catch (...) {
      return outcome::failure;
    }
  }
#endif

 private:
  template <class T, class = void>
  struct is_expected : std::false_type {};
  template <class T>
  struct is_expected<T, std::void_t<decltype(std::declval<const T &>().has_value()),
                                    decltype(std::declval<const T &>().error())>> : std::true_type {};
};

TIDEGATE_END

#endif
