;; Denies every call with reason 8.
(module
  (memory (export "memory") 1)
  (global (export "tg_policy_abi") i32 (i32.const 1))
  (func (export "tg_policy_arena") (result i32) (i32.const 8))
  (func (export "tg_policy_init") (param i32 i32) (result i32) (i32.const 0))
  (func (export "tg_policy_decide") (param i32) (result i64) (i64.const 0x8_0001)))
