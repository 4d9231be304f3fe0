package deployment

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// DefaultHosts are the hosts of services on Cloud Run.
var DefaultHosts = []string{"*.run.app"}

// Endpoints says which endpoints apps and previews may have: a route that leads anywhere would make the router a way into networks that
// only it can reach. The rules hold for names; [PublicAddress] and [LoopbackAddress] hold for the addresses that names resolve to.
type Endpoints struct {
	// Hosts are the hosts of services, each a name, an IP address or *.<domain>, which stands for all names below the domain. They
	// hold for every port. Nil means [DefaultHosts].
	Hosts []string
}

// NewEndpoints returns the rules for a list of hosts, or an error that names the faulty one. An empty list is [DefaultHosts].
func NewEndpoints(hosts []string) (Endpoints, error) {
	var e Endpoints
	for _, host := range hosts {
		host = strings.ToLower(strings.TrimSuffix(host, "."))
		name, _ := strings.CutPrefix(host, "*.")
		_, notIP := netip.ParseAddr(name)
		if u, err := url.Parse("http://" + name); name == "" || strings.Contains(name, "*") || notIP != nil && (err != nil || u.Host != name || u.Port() != "") {
			return Endpoints{}, fmt.Errorf("%w: host %q is neither a name, an IP address nor *.<domain>", ErrInvalid, host)
		}
		e.Hosts = append(e.Hosts, host)
	}
	return e, nil
}

// Check returns ErrInvalid, with the field and the rule, for a place that is not allowed.
func (e Endpoints) Check(p Place) error {
	if p.Audience != "" && p.Target != TargetCloudRun {
		return fmt.Errorf("%w: audience is for target %s only", ErrInvalid, TargetCloudRun)
	}
	if len(p.Audience) > MaxEndpoint || strings.ContainsFunc(p.Audience, notPrintable) {
		return fmt.Errorf("%w: audience must be at most %d bytes of printable ASCII without spaces", ErrInvalid, MaxEndpoint)
	}
	switch p.Target {
	case TargetCloudflare:
		if !ValidWorkerName(p.Endpoint) {
			return fmt.Errorf("%w: endpoint must be the name of a Worker: 1 to %d letters, digits, - and _, the first neither - nor _", ErrInvalid, MaxAppName)
		}
		return nil
	case TargetProcess:
		u, err := ParseEndpoint(p.Endpoint)
		if err != nil {
			return err
		}
		if u.Scheme != "http" || !loopbackName(u.Hostname()) {
			return fmt.Errorf("%w: endpoint of target %s must be http on a port of this machine, like 127.0.0.1:3000", ErrInvalid, TargetProcess)
		}
		return nil
	case TargetCloudRun:
		u, err := ParseEndpoint(p.Endpoint)
		if err != nil {
			return err
		}
		if !e.allowed(u.Hostname()) {
			return fmt.Errorf("%w: endpoint is at a host that is not allowed; allowed are %s", ErrInvalid, strings.Join(e.hosts(), ", "))
		}
		if p.Audience != "" && u.Scheme != "https" && !loopbackName(u.Hostname()) {
			return fmt.Errorf("%w: endpoint must be https when an audience is set: the token is a secret", ErrInvalid)
		}
		return nil
	default:
		return fmt.Errorf("%w: target must be %s, %s or %s", ErrInvalid, TargetProcess, TargetCloudRun, TargetCloudflare)
	}
}

// TargetOf is the target that the endpoint of a preview belongs to.
func TargetOf(endpoint string) Target {
	if u, err := ParseEndpoint(endpoint); err == nil && u.Scheme == "http" && loopbackName(u.Hostname()) {
		return TargetProcess
	}
	return TargetCloudRun
}

func (e Endpoints) hosts() []string {
	if e.Hosts == nil {
		return DefaultHosts
	}
	return e.Hosts
}

func (e Endpoints) allowed(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, pattern := range e.hosts() {
		if domain, ok := strings.CutPrefix(pattern, "*"); ok && len(host) > len(domain) && strings.HasSuffix(host, domain) || host == pattern {
			return true
		}
	}
	return false
}

func loopbackName(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && LoopbackAddress(ip) || strings.EqualFold(host, "localhost")
}

// LoopbackAddress reports an address of this machine alone.
func LoopbackAddress(ip netip.Addr) bool { return ip.Unmap().IsLoopback() }

// special are the networks within the unicast addresses that do not lead into the Internet (IANA's registries of special-purpose
// addresses), or lead to an IPv4 address that is not shown. IPv6 outside of 2000::/3 is none of the Internet's.
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

var (
	globalIPv6 = netip.MustParsePrefix("2000::/3")
	nat64      = netip.MustParsePrefix("64:ff9b::/96")
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, text := range list {
		out[i] = netip.MustParsePrefix(text)
	}
	return out
}

// PublicAddress reports an address of the Internet: neither private, link-local (where clouds have their metadata), loopback, multicast
// nor reserved.
func PublicAddress(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if nat64.Contains(ip) { // the network's translation of an IPv4 address counts as that address
		b := ip.As16()
		ip = netip.AddrFrom4([4]byte(b[12:]))
	}
	if ip.Is6() && !globalIPv6.Contains(ip) {
		return false
	}
	for _, p := range special {
		if p.Contains(ip) {
			return false
		}
	}
	return ip.IsValid()
}

func notPrintable(r rune) bool { return r <= ' ' || r >= 0x7f }
