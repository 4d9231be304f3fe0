// Program passes two points three times and says where it is.
package main

import (
	"fmt"

	"vibesdk-gcp/internal/crashpoint"
)

var a, b = crashpoint.New("p/a"), crashpoint.New("p/b")

func main() {
	for i := 1; i <= 3; i++ {
		a.Hit()
		fmt.Print("a", i, " ")
		b.Hit()
		fmt.Print("b", i, " ")
	}
}
