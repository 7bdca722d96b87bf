;; The policy of the benchmark: hashes the 64 bytes of the record with FNV-1a, keeps the hash, allows.
(module
  (memory (export "memory") 1 1)
  (global (export "tg_policy_abi") i32 (i32.const 1))
  (func (export "tg_policy_arena") (result i32) (i32.const 1024))
  (func (export "tg_policy_init") (param i32 i32) (result i32) (i32.const 0))
  (func (export "tg_policy_decide") (param $at i32) (result i64)
    (local $end i32)
    (local $hash i64)
    (local.set $end (i32.add (local.get $at) (i32.const 64)))
    (local.set $hash (i64.const 0xcbf29ce484222325))
    (loop $next
      (local.set $hash
        (i64.mul
          (i64.xor (local.get $hash) (i64.load8_u (local.get $at)))
          (i64.const 0x100000001b3)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
    (i64.store (i32.const 0) (local.get $hash))
    (i64.const 0)))
