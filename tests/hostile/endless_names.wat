;; Interns names until there is no more room, then goes on as if nothing were.
(module
  (import "tidegate" "counter" (func $counter (param i32 i32) (result i32)))
  (import "tidegate" "limiter" (func $limiter (param i32 i32 i64 i64 i64) (result i32)))
  (memory (export "memory") 1)
  (global (export "tg_policy_abi") i32 (i32.const 1))
  (func (export "tg_policy_arena") (result i32) (i32.const 8))
  (func (export "tg_policy_init") (param i32 i32) (result i32) (local $n i32)
    (loop $again
      (i32.store (i32.const 20000) (i32.add (local.get $n) (i32.const 0x30303030)))
      (drop (call $counter (i32.const 20000) (i32.const 4)))
      (drop (call $limiter (i32.const 20000) (i32.const 4) (i64.const 1) (i64.const 1000) (i64.const 1)))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $n) (i32.const 70))))
    ;; the counter beyond the last one is refused with -1, and init says so
    (i32.store (i32.const 20000) (i32.const 0x7a7a7a7a))
    (i32.add (i32.const 1) (call $counter (i32.const 20000) (i32.const 4))))
  (func (export "tg_policy_decide") (param i32) (result i64) (i64.const 0))
)
