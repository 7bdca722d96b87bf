module github.com/tidegate/tidegate/bindings/go

go 1.24.0
