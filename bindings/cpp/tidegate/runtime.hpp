// The runtime: opened, given rules and policies, asked for guards, instruments and metrics, and closed.
#ifndef TIDEGATE_RUNTIME_HPP
#define TIDEGATE_RUNTIME_HPP

#include <tidegate/guard.hpp>
#include <tidegate/instrument.hpp>
#include <tidegate/limiter.hpp>
#include <tidegate/policy.hpp>
#include <tidegate/text.hpp>

TIDEGATE_BEGIN

// What a runtime is opened with; 0 and empty are the library's defaults (see tg_options).
struct options {
  // At most 128 of A-Z a-z 0-9 . _ -: a second open under the same name, in this process or a child that it forked, is on
  // the same segment. Empty: a private one.
  std::string_view name{};
  std::uint64_t segment_bytes = 0;
  std::uint32_t max_threads = 0;
  std::uint32_t max_guards = 0;
  // Time stands still until set_clock and advance_clock move it, and starts at virtual_start: for tests.
  bool virtual_clock = false;
  nanoseconds virtual_start{0};
  // Whether rules may inject faults into this process's calls.
  bool faults = false;
  // When the library itself cannot answer: false lets calls pass and counts them in runtime::faults, true gives the error.
  bool fail_closed = false;
  // How guard::run waits; std::this_thread::sleep_for where it is empty, also on a virtual clock.
  waiter wait{};
};

// Checks rules without applying them; an error's report names every error with its path. Cold.
inline result<void> check_rules(std::string_view json) {
  tg_error said = detail::sized<tg_error>();
  tg_text *raw = nullptr;
  const tg_status code = tg_rules_check(json.data(), json.size(), &raw, &said);
  const detail::text report(raw);
  if (code == TG_OK) return {};
  error why = detail::told(code, said);
  why.report = detail::copied(tg_text_bytes(report.get()));
  return why;
}

// An opened Tidegate; closed when destroyed. Its functions may be called by many threads at once, but not while it is
// moved or destroyed; guards and instruments stay safe to use. All are cold but now().
class runtime {
 public:
  static result<runtime> open(const options &with = {}) {
    tg_options raw = detail::sized<tg_options>();
    raw.clock = with.virtual_clock ? TG_CLOCK_VIRTUAL : TG_CLOCK_MONOTONIC;
    raw.name = detail::str(with.name);
    raw.segment_bytes = with.segment_bytes;
    raw.virtual_start_ns = detail::unsigned_ns(with.virtual_start);
    raw.max_threads = with.max_threads;
    raw.max_guards = with.max_guards;
    raw.flags = with.faults ? TG_OPTION_FAULTS : 0;
    tg_error said = detail::sized<tg_error>();
    tg_runtime *handle = nullptr;
    const tg_status code = tg_runtime_open(&raw, &handle, &said);
    if (code != TG_OK) return detail::told(code, said);
    return runtime(std::make_shared<detail::environment>(handle, with.fail_closed, with.wait));
  }

  runtime(runtime &&) noexcept = default;
  runtime &operator=(runtime &&from) noexcept {
    if (this != &from) {
      close();
      around_ = std::move(from.around_);
    }
    return *this;
  }
  ~runtime() { close(); }

  // Closes now: status::closed when it was. Guards and instruments answer as closed from now on.
  status close() noexcept {
    const auto code = around_ ? tg_runtime_close(around_->handle) : TG_CLOSED;
    around_.reset();
    return static_cast<status>(code);
  }

  // Rules: put in force, whole or not at all. status::invalid comes with the whole report, status::conflict means that
  // newer ones, or others of this version, are in force.
  result<void> apply_rules(std::string_view json) {
    tg_error said = detail::sized<tg_error>();
    const tg_status code = tg_rules_apply(handle(), json.data(), json.size(), &said);
    if (code == TG_OK) return {};
    error why = detail::told(code, said);
    if (auto checked = check_rules(json); code == TG_INVALID && !checked) why.report = std::move(checked).error().report;
    return why;
  }
  // The version of the rules in force; 0 before the first.
  result<std::uint64_t> rules_version() const {
    std::uint64_t number = 0;
    const tg_status code = tg_rules_version(handle(), &number);
    if (code != TG_OK) return detail::plain(code);
    return number;
  }

  // Finds or makes a guard: 1 to 128 bytes of UTF-8 without control characters. Once per name; names should be few.
  result<tidegate::guard> guard(std::string_view name) const {
    tg_error said = detail::sized<tg_error>();
    const tg_guard *found = nullptr;
    const tg_status code = tg_guard_resolve(handle(), detail::str(name), &found, &said);
    if (code != TG_OK) return detail::told(code, said);
    return tidegate::guard(found, around_);
  }
  // The id of an attribute's name, for call::attributes: once per name, at most 1023 names.
  result<tidegate::attribute> attribute(std::string_view name) const {
    std::uint32_t id = 0;
    const tg_status code = tg_attribute_resolve(handle(), detail::str(name), &id);
    if (code != TG_OK) return detail::plain(code);
    return tidegate::attribute(id);
  }

