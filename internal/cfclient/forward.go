package cfclient

import (
	"net/http"
	"net/url"
	"strings"
)

// Forward sends a request to what is at path on the bridge: an agent (/v1/agents/<binding>/fetch?name=…) or a dispatched Worker
// (/v1/dispatch/<worker>). The target sees r's method, headers, body and address, r.URL. The answer is the target's, to be closed by the caller, also
// that to an upgrade; a refusal by the bridge is an [Error]. r is not changed. Only r's context bounds it.
func (c *Client) Forward(r *http.Request, path string, query url.Values) (*http.Response, error) {
	out := r.Clone(r.Context())
	target := *c.base
	target.Path, target.RawQuery = path, query.Encode()
	seen := *r.URL
	seen.User, seen.Fragment = nil, ""
	if seen.Host == "" {
		seen.Host = r.Host
	}
	if seen.Scheme == "" {
		seen.Scheme = "https"
	}
	out.URL, out.Host, out.RequestURI = &target, "", ""
	for name := range out.Header {
		if strings.HasPrefix(http.CanonicalHeaderKey(name), "X-Bridge-") {
			out.Header.Del(name)
		}
	}
	if own := r.Header.Get("Authorization"); own != "" {
		out.Header.Set("X-Bridge-Authorization", own)
	}
	out.Header.Set("X-Bridge-Url", seen.String())
	out.Header.Set("Authorization", "Bearer "+c.key)
	response, err := c.http.Transport.RoundTrip(out)
	call := Request{Method: r.Method, Path: path}
	if err != nil {
		return nil, fault(call, err)
	}
	if response.Header.Get("X-Bridge-Error") == "" {
		return response, nil
	}
	defer response.Body.Close()
	body, err := readAll(response)
	if err != nil {
		return nil, fault(call, err)
	}
	return nil, refused(response, body)
}
