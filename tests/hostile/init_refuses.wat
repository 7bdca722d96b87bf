;; Does not like its configuration, and says why.
(module
  (import "tidegate" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (global (export "tg_policy_abi") i32 (i32.const 1))
  (func (export "tg_policy_arena") (result i32) (i32.const 8))
  (func (export "tg_policy_init") (param i32 i32) (result i32)
    (call $log (i32.const 3) (i32.const 20000) (i32.const 18))
    (i32.const 7))
  (func (export "tg_policy_decide") (param i32) (result i64) (i64.const 0))
  (data (i32.const 20000) "free_above missing")
)
