;; What it does hangs on the call's cost: 2 denies with reason 7 and 250 ms, 3 delays by 2 ms, 4 routes to 9,
;; 5 traps, 6 loops, 7 recurses without end, 8 grows to 4 GiB, 9 answers nonsense; anything else is allowed.
(module
  (memory (export "memory") 1)
  (global (export "tg_policy_abi") i32 (i32.const 1))
  (func (export "tg_policy_arena") (result i32) (i32.const 8))
  (func (export "tg_policy_init") (param i32 i32) (result i32) (i32.const 0))
  (func $recurse (param i64) (result i64)
    (i64.add (i64.const 1) (call $recurse (i64.add (local.get 0) (i64.const 1)))))
  (func $grow
    (loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    unreachable)
  (func (export "tg_policy_decide") (param $record i32) (result i64) (local $cost i32)
    (local.set $cost (i32.load offset=32 (local.get $record)))
    (if (i32.eq (local.get $cost) (i32.const 2)) (then (return (i64.const 0xFA_0007_0001))))
    (if (i32.eq (local.get $cost) (i32.const 3)) (then (return (i64.const 0x7D0_0000_0002))))
    (if (i32.eq (local.get $cost) (i32.const 4)) (then (return (i64.const 0x9_0000_0003))))
    (if (i32.eq (local.get $cost) (i32.const 5)) (then unreachable))
    (if (i32.eq (local.get $cost) (i32.const 6)) (then (loop $again (br $again))))
    (if (i32.eq (local.get $cost) (i32.const 7)) (then (return (call $recurse (i64.const 0)))))
    (if (i32.eq (local.get $cost) (i32.const 8)) (then (call $grow)))
    (if (i32.eq (local.get $cost) (i32.const 9)) (then (return (i64.const 0x63))))
    (i64.const 0)))
