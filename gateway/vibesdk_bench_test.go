package gateway_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/schemas/gen"
)

// BenchmarkVibeSDKFanOut is one change of a state of 64 KiB until 100 clients have it, in VibeSDK's encoding and in the standard one.
func BenchmarkVibeSDKFanOut(b *testing.B) {
	v := startVibe(b)
	more := `,"text":"` + strings.Repeat(`a line of code; // \"quoted\"\n`, 64<<10/30) + `"`
	v.own(b, "mine", ownedBy("u1", more))
	for name, path := range map[string]string{"standard": "/agents/code-generator-agent/mine", "vibesdk": "/api/agent/mine/ws"} {
		b.Run(name, func(b *testing.B) {
			const clients, first = 100, 4
			got := make(chan struct{}, clients)
			greeting := map[string]int{"standard": first - 1, "vibesdk": first}[name]
			sockets := make([]socket, clients)
			for i := range sockets {
				sockets[i] = v.dial(b, path, dialing("Authorization", bearer(tokenFor("u1"))))
				for range greeting {
					sockets[i].next(b)
				}
				go func() {
					for {
						if _, _, err := sockets[i].Read(b.Context()); err != nil {
							return
						}
						got <- struct{}{}
					}
				}()
			}
			for n := 0; b.Loop(); n++ {
				v.put(b, "mine", gen.StateMutation_PUT, "", ownedBy("u1", fmt.Sprintf(`%s,"n":"%s%d"`, more, name, n)))
				for range clients {
					<-got
				}
			}
			b.ReportMetric(float64(clients*b.N)/b.Elapsed().Seconds(), "frames/s")
			for _, s := range sockets {
				s.CloseNow()
			}
		})
	}
}

// BenchmarkTicketUse is a ticket that is used, through HTTP up to the upgrade, beside what one would do instead: a row in the same
// kind of database that is written when the ticket is made and deleted when it is used.
func BenchmarkTicketUse(b *testing.B) {
	v := startVibe(b)
	v.own(b, "mine", ownedBy("u1", ""))
	b.Run("ticket", func(b *testing.B) {
		for b.Loop() {
			ticket := v.ticket(b, "u1", "mine")
			if got := v.call(b, http.MethodGet, "/api/agent/mine/ws?ticket="+ticket, ""); got.StatusCode != http.StatusUpgradeRequired {
				b.Fatalf("%d %s", got.StatusCode, got.body)
			}
		}
	})
	db, err := sqldb.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "rows.db"), sqldb.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if _, err := db.W.ExecContext(b.Context(), "CREATE TABLE tickets (token TEXT PRIMARY KEY, user TEXT, expires INTEGER)"); err != nil {
		b.Fatal(err)
	}
	b.Run("row", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			// The same two calls, that cost the same but for the ticket.
			for range 2 {
				v.call(b, http.MethodGet, "/api/agent/mine/connect", "", with("Authorization", bearer(tokenFor("u1"))))
			}
			token := fmt.Sprint("tk_", n)
			if _, err := db.W.ExecContext(b.Context(), "INSERT INTO tickets VALUES (?, 'u1', 1)", token); err != nil {
				b.Fatal(err)
			}
			if _, err := db.W.ExecContext(b.Context(), "DELETE FROM tickets WHERE token = ? RETURNING user", token); err != nil {
				b.Fatal(err)
			}
		}
	})
}
