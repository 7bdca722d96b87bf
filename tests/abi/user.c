/* What a user of an installed libtidegate writes first: whether it compiles, links and answers. */
#include <stdio.h>
#include <string.h>
#include <tidegate.h>

int main(void) {
  tg_options options = TG_OPTIONS_INIT;
  tg_error error = TG_ERROR_INIT;
  tg_runtime *rt = NULL;
  if (strcmp(tg_version(), EXPECTED_VERSION) != 0) return 1;
  if (tg_runtime_open(&options, &rt, &error) != TG_OK) {
    fprintf(stderr, "%s\n", error.message);
    return 2;
  }
  return tg_runtime_close(rt) == TG_OK ? 0 : 3;
}
