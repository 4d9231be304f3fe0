package guest

import (
	"slices"
	"strings"
	"testing"
)

func TestAnnouncedPorts(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]int{
		"  \x1b[32m➜\x1b[39m  \x1b[1mLocal\x1b[22m:   \x1b[36mhttp://localhost:\x1b[1m5173\x1b[22m/\x1b[39m": {5173},
		"- Local:        http://localhost:3000":                                                              {3000},
		"Listening on http://[::1]:8080, http://127.0.0.1:8081/ and http://0.0.0.0:8082.":                    {8080, 8081, 8082},
		"Server: https://LOCALHOST:9443":                                                                     {9443},
		"\x1b]8;;http://localhost:4321/\x07http://localhost:4321/\x1b]8;;\x07":                               {4321},
		"Network: http://192.168.1.5:5173/":                                                                  nil,
		"see http://example.com:8080/docs":                                                                   nil,
		"ws://localhost:24678":                                                                               nil,
		"http://localhost/ and http://localhost:0/ and http://localhost:70000/ and http://localhost:123456/": nil,
		"http://localhost.evil.com:80/ http://user@localhost:81/":                                            nil,
		"listening on port 3000":                                                                             nil,
	} {
		if got := announcedPorts(line); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", line, got, want)
		}
	}
}

func FuzzAnnouncedPorts(f *testing.F) {
	f.Add("\x1b[36mhttp://localhost:\x1b[1m5173\x1b[22m/\x1b[39m")
	f.Add("http://[::1]:1 http://[::")
	f.Fuzz(func(t *testing.T, line string) {
		for _, port := range announcedPorts(line) {
			if port < 1 || port > 65535 {
				t.Errorf("port %d", port)
			}
		}
		// A server that prints its address after the line is found all the same, unless the line left a
		// terminal sequence open that swallows it.
		if !strings.ContainsRune(line, '\x1b') {
			if got := announcedPorts(line + " http://localhost:5173/"); !slices.Contains(got, 5173) {
				t.Errorf("not found behind %q: %v", line, got)
			}
		}
	})
}
