// Greeter greets whoever it is told to, wrapped to fit a narrow terminal.
package main

import (
	"fmt"
	"os"
	"runtime"

	"github.com/mitchellh/go-wordwrap"
)

func main() {
	name := "world"
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	greeting := fmt.Sprintf("Hello, %s! This is greeter on %s/%s.", name, runtime.GOOS, runtime.GOARCH)
	fmt.Println(wordwrap.WrapString(greeting, 40))
}
