;; Declares 4 GiB.
(module
  (memory (export "memory") 65536)
  (func (export "alloc") (param i32) (result i32) (i32.const 16))
  (func (export "handle_request") (param i32 i32) (result i64) (i64.const 0)))
