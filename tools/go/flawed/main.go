// A program with known flaws, for govulncheck and our scan to find: one that is called, one that is linked, and some in packages that are not.
// It does nothing that anybody needs.
package main

import (
	"fmt"
	"os"

	"golang.org/x/crypto/ssh"
	"golang.org/x/text/language"
	"gopkg.in/yaml.v2"
)

func main() {
	var document any
	for _, text := range os.Args[1:] {
		tag, err := language.Parse(text)
		fmt.Println(tag, err, yaml.Unmarshal([]byte(text), &document))
	}
	if _, err := ssh.ParsePrivateKey(nil); err != nil {
		fmt.Println(err)
	}
}
