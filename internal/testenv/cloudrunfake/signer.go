package cloudrunfake

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"gocloud.dev/blob/driver"
)

// signer makes addresses of a bucket's objects.
type signer struct {
	base   string
	secret []byte
}

// sign makes an address for one method on one object.
func (s signer) sign(key string, opts *driver.SignedURLOptions) string {
	expires := strconv.FormatInt(time.Now().Add(opts.Expiry).Unix(), 10)
	query := url.Values{"X-Expires": {expires}, "X-Method": {opts.Method}, "X-Signature": {s.mac(key, opts.Method, expires)}}
	return s.base + (&url.URL{Path: key}).EscapedPath() + "?" + query.Encode()
}

func (s signer) mac(key, method, expires string) string {
	h := hmac.New(sha256.New, s.secret)
	fmt.Fprintf(h, "%q %q %q", method, key, expires)
	return hex.EncodeToString(h.Sum(nil))
}
