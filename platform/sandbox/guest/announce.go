package guest

import (
	"net"
	"regexp"
	"strconv"
	"strings"
)

// escapeCodes are the terminal sequences that programs print for colour, style, cursor and links
// (ECMA-48 CSI and OSC).
var escapeCodes = regexp.MustCompile(`\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])`)

func stripEscapes(s string) string {
	if !strings.ContainsRune(s, '\x1b') {
		return s
	}
	return escapeCodes.ReplaceAllString(s, "")
}

var announcement = regexp.MustCompile(`https?://([A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})\b`)

// announcedPorts returns the ports of the http addresses on this machine that a line of output names, as
// development servers do that listen where they like: `  ➜  Local:   http://localhost:5173/`.
func announcedPorts(line string) []int {
	if !strings.Contains(line, "http") {
		return nil
	}
	var ports []int
	for _, m := range announcement.FindAllStringSubmatch(stripEscapes(line), -1) {
		port, err := strconv.Atoi(m[2])
		if err == nil && port > 0 && port < 1<<16 && thisMachine(m[1]) {
			ports = append(ports, port)
		}
	}
	return ports
}

// thisMachine reports a host of this machine alone, or of all its addresses.
func thisMachine(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}
