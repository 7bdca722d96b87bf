// Counters, gauges and histograms.
#ifndef TIDEGATE_INSTRUMENT_HPP
#define TIDEGATE_INSTRUMENT_HPP

#include <tidegate/result.hpp>

#include <algorithm>
#include <vector>

TIDEGATE_BEGIN

// One label of a series.
struct label {
  std::string_view name;
  std::string_view value;
};

// What an instrument is: rt.counter({"jobs", "Jobs done.", "", {{"queue", "mail"}}}). Views only, and looked at only while
// it is resolved.
struct instrument {
  // [a-zA-Z_:][a-zA-Z0-9_:]*, at most 128 bytes, not beginning with tidegate_.
  std::string_view name;
  // One sentence for people.
  std::string_view help{};
  // As in OpenMetrics ("seconds", "bytes").
  std::string_view unit{};
  // At most 32.
  std::vector<label> labels{};
};

// A counter's series: goes up only. A handle that any thread may use, never unmapped.
class counter {
 public:
  // Adds n. Hot.
  status add(std::uint64_t n = 1) const noexcept { return static_cast<status>(tg_counter_add(handle_, n)); }
  // The sum over all threads. Cold.
  result<std::uint64_t> value() const {
    std::uint64_t sum = 0;
    const tg_status code = tg_counter_value(handle_, &sum);
    if (code != TG_OK) return detail::plain(code);
    return sum;
  }
  // Takes the series out: the handle answers status::closed. Cold.
  result<void> retire() const { return detail::checked(tg_counter_retire(handle_)); }

 private:
  friend class runtime;
  explicit counter(const tg_counter *handle) noexcept : handle_(handle) {}
  const tg_counter *handle_;
};

// A gauge's series: goes up and down. A handle like counter's.
class gauge {
 public:
  // Hot, both.
  status set(double value) const noexcept { return static_cast<status>(tg_gauge_set(handle_, value)); }
  status add(double delta) const noexcept { return static_cast<status>(tg_gauge_add(handle_, delta)); }
  // Cold, both.
  result<double> value() const {
    double value = 0;
    const tg_status code = tg_gauge_value(handle_, &value);
    if (code != TG_OK) return detail::plain(code);
    return value;
  }
  result<void> retire() const { return detail::checked(tg_gauge_retire(handle_)); }

 private:
  friend class runtime;
  explicit gauge(const tg_gauge *handle) noexcept : handle_(handle) {}
  const tg_gauge *handle_;
};

// A histogram's series, of values that are not negative. A handle like counter's.
class histogram {
 public:
  // Records a value: status::invalid when it is negative, infinite or not a number. Hot.
  status record(double value) const noexcept { return static_cast<status>(tg_histogram_record(handle_, value)); }
  // Records a duration in seconds.
  status record(nanoseconds time) const noexcept { return record(std::chrono::duration<double>(time).count()); }
  // The value below which a share q (0 to 1) lies, off by at most 2.2 %; not a number when nothing was recorded. Cold.
  result<double> quantile(double q) const {
    double value = 0;
    const tg_status code = tg_histogram_quantile(handle_, q, &value);
    if (code != TG_OK) return detail::plain(code);
    return value;
  }
  result<void> retire() const { return detail::checked(tg_histogram_retire(handle_)); }

 private:
  friend class runtime;
  explicit histogram(const tg_histogram *handle) noexcept : handle_(handle) {}
  const tg_histogram *handle_;
};

namespace detail {

// Calls resolve with the C form of an instrument, which lives during the call only.
template <class Resolve>
auto with_instrument(const instrument &what, Resolve &&resolve) {
  std::vector<tg_label> labels;
  labels.reserve(what.labels.size());
  for (const label &one : what.labels) labels.push_back(tg_label{str(one.name), str(one.value)});
  tg_instrument raw = sized<tg_instrument>();
  raw.name = str(what.name);
  raw.help = str(what.help);
  raw.unit = str(what.unit);
  raw.labels = labels.data();
  raw.label_count = static_cast<std::uint32_t>(std::min<std::size_t>(labels.size(), UINT32_MAX));
  return resolve(raw);
}

}  // namespace detail

TIDEGATE_END

#endif
