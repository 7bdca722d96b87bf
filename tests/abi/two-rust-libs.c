/* libtidegate.a and another Rust static library in one program. */
#include <stdbool.h>
#include <stdio.h>
#include <tidegate.h>

uint32_t other_words(void);
bool other_panics(void);

static int use_tidegate(void) {
  tg_runtime *rt = NULL;
  const tg_guard *guard = NULL;
  tg_permit permit;
  if (tg_runtime_open(NULL, &rt, NULL) != TG_OK) return 1;
  if (tg_rules_apply(rt, "{\"version\":1,\"guards\":{\"g\":{\"concurrency\":{\"max\":1}}}}", 54, NULL) != TG_OK) return 2;
  if (tg_guard_resolve(rt, TG_STR("g"), &guard, NULL) != TG_OK) return 3;
  if (tg_guard_enter(guard, NULL, &permit) != TG_OK) return 4;
  if (tg_guard_exit(&permit, TG_OUTCOME_SUCCESS) != TG_OK) return 5;
  return tg_runtime_close(rt) == TG_OK ? 0 : 6;
}

int main(void) {
  int failed = use_tidegate();
  if (failed == 0 && other_words() == 2 && other_panics() && use_tidegate() == 0) return 0;
  fprintf(stderr, "two-rust-libs: failed at %d\n", failed);
  return 1;
}
