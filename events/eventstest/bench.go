package eventstest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vibesdk-gcp/events"
)

// Bench measures a driver from Publish to the handler's return with payloads of 200 bytes. Sub-benchmarks:
//
//	Unordered   16 publishers, one message a call, 16 handlers
//	Bulk        4 publishers, 100 messages a call, 16 handlers
//	ManyKeys    16 publishers, one message a call, ordered, 64 keys
//	HotKey      4 publishers, 100 messages a call, one ordered key, runs of up to 500
//	Lone        one message at a time
//
// The first four report msg/s, and the age of messages when handled as p50-ms and p99-ms, which under load is
// mostly waiting; Lone reports the latency of an idle bus. With a baseline each also reports x-baseline: its rate
// as a multiple of what it is to be held against.
func Bench(b *testing.B, fresh func(t testing.TB) Opener, against ...Baseline) {
	var base Baseline
	if len(against) > 0 {
		base = against[0]
	}
	many := make([]string, 64)
	for i := range many {
		many[i] = fmt.Sprint("key", i)
	}
	b.Run("Unordered", func(b *testing.B) { load{publishers: 16, call: 1, base: base.Single}.run(b, fresh(b)) })
	b.Run("Bulk", func(b *testing.B) { load{publishers: 4, call: 100, base: base.Batch}.run(b, fresh(b)) })
	b.Run("ManyKeys", func(b *testing.B) { load{publishers: 16, call: 1, keys: many, base: base.Single}.run(b, fresh(b)) })
	b.Run("HotKey", func(b *testing.B) {
		load{publishers: 4, call: 100, keys: []string{"hot"}, batch: 500, base: base.Batch}.run(b, fresh(b))
	})
	b.Run("Lone", func(b *testing.B) { lone(b, fresh(b), base.Single) })
}

// Baseline is what something simpler does on the same machine in the same run, in messages a second: one
// durable message at a time (held against Unordered, ManyKeys and Lone), and a hundred at a time (Bulk and HotKey).
type Baseline struct{ Single, Batch float64 }

// load is a shape of traffic.
type load struct {
	publishers, call, batch int
	keys                    []string
	base                    float64
}

func (l load) run(b *testing.B, open Opener) {
	topic := events.Topic{Name: "bench", Type: "bench.v1", Ordered: len(l.keys) > 0}
	sub := events.Subscription{Name: "bench", Topic: topic, MaxBatch: l.batch, MaxOutstanding: 10000}
	bus := events.New(open(b, sub), events.Options{Logger: quietLog})
	ctx, cancel := context.WithCancel(context.Background())

	total := int64(max(b.N/l.call*l.call, l.call))
	ages := make([]time.Duration, total)
	var handled atomic.Int64
	all := make(chan struct{})
	record := func(run []events.Message) {
		now := time.Now()
		for _, m := range run {
			n := handled.Add(1)
			if n <= total {
				ages[n-1] = now.Sub(m.Time)
			}
			if n == total {
				close(all)
			}
		}
	}
	var consumer sync.WaitGroup
	consumer.Go(func() {
		var err error
		if l.batch > 0 {
			err = bus.ConsumeBatches(ctx, sub, func(_ context.Context, _ string, run []events.Message) error {
				record(run)
				return nil
			})
		} else {
			err = bus.Consume(ctx, sub, func(_ context.Context, m events.Message) error {
				record([]events.Message{m})
				return nil
			})
		}
		if err != nil {
			b.Errorf("consume: %v", err)
		}
	})

	data := make([]byte, 200)
	b.ResetTimer()
	var next atomic.Int64
	var publishers sync.WaitGroup
	for range l.publishers {
		publishers.Go(func() {
			for {
				first := next.Add(int64(l.call)) - int64(l.call)
				if first >= total {
					return
				}
				msgs := make([]events.Message, l.call)
				for i := range msgs {
					msgs[i].Data = data
					if len(l.keys) > 0 {
						msgs[i].Key = l.keys[(int(first)+i)%len(l.keys)]
					}
				}
				if err := bus.Publish(ctx, topic, msgs...); err != nil {
					b.Errorf("publish: %v", err)
					return
				}
			}
		})
	}
	publishers.Wait()
	<-all
	b.StopTimer()
	cancel()
	consumer.Wait()
	reportRate(b, float64(total), l.base)
	reportAges(b, ages)
	if err := bus.Close(); err != nil {
		b.Errorf("close: %v", err)
	}
}

func lone(b *testing.B, open Opener, base float64) {
	topic := events.Topic{Name: "lone", Type: "bench.v1"}
	sub := events.Subscription{Name: "lone", Topic: topic}
	bus := events.New(open(b, sub), events.Options{Logger: quietLog})
	ctx, cancel := context.WithCancel(context.Background())
	arrived := make(chan struct{})
	var consumer sync.WaitGroup
	consumer.Go(func() {
		if err := bus.Consume(ctx, sub, func(context.Context, events.Message) error {
			arrived <- struct{}{}
			return nil
		}); err != nil {
			b.Errorf("consume: %v", err)
		}
	})
	var ages []time.Duration
	for b.Loop() {
		start := time.Now()
		if err := bus.Publish(ctx, topic, events.Message{Data: make([]byte, 200)}); err != nil {
			b.Fatalf("publish: %v", err)
		}
		<-arrived
		ages = append(ages, time.Since(start))
	}
	reportRate(b, float64(len(ages)), base)
	cancel()
	consumer.Wait()
	reportAges(b, ages)
	if err := bus.Close(); err != nil {
		b.Errorf("close: %v", err)
	}
}

func reportRate(b *testing.B, messages, base float64) {
	rate := messages / b.Elapsed().Seconds()
	b.ReportMetric(rate, "msg/s")
	if base > 0 {
		b.ReportMetric(rate/base, "x-baseline")
	}
}

func reportAges(b *testing.B, ages []time.Duration) {
	slices.Sort(ages)
	b.ReportMetric(ages[len(ages)/2].Seconds()*1e3, "p50-ms")
	b.ReportMetric(ages[len(ages)*99/100].Seconds()*1e3, "p99-ms")
}
