package app

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/oauth2"
	"google.golang.org/api/idtoken"
)

// identity gives ID tokens of this program's service account: from the metadata server on Google Cloud, from
// GOOGLE_APPLICATION_CREDENTIALS elsewhere. Each token is kept until shortly before it ends. It is safe for concurrent use.
type identity struct {
	mu      sync.Mutex
	sources map[string]oauth2.TokenSource
}

// Token implements [router.Identity].
func (i *identity) Token(ctx context.Context, audience string) (string, error) {
	source, err := i.source(ctx, audience)
	if err != nil {
		return "", err
	}
	token, err := source.Token()
	if err != nil {
		return "", fmt.Errorf("for audience %s: %w", audience, err)
	}
	return token.AccessToken, nil
}

func (i *identity) source(ctx context.Context, audience string) (oauth2.TokenSource, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if source, ok := i.sources[audience]; ok {
		return source, nil
	}
	// The source outlives the request that asks for it first.
	source, err := idtoken.NewTokenSource(context.WithoutCancel(ctx), audience)
	if err != nil {
		return nil, fmt.Errorf("for audience %s: %w", audience, err)
	}
	if i.sources == nil {
		i.sources = map[string]oauth2.TokenSource{}
	}
	i.sources[audience] = oauth2.ReuseTokenSource(nil, source)
	return i.sources[audience], nil
}
