/* Hashes the whole record and allows the call, with 16 bits of the hash as the reason: the least that a policy
 * which looks at everything does. For measuring. */
#include "tidegate_policy.h"

TG_POLICY

TG_EXPORT(tg_policy_init) int32_t init(const char *config, uint32_t length) {
  (void)config;
  (void)length;
  return 0;
}

TG_EXPORT(tg_policy_decide) int64_t decide(const tg_record *record) {
  const uint64_t *words = (const uint64_t *)record;
  uint64_t hash = 0xcbf29ce484222325u;
  for (int n = 0; n < 8; n++) hash = (hash ^ words[n]) * 0x100000001b3u;
  return tg_allow((uint16_t)(hash >> 48));
}
