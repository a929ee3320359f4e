module example.com/greeter

go 1.24

require github.com/mitchellh/go-wordwrap v1.0.1
