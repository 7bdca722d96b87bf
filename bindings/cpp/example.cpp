// A shop's checkout: charges are guarded by a rate, prices by a breaker; when pricing is down, the last known price will do.
#include <tidegate.hpp>
#include <tidegate/cache.hpp>
#include <tidegate/collapse.hpp>
#include <tidegate/fallback.hpp>
#include <tidegate/queue.hpp>

#include <cstdio>
#include <string>

using namespace std::chrono_literals;

static const char rules[] = R"({
  "version": 1,
  "guards": {
    "payments.charge": { "rate": [{ "limit": 1, "per": "1h", "burst": 2 }], "timeout": "800ms" },
    "pricing":         { "breaker": { "consecutive_failures": 1, "open_for": "1h" } },
    "search":          { "concurrency": { "max": 8 } }
  }
})";

// A service that answers once, and fails from then on.
static tidegate::result<int> fetch_price(const std::string &item) {
  static int asked = 0;
  if (asked++ > 0) return tidegate::failure("pricing is down", tidegate::outcome::timeout);
  return static_cast<int>(item.size()) * 100;
}

static void charge(const tidegate::guard &payments, int order) {
  const auto receipt = payments.run(tidegate::call().key("tenant-7"), [&] { return "receipt " + std::to_string(order); });
  if (receipt) {
    std::printf("order %d: %s\n", order, receipt->c_str());
  } else {
    std::printf("order %d: %s, come back in about %lld min\n", order, tidegate::name(receipt.status()),
                static_cast<long long>((receipt.error().retry_after + 30s) / 1min));
  }
}

int main() {
  auto rt = tidegate::runtime::open();
  if (!rt) return std::fprintf(stderr, "%s\n", rt.error().text().c_str()), 1;
  if (const auto applied = rt->apply_rules(rules); !applied)
    return std::fprintf(stderr, "%s\n", applied.error().text().c_str()), 1;

  const auto payments = rt->guard("payments.charge").value();
  for (int order = 1; order <= 3; order++) charge(payments, order);

  // Outermost the fallback, then the cache, then what is shared by callers of one moment, then the guard.
  const auto pricing = rt->guard("pricing").value();
  tidegate::stale_cache<std::string, int> prices({1000, 0s, 5min});
  tidegate::collapser<std::string, int> flights;
  const auto price_of = [&](const std::string &item) {
    const auto guarded = [&] { return pricing.run([&] { return fetch_price(item); }); };
    const auto shared = [&] { return flights.run(item, guarded); };
    return tidegate::fallback([&] { return prices.run(item, rt->now(), shared); }, 999);
  };
  for (const char *item : {"lamp", "lamp", "lamp", "table"}) std::printf("%s: %d\n", item, *price_of(item));
  std::printf("pricing's breaker is %s\n",
              pricing.stats()->breaker() == tidegate::breaker_state::open ? "open" : "closed");

  // Who finds no place waits, 100 ms at most.
  tidegate::waiting_room room(rt->guard("search").value(), {200, 100ms, 5ms});
  std::printf("search: %s\n", room.run([](tidegate::permit &held) { return held.guarded(); }).value() ? "guarded" : "not");

  const auto page = rt->metrics();
  std::printf("metrics as %s\n", page.value().content_type.c_str());
}
