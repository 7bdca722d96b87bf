/* Metrics out. */
#include "support.h"

static tg_text *render(const tg_runtime *rt, const char *accept) {
  tg_text *text = NULL;
  tg_error error = TG_ERROR_INIT;
  CHECK_STATUS(tg_metrics_render(rt, str(accept), &text, &error), TG_OK);
  return text;
}

static bool type_starts(const tg_text *text, const char *start) {
  tg_str type = tg_text_content_type(text);
  return type.len >= strlen(start) && memcmp(type.ptr, start, strlen(start)) == 0;
}

static tg_runtime *with_some_figures(void) {
  tg_runtime *rt = open_virtual();
  const tg_guard *guard = guarded(rt, "{\"concurrency\":{\"max\":7},\"breaker\":{\"consecutive_failures\":3}}");
  CHECK_STATUS(pass(guard, TG_OUTCOME_SUCCESS), TG_OK);
  tg_instrument desc = described("orders_total");
  const tg_counter *counter = NULL;
  desc.help = TG_STR("Orders \\ taken.\n");
  CHECK_STATUS(tg_counter_resolve(rt, &desc, &counter, NULL), TG_OK);
  CHECK_STATUS(tg_counter_add(counter, 3), TG_OK);
  return rt;
}

TEST(text_is_the_default) {
  tg_runtime *rt = with_some_figures();
  tg_text *text = render(rt, "");
  CHECK(type_starts(text, "text/plain; version=0.0.4"));
  CHECK(holds(text, "orders_total 3\n"));
  CHECK(holds(text, "tidegate_guard_calls_total{guard=\"g\",outcome=\"success\"} 1\n"));
  CHECK(holds(text, "tidegate_guard_limit{guard=\"g\"} 7\n"));
  CHECK(holds(text, "Orders \\\\ taken.\\n\n"));
  CHECK(!holds(text, "# EOF"));
  tg_text_free(text);
  tg_runtime_close(rt);
}

TEST(openmetrics_when_asked_for) {
  tg_runtime *rt = with_some_figures();
  tg_text *text = render(rt, "application/openmetrics-text; version=1.0.0, text/plain; q=0.5");
  CHECK(type_starts(text, "application/openmetrics-text; version=1.0.0"));
  tg_str bytes = tg_text_bytes(text);
  CHECK(bytes.len > 6 && memcmp(bytes.ptr + bytes.len - 6, "# EOF\n", 6) == 0);
  CHECK(holds(text, "# TYPE orders counter\n"));
  tg_text_free(text);
  tg_runtime_close(rt);
}

TEST(strange_accepts_get_text) {
  tg_runtime *rt = with_some_figures();
  const char *const strange[] = { "*/*", ";;;,,,", "application/openmetrics-text;q=0", "application/json", "q=1", "\x01" };
  for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
    tg_text *text = render(rt, strange[i]);
    CHECK(type_starts(text, "text/plain"));
    tg_text_free(text);
  }
  tg_runtime_close(rt);
}

TEST(a_text_outlives_its_runtime) {
  tg_runtime *rt = with_some_figures();
  tg_text *text = render(rt, "");
  tg_runtime_close(rt);
  CHECK(holds(text, "orders_total 3\n"));
  tg_text_free(text);
}

TEST(no_text_is_empty_and_may_be_freed) {
  CHECK_EQ(tg_text_bytes(NULL).len, 0);
  CHECK_EQ(tg_text_content_type(NULL).len, 0);
  tg_text_free(NULL);
}

TEST_MAIN
