;; Behaves in golden calls; then what it does hangs on the key's hash:
;; 1 unreachable, 2 an endless loop, 3 grows to 4 GiB, 4 recurses without end, 5 an unknown action,
;; 6 an unknown flag, 7 an address outside, 8 a division by zero, 9 a wild address to the host,
;; 10 a loop in many small calls; anything else is allowed.
(module
  (import "tidegate" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (global (export "tg_policy_abi") i32 (i32.const 1))
  (func (export "tg_policy_arena") (result i32) (i32.const 8))
  (func (export "tg_policy_init") (param i32 i32) (result i32) (i32.const 0))
  (func $grow
    (loop $again
      (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    unreachable)
  (func $recurse (param i64) (result i64)
    (i64.add (i64.const 1) (call $recurse (i64.add (local.get 0) (i64.const 1)))))
  (func $nothing (param i64) (result i64) (local.get 0))
  (func (export "tg_policy_decide") (param $record i32) (result i64) (local $what i64)
    (local.set $what (i64.load offset=16 (local.get $record)))
    (if (i64.eq (local.get $what) (i64.const 1)) (then unreachable))
    (if (i64.eq (local.get $what) (i64.const 2)) (then (loop $again (br $again))))
    (if (i64.eq (local.get $what) (i64.const 3)) (then (call $grow)))
    (if (i64.eq (local.get $what) (i64.const 4)) (then (return (call $recurse (i64.const 0)))))
    (if (i64.eq (local.get $what) (i64.const 5)) (then (return (i64.const 99))))
    (if (i64.eq (local.get $what) (i64.const 6)) (then (return (i64.const 0x100))))
    (if (i64.eq (local.get $what) (i64.const 7)) (then (return (i64.load (i32.const -9)))))
    (if (i64.eq (local.get $what) (i64.const 8))
      (then (return (i64.div_u (i64.const 1) (i64.sub (local.get $what) (i64.const 8))))))
    (if (i64.eq (local.get $what) (i64.const 9))
      (then (call $log (i32.const 1) (i32.const -1) (i32.const 100))))
    (if (i64.eq (local.get $what) (i64.const 10))
      (then (loop $again (drop (call $nothing (i64.const 0))) (br $again))))
    (i64.const 0))
)
