module github.com/qstore/client-go

go 1.19
