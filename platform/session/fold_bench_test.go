package session

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
)

// benchState is a state like VibeSDK's of about so many bytes: files of 4 kB, an array of messages and some small fields.
func benchState(size int) []byte {
	file := strings.Repeat(`const x = \"<div>\";\n`, 200)
	var b strings.Builder
	b.WriteString(`{"query":"q","shouldBeGenerating":false,"counter":0,"generatedFilesMap":{`)
	for i := 0; b.Len() < size; i++ {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, `"src/f%d.tsx":{"filePath":"src/f%d.tsx","fileContents":"%s"}`, i, i, file)
	}
	b.WriteString(`},"conversationMessages":[{"role":"user","content":"hi"}],"sessionId":"s"}`)
	return []byte(b.String())
}

func benchFold(b *testing.B, base *Record, ms []Mutation) {
	b.ReportAllocs()
	for b.Loop() {
		f := fold(base, foldTime)
		for _, m := range ms {
			if _, err := f.apply(m, nil); err != nil {
				b.Fatal(err)
			}
		}
		f.result()
	}
}

// BenchmarkFold folds one batch; the others do the same work with documents decoded and encoded once for each mutation.
func BenchmarkFold(b *testing.B) {
	merge := func(i int) []byte { return fmt.Appendf(nil, `{"counter":%d,"shouldBeGenerating":true}`, i) }
	for _, c := range []struct {
		name    string
		size, n int
	}{{"merge/10kB", 10 << 10, 1}, {"merge/100kB", 100 << 10, 1}, {"merge/1MB", 1 << 20, 1}, {"500merges/100kB", 100 << 10, 500}} {
		state := benchState(c.size)
		base := stored(1, "state", string(state))
		ms := make([]Mutation, c.n)
		for i := range ms {
			ms[i] = Mutation{ID: fmt.Sprint(i), Kind: Merge, Payload: merge(i)}
		}
		b.Run(c.name+"/fold", func(b *testing.B) { benchFold(b, base, ms) })
		b.Run(c.name+"/encoding-json", func(b *testing.B) {
			for b.Loop() {
				doc := state
				for i := range c.n {
					doc = decodedMerge(b, doc, merge(i))
				}
			}
		})
		b.Run(c.name+"/evanphx", func(b *testing.B) {
			for b.Loop() {
				doc := state
				for i := range c.n {
					var err error
					if doc, err = jsonpatch.MergePatch(doc, merge(i)); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
	base := stored(1, "state", string(benchState(1<<20)))
	message := []byte(`{"role":"assistant","content":"` + strings.Repeat("word ", 50) + `"}`)
	b.Run("append/1MB", func(b *testing.B) {
		benchFold(b, base, []Mutation{{ID: "a", Kind: Append, Path: "/conversationMessages", Payload: message}})
	})
	conversation := stored(1, "full_conversations", "["+strings.Repeat(string(message)+",", 3000)+"1]")
	b.Run("append/conversation-1MB", func(b *testing.B) {
		benchFold(b, conversation, []Mutation{{ID: "a", Kind: Append, Part: PartFullConversations, Payload: message}})
	})
}

func decodedMerge(b *testing.B, doc, patch []byte) []byte {
	var target, changes any
	if json.Unmarshal(doc, &target) != nil || json.Unmarshal(patch, &changes) != nil {
		b.Fatal("not JSON")
	}
	for key, value := range changes.(map[string]any) {
		target.(map[string]any)[key] = value
	}
	out, err := json.Marshal(target)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// BenchmarkJobs works on a session with 10,000 jobs.
func BenchmarkJobs(b *testing.B) {
	jobs := make([]Job, MaxJobs-1000)
	for i := range jobs {
		jobs[i] = Job{ID: derivedID(fmt.Sprint(i)), Type: JobQueue, Callback: "processMessage", Payload: json.RawMessage(`{"n":1,"text":"hello"}`), Due: foldTime, CreatedAt: foldTime, Run: 1}
		if i%2 == 0 {
			jobs[i].Type = JobDelayed
		}
	}
	data, err := EncodeJobs(jobs)
	if err != nil {
		b.Fatal(err)
	}
	base := stored(1, "jobs", string(data))
	enqueue := func(n int) []Mutation {
		ms := make([]Mutation, n)
		for i := range ms {
			ms[i] = Mutation{ID: fmt.Sprint("new", i), Kind: Enqueue, Payload: []byte(`{"callback":"work","payload":{"x":1}}`)}
		}
		return ms
	}
	b.Run("enqueue", func(b *testing.B) { benchFold(b, base, enqueue(1)) })
	b.Run("500enqueues", func(b *testing.B) { benchFold(b, base, enqueue(500)) })
	b.Run("ready", func(b *testing.B) {
		for b.Loop() {
			if _, err := base.Ready(foldTime.AddDate(-1, 0, 0)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		for b.Loop() {
			var all []Job
			if json.Unmarshal(data, &all) != nil {
				b.Fatal("not JSON")
			}
			if _, err := json.Marshal(all); err != nil {
				b.Fatal(err)
			}
		}
	})
}
