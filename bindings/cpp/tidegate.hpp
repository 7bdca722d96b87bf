// Tidegate for C++17: limits, breakers, policies and metrics for the calls that a program makes or serves. Header-only,
// over the C interface in tidegate.h; with exceptions or without, with RTTI or without; nothing but the standard library.
//
//   auto rt = tidegate::runtime::open();
//   rt->apply_rules(json);
//   auto payments = rt->guard("payments.charge");
//   auto receipt = payments->run([&] { return charge(order); });
//   if (receipt) { use(*receipt); } else if (receipt.refused()) { come_back_in(receipt.error().retry_after); }
//
// Errors come as tidegate::result, never as exceptions; result::value() throws for those who want that.
//
// On top stand, each in a header of its own that this one does not include:
//   tidegate/fallback.hpp   another answer where the first is an error
//   tidegate/cache.hpp      a bounded cache of results, and stale ones in place of errors
//   tidegate/collapse.hpp   callers that ask for the same share one call
//   tidegate/hedge.hpp      another attempt at a call that takes long, and the first good answer
//   tidegate/cancel.hpp     telling work that its answer is not wanted any more
//   tidegate/queue.hpp      callers wait for a concurrency place, for a controlled time
#ifndef TIDEGATE_HPP
#define TIDEGATE_HPP

#include <tidegate/breaker.hpp>
#include <tidegate/call.hpp>
#include <tidegate/classify.hpp>
#include <tidegate/config.hpp>
#include <tidegate/error.hpp>
#include <tidegate/guard.hpp>
#include <tidegate/instrument.hpp>
#include <tidegate/limiter.hpp>
#include <tidegate/permit.hpp>
#include <tidegate/policy.hpp>
#include <tidegate/result.hpp>
#include <tidegate/runtime.hpp>
#include <tidegate/status.hpp>

#endif