  // Instruments: found or made, once per label set.
  result<tidegate::counter> counter(const instrument &what) const {
    return resolved<tidegate::counter, tg_counter>(what, tg_counter_resolve);
  }
  result<tidegate::gauge> gauge(const instrument &what) const {
    return resolved<tidegate::gauge, tg_gauge>(what, tg_gauge_resolve);
  }
  result<tidegate::histogram> histogram(const instrument &what) const {
    return resolved<tidegate::histogram, tg_histogram>(what, tg_histogram_resolve);
  }
  // A limiter that stands alone: by name, shared by all who ask for it in every process on the segment (one that stands
  // already keeps its options); without a name a new one of this process's own.
  result<tidegate::limiter> limiter(std::string_view name, const limiter_options &with) const {
    const tg_limiter_options raw = detail::raw(with);
    return limited(name, &raw);
  }
  // One that stands already; status::not_found otherwise.
  result<tidegate::limiter> limiter(std::string_view name) const { return limited(name, nullptr); }

  // All metrics, in the format that an HTTP Accept header asks for; Prometheus text where it is empty.
  result<page> metrics(std::string_view accept = {}) const {
    tg_error said = detail::sized<tg_error>();
    tg_text *raw = nullptr;
    const tg_status code = tg_metrics_render(handle(), detail::str(accept), &raw, &said);
    const detail::text body(raw);
    if (code != TG_OK) return detail::told(code, said);
    return page{detail::copied(tg_text_bytes(body.get())), detail::copied(tg_text_content_type(body.get()))};
  }

  // Policies: checked, compiled, tried out, and published under a name (or not published, by check_policy).
  result<void> load_policy(std::string_view name, std::string_view wasm, const policy_options &with = {}) {
    tg_error said = detail::sized<tg_error>();
    const tg_policy_options raw = detail::raw(with);
    return detail::checked(
        tg_policy_load(handle(), detail::str(name), detail::bytes(wasm), wasm.size(), &raw, &said), said);
  }
  result<void> check_policy(std::string_view wasm, const policy_options &with = {}) const {
    tg_error said = detail::sized<tg_error>();
    const tg_policy_options raw = detail::raw(with);
    return detail::checked(tg_policy_check(handle(), detail::bytes(wasm), wasm.size(), &raw, &said), said);
  }
  // Lets the previous good generation serve again.
  result<void> rollback_policy(std::string_view name) {
    tg_error said = detail::sized<tg_error>();
    return detail::checked(tg_policy_rollback(handle(), detail::str(name), &said), said);
  }
  result<void> unload_policy(std::string_view name) {
    return detail::checked(tg_policy_unload(handle(), detail::str(name)));
  }
  // The generation that serves, from 1; 0 when it failed too often and there was no earlier one.
  result<std::uint64_t> policy_generation(std::string_view name) const {
    std::uint64_t number = 0;
    const tg_status code = tg_policy_generation(handle(), detail::str(name), &number);
    if (code != TG_OK) return detail::plain(code);
    return number;
  }

  // Protection of the process: reads CPU and memory of the container, for every guard of every process on the segment. No
  // thread does it by itself: call it every 250 ms or so while system_wanted says so.
  result<void> sample_system() const {
    tg_error said = detail::sized<tg_error>();
    return detail::checked(tg_system_sample(handle(), &said), said);
  }
  // Says in its place what the load is, each a share of 0 (not known) to 1: for hosts that measure it, and for tests.
  result<void> set_system(double cpu, double memory) const {
    return detail::checked(tg_system_set(handle(), cpu, memory));
  }
  // Whether rules in force have a `system` stage.
  result<bool> system_wanted() const {
    std::uint32_t wanted = 0;
    const tg_status code = tg_system_wanted(handle(), &wanted);
    if (code != TG_OK) return detail::plain(code);
    return wanted != 0;
  }

  // The clock that deadlines are told on; 0 after close.
  nanoseconds now() const noexcept {
    std::uint64_t ns = 0;
    return tg_clock_now(handle(), &ns) == TG_OK ? detail::saturated(ns) : nanoseconds(0);
  }
  // Moves a virtual clock; status::unsupported where it is not virtual.
  result<void> set_clock(nanoseconds moment) {
    return detail::checked(tg_clock_set(handle(), detail::unsigned_ns(moment)));
  }
  result<void> advance_clock(nanoseconds by) {
    return detail::checked(tg_clock_advance(handle(), detail::unsigned_ns(by)));
  }

  // Does now what this thread's first hot call would do.
  status prepare_thread() const noexcept { return static_cast<status>(tg_thread_prepare(handle())); }
  // Calls that the library could not judge.
  std::uint64_t faults() const noexcept { return around_ ? around_->faults.load(std::memory_order_relaxed) : 0; }
  // For calls of the C interface that this header has not; null after close.
  tg_runtime *handle() const noexcept { return around_ ? around_->handle : nullptr; }

 private:
  explicit runtime(std::shared_ptr<detail::environment> around) noexcept : around_(std::move(around)) {}

  result<tidegate::limiter> limited(std::string_view name, const tg_limiter_options *with) const {
    tg_error said = detail::sized<tg_error>();
    const tg_limiter *found = nullptr;
    const tg_status code = tg_limiter_resolve(handle(), detail::str(name), with, &found, &said);
    if (code != TG_OK) return detail::told(code, said);
    return tidegate::limiter(found);
  }

  template <class Handle, class Raw, class Resolve>
  result<Handle> resolved(const instrument &what, Resolve resolve) const {
    tg_error said = detail::sized<tg_error>();
    const Raw *found = nullptr;
    const tg_status code =
        detail::with_instrument(what, [&](const tg_instrument &raw) { return resolve(handle(), &raw, &found, &said); });
    if (code != TG_OK) return detail::told(code, said);
    return Handle(found);
  }

  std::shared_ptr<detail::environment> around_;
};

TIDEGATE_END

#endif
