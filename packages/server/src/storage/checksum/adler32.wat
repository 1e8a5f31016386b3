;; Adler-32 (RFC 1950) of the bytes from $at to $end, continued from $seed, sixteen bytes at a time.
;; `npm run build:wasm` makes `adler32-code.ts` of it.
(module
  (import "" "memory" (memory 1 65536 shared))

  (func $sum (param $lanes v128) (result i32)
    (i32.add
      (i32.add (i32x4.extract_lane 0 (local.get $lanes)) (i32x4.extract_lane 1 (local.get $lanes)))
      (i32.add (i32x4.extract_lane 2 (local.get $lanes)) (i32x4.extract_lane 3 (local.get $lanes)))))

  (func (export "adler32") (param $at i32) (param $end i32) (param $seed i32) (result i32)
    (local $a i32)
    (local $b i32)
    (local $runEnd i32)
    (local $bytes v128)
    ;; Of the blocks of a run so far: all bytes, what those were before each block, and each byte as often as the block sums it.
    (local $sums v128)
    (local $sumsBefore v128)
    (local $weighted v128)
    (local $weights v128)
    (local.set $weights (v128.const i8x16 16 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1))
    (local.set $a (i32.and (local.get $seed) (i32.const 0xffff)))
    (local.set $b (i32.shr_u (local.get $seed) (i32.const 16)))
    (block $done
      (loop $run
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        ;; After more bytes than this the sums could overflow, so they are reduced before.
        (local.set $runEnd (i32.add (local.get $at) (i32.const 5552)))
        (if (i32.gt_u (local.get $runEnd) (local.get $end)) (then (local.set $runEnd (local.get $end))))
        (local.set $sums (v128.const i64x2 0 0))
        (local.set $sumsBefore (v128.const i64x2 0 0))
        (local.set $weighted (v128.const i64x2 0 0))
        (local.set $b
          (i32.add
            (local.get $b)
            (i32.mul
              (local.get $a)
              (i32.and (i32.sub (local.get $runEnd) (local.get $at)) (i32.const -16)))))
        (block $rest
          (loop $block
            (br_if $rest
              (i32.gt_u (i32.add (local.get $at) (i32.const 16)) (local.get $runEnd)))
            (local.set $bytes (v128.load align=1 (local.get $at)))
            (local.set $sumsBefore (i32x4.add (local.get $sumsBefore) (local.get $sums)))
            (local.set $sums
              (i32x4.add
                (local.get $sums)
                (i32x4.extadd_pairwise_i16x8_u (i16x8.extadd_pairwise_i8x16_u (local.get $bytes)))))
            (local.set $weighted
              (i32x4.add
                (local.get $weighted)
                (i32x4.add
                  (i32x4.extadd_pairwise_i16x8_u
                    (i16x8.extmul_low_i8x16_u (local.get $bytes) (local.get $weights)))
                  (i32x4.extadd_pairwise_i16x8_u
                    (i16x8.extmul_high_i8x16_u (local.get $bytes) (local.get $weights))))))
            (local.set $at (i32.add (local.get $at) (i32.const 16)))
            (br $block)))
        (local.set $a (i32.add (local.get $a) (call $sum (local.get $sums))))
        (local.set $b
          (i32.add
            (local.get $b)
            (i32.add
              (i32.shl (call $sum (local.get $sumsBefore)) (i32.const 4))
              (call $sum (local.get $weighted)))))
        (block $reduce
          (loop $byte
            (br_if $reduce (i32.ge_u (local.get $at) (local.get $runEnd)))
            (local.set $a (i32.add (local.get $a) (i32.load8_u (local.get $at))))
            (local.set $b (i32.add (local.get $b) (local.get $a)))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $byte)))
        (local.set $a (i32.rem_u (local.get $a) (i32.const 65521)))
        (local.set $b (i32.rem_u (local.get $b) (i32.const 65521)))
        (br $run)))
    (i32.or (i32.shl (local.get $b) (i32.const 16)) (local.get $a))))
