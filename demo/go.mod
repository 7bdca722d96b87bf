module github.com/tidegate/tidegate/demo

go 1.24.0

require github.com/tidegate/tidegate/bindings/go v0.1.0

replace github.com/tidegate/tidegate/bindings/go => ../bindings/go
