package jsondoc

import (
	"fmt"
	"strconv"
	"strings"
)

// parsePointer resolves a JSON Pointer (RFC 6901).
func parsePointer(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	if path[0] != '/' {
		return nil, fmt.Errorf("%w: path %s does not begin with /", ErrInvalid, show(path))
	}
	tokens := strings.Split(path[1:], "/")
	for i, token := range tokens {
		if !strings.Contains(token, "~") {
			continue
		}
		for j := range len(token) {
			if token[j] == '~' && (j+1 == len(token) || token[j+1] != '0' && token[j+1] != '1') {
				return nil, fmt.Errorf("%w: path %s has a ~ without 0 or 1", ErrInvalid, show(path))
			}
		}
		tokens[i] = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
	}
	return tokens, nil
}

// showBytes is how much of a path an error shows.
const showBytes = 80

func show(path string) string {
	if len(path) > showBytes {
		path = strings.ToValidUTF8(path[:showBytes], "") + "…"
	}
	return strconv.Quote(path)
}

// element is the position that a token of a pointer names in an array of n elements: 0, or digits without a leading zero.
func element(token string, n int) (int, error) {
	if token == "" || len(token) > 10 || token[0] == '0' && token != "0" {
		return 0, ErrInvalid
	}
	i := 0
	for _, c := range []byte(token) {
		if c < '0' || c > '9' {
			return 0, ErrInvalid
		}
		i = i*10 + int(c-'0')
	}
	if i >= n {
		return 0, ErrNotFound
	}
	return i, nil
}

func (d *Doc) lookup(path string) (*node, error) {
	tokens, err := parsePointer(path)
	if err != nil {
		return nil, err
	}
	return d.walk(path, tokens)
}

// walk follows tokens from the root. path is for errors.
func (d *Doc) walk(path string, tokens []string) (*node, error) {
	at := d.root
	for _, token := range tokens {
		i, err := position(at, token)
		if err != nil {
			return nil, fmt.Errorf("%w: %s", err, show(path))
		}
		at = at.child(i)
	}
	return at, nil
}

// position finds the item that a token names.
func position(in *node, token string) (int, error) {
	if !in.container() {
		return 0, ErrNotFound
	}
	if err := in.split(); err != nil {
		return 0, err
	}
	if in.first() == '[' {
		if token == "-" {
			return 0, ErrNotFound
		}
		return element(token, len(in.items))
	}
	if i := in.find(token); i >= 0 {
		return i, nil
	}
	return 0, ErrNotFound
}
