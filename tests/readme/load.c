/* load MODULE: whether the library accepts a policy, with the configuration that its page shows. */
#include <stdio.h>
#include <tidegate.h>

static uint8_t wasm[1 << 20];

int main(int argc, char **argv) {
  FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
  if (file == NULL) return 2;
  size_t len = fread(wasm, 1, sizeof wasm, file);
  tg_error error = TG_ERROR_INIT;
  tg_policy_options options = TG_POLICY_OPTIONS_INIT;
  options.config = TG_STR("{\"delay_above\": 600}");
  tg_runtime *rt = NULL;
  tg_status status = tg_runtime_open(NULL, &rt, &error);
  if (status == TG_OK) status = tg_policy_load(rt, TG_STR("lunch"), wasm, len, &options, &error);
  if (status != TG_OK) fprintf(stderr, "%s: %s\n", tg_status_name(status), error.message);
  fclose(file);
  tg_runtime_close(rt);
  return status == TG_OK ? 0 : 1;
}
