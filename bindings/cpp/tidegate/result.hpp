// A value or an error, in the manner of C++23's std::expected.
#ifndef TIDEGATE_RESULT_HPP
#define TIDEGATE_RESULT_HPP

#include <tidegate/error.hpp>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <type_traits>
#include <variant>

TIDEGATE_BEGIN

#if TIDEGATE_EXCEPTIONS
// What value() throws where there is none.
class bad_result : public std::exception {
 public:
  explicit bad_result(tidegate::error why) : why_(std::move(why)), text_(why_.text()) {}
  const char *what() const noexcept override { return text_.c_str(); }
  const tidegate::error &error() const noexcept { return why_; }

 private:
  tidegate::error why_;
  std::string text_;
};
#endif

namespace detail {

// Somebody asked for a value that is not there: throws, or, without exceptions, says so and ends the program.
[[noreturn]] inline void no_value(const error &why) {
#if TIDEGATE_EXCEPTIONS
  throw bad_result(why);
#else
  std::fprintf(stderr, "tidegate: no value: %s\n", why.text().c_str());
  std::abort();
#endif
}

// What all results share: Held is what stands for the value.
template <class Held>
class either {
 public:
  bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }
  bool has_value() const noexcept { return ok(); }

  // status::ok, or why not.
  tidegate::status status() const noexcept { return ok() ? tidegate::status::ok : why().code; }
  // Whether a guard said no.
  bool refused() const noexcept { return is_refusal(status()); }
  // Why there is no value; only where !ok().
  const tidegate::error &error() const & noexcept { return why(); }
  tidegate::error &&error() && noexcept { return std::move(*std::get_if<1>(&state_)); }

 protected:
  template <class... Args>
  explicit either(std::in_place_index_t<0> there, Args &&...args) : state_(there, std::forward<Args>(args)...) {}
  explicit either(tidegate::error why) : state_(std::in_place_index<1>, std::move(why)) {}

  Held &held() noexcept { return *std::get_if<0>(&state_); }
  const Held &held() const noexcept { return *std::get_if<0>(&state_); }
  void require() const {
    if (!ok()) no_value(why());
  }

 private:
  const tidegate::error &why() const noexcept {
    static const tidegate::error lost{};  // where an assignment threw half-way
    const auto *kept = std::get_if<1>(&state_);
    return kept != nullptr ? *kept : lost;
  }

  std::variant<Held, tidegate::error> state_;
};

}  // namespace detail

// A T, or an error. *r and r-> are for where r.ok(); value() throws bad_result (without exceptions: aborts) where not.
template <class T>
class [[nodiscard]] result : public detail::either<T> {
 public:
  using value_type = T;

  result(T value) : detail::either<T>(std::in_place_index<0>, std::move(value)) {}
  result(tidegate::error why) : detail::either<T>(std::move(why)) {}

  T &operator*() & noexcept { return this->held(); }
  const T &operator*() const & noexcept { return this->held(); }
  T &&operator*() && noexcept { return std::move(this->held()); }
  T *operator->() noexcept { return &this->held(); }
  const T *operator->() const noexcept { return &this->held(); }

  T &value() & { return this->require(), this->held(); }
  const T &value() const & { return this->require(), this->held(); }
  T &&value() && { return this->require(), std::move(this->held()); }
  template <class U>
  T value_or(U &&otherwise) const & {
    return this->ok() ? this->held() : static_cast<T>(std::forward<U>(otherwise));
  }
  template <class U>
  T value_or(U &&otherwise) && {
    return this->ok() ? std::move(this->held()) : static_cast<T>(std::forward<U>(otherwise));
  }
};

// A reference to a T that is somebody else's, or an error.
template <class T>
class [[nodiscard]] result<T &> : public detail::either<T *> {
 public:
  using value_type = T &;

  result(T &value) : detail::either<T *>(std::in_place_index<0>, &value) {}
  result(tidegate::error why) : detail::either<T *>(std::move(why)) {}

  T &operator*() const noexcept { return *this->held(); }
  T *operator->() const noexcept { return this->held(); }
  T &value() const { return this->require(), *this->held(); }
};

// Done, or an error.
template <>
class [[nodiscard]] result<void> : public detail::either<std::monostate> {
 public:
  using value_type = void;

  result() : detail::either<std::monostate>(std::in_place_index<0>) {}
  result(tidegate::error why) : detail::either<std::monostate>(std::move(why)) {}

  void value() const { require(); }
};

namespace detail {

inline result<void> checked(tg_status code) {
  if (code == TG_OK) return {};
  return plain(code);
}

inline result<void> checked(tg_status code, const tg_error &from) {
  if (code == TG_OK) return {};
  return told(code, from);
}

template <class T>
struct is_result : std::false_type {};
template <class T>
struct is_result<result<T>> : std::true_type {};

}  // namespace detail

TIDEGATE_END

#endif
