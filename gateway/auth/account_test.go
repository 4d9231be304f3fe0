package auth_test

import (
	"errors"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"vibesdk-gcp/gateway/auth"
)

func TestAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const email = "deployer@project.iam.gserviceaccount.com"
	o := auth.OIDC{Audience: audience, KeysURL: w.issuer.URL, Client: w.issuer.Client()}
	account, err := auth.NewAccount(o, email, w.now)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		claims map[string]any
		want   error
	}{
		"the account":      {w.claims(), nil},
		"in capitals":      {w.claims("email", "DEPLOYER@project.iam.gserviceaccount.com"), nil},
		"another account":  {w.claims("email", "eve@project.iam.gserviceaccount.com"), auth.ErrOtherAccount},
		"email not proved": {w.claims("email_verified", false), auth.ErrOtherAccount},
		"no email":         {w.claims("email", nil), auth.ErrOtherAccount},
		"another audience": {w.claims("aud", "https://another.example.com"), auth.ErrUnknown},
		"another issuer":   {w.claims("iss", "https://issuer.example.com"), auth.ErrUnknown},
		"expired":          {w.claims("exp", w.now().Add(-time.Hour).Unix()), auth.ErrUnknown},
	} {
		if err := account.Check(t.Context(), sign(t, w.key, jose.RS256, c.claims)); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	forged := sign(t, rsaKey(t, "first"), jose.RS256, w.claims())
	for _, token := range []string{"", "a.b", "a.b.c", forged} {
		if err := account.Check(t.Context(), token); !errors.Is(err, auth.ErrUnknown) {
			t.Errorf("%.10q: %v", token, err)
		}
	}

	w.issuer.set(func() { w.issuer.broken = true })
	fresh, err := auth.NewAccount(o, email, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := fresh.Check(t.Context(), sign(t, w.key, jose.RS256, w.claims())); !errors.Is(err, auth.ErrUnavailable) {
		t.Errorf("without keys: %v", err)
	}
	for _, c := range []struct {
		o     auth.OIDC
		email string
	}{{auth.OIDC{}, email}, {o, ""}} {
		if _, err := auth.NewAccount(c.o, c.email, nil); err == nil {
			t.Errorf("audience %q and email %q are taken", c.o.Audience, c.email)
		}
	}
}
