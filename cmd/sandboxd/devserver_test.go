//go:build unix

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/coder/websocket"
)

// devServer is a development server as the apps under test run it:
//
//	port      listens on PORT
//	announce  ignores PORT and announces another port, in colour, as Vite does
//	ipv6      listens on PORT of ::1 only, as Node does for localhost
//	foreign   announces a port that another program has, then listens on PORT when told
//	silent    listens nowhere
func devServer(kind string) int {
	address := "127.0.0.1:" + os.Getenv("PORT")
	switch kind {
	case "announce":
		address = "127.0.0.1:0"
	case "ipv6":
		address = "[::1]:" + os.Getenv("PORT")
	case "foreign":
		fmt.Printf("the API is at http://localhost:%s/\n", os.Getenv("FOREIGN"))
	case "silent":
		fmt.Println("compiling for ever")
		time.Sleep(time.Hour)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error: listen:", err)
		return 1
	}
	if kind == "announce" {
		port := l.Addr().(*net.TCPAddr).Port
		fmt.Printf("  \x1b[32m➜\x1b[39m  \x1b[1mLocal\x1b[22m:   \x1b[36mhttp://localhost:\x1b[1m%d\x1b[22m/\x1b[39m\n", port)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s pid=%d host=%s xfh=%s", kind, r.URL.RequestURI(), os.Getpid(), r.Host, r.Header.Get("X-Forwarded-Host"))
	})
	mux.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) {
		fmt.Fprintln(os.Stderr, "Error: crashed as asked")
		os.Exit(7)
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: one\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"vite-hmr"}})
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, body, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), kind, append([]byte("echo "), body...)) != nil {
				return
			}
		}
	})
	fmt.Fprintln(os.Stderr, http.Serve(l, mux))
	return 1
}
