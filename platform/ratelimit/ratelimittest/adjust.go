package ratelimittest

import (
	"context"
	"time"

	"vibesdk-gcp/platform/ratelimit"
)

func (s *subject) adjust(now time.Time, id, key string, r ratelimit.Rule, charged time.Time, delta float64) {
	s.Helper()
	err := s.Adjust(context.Background(), now, ratelimit.Adjustment{
		ID: id, Key: key, Rule: r, Bucket: r.Bucket(charged.UnixMilli()), Delta: delta,
	})
	if err != nil {
		s.Fatalf("Adjust: %v", err)
	}
}

func adjustInBucket(s *subject) {
	r := per(s, 100, 60)
	s.charge(noon, "k", r, 10)
	s.charge(after(30*time.Second), "k", r, 1)
	s.adjust(after(40*time.Second), "up", "k", r, noon, 2.5)
	s.adjust(after(40*time.Second), "down", "k", r, noon, -0.25)
	s.wantCount(after(40*time.Second), "k", r, 13.25, "10 + 2.5 - 0.25 + 1")
	s.wantCount(after(70*time.Second), "k", r, 1, "the correction left the window with its charge")
}

func adjustOnce(s *subject) {
	r := per(s, 100, 60)
	s.charge(noon, "k", r, 10)
	s.charge(noon, "other", r, 10)
	for _, delta := range []float64{-4, -4, 7} {
		s.adjust(after(time.Second), "id", "k", r, noon, delta)
	}
	s.adjust(after(time.Second), "id", "other", r, noon, -1)
	s.adjust(after(time.Second), "id2", "k", r, noon, -1)
	s.wantCount(after(time.Second), "k", r, 5, "an id counts once")
	s.wantCount(after(time.Second), "other", r, 9, "ids of different keys are different")
	if err := s.Reset(context.Background(), "k"); err != nil {
		s.Fatal(err)
	}
	s.charge(after(2*time.Second), "k", r, 3)
	s.adjust(after(3*time.Second), "id", "k", r, noon, -2)
	s.wantCount(after(3*time.Second), "k", r, 3, "an id stays known when its key is reset")
}

func adjustFloor(s *subject) {
	r := per(s, 100, 60)
	s.charge(noon, "k", r, 3)
	s.charge(after(20*time.Second), "k", r, 5)
	s.adjust(after(30*time.Second), "a", "k", r, noon, -50)
	s.wantCount(after(30*time.Second), "k", r, 5, "a bucket gives no more than it holds")
	s.adjust(after(30*time.Second), "b", "k", r, noon, -1)
	s.wantCount(after(30*time.Second), "k", r, 5, "an empty bucket gives nothing")
	s.charge(after(30*time.Second), "negative", r, -2)
	s.adjust(after(30*time.Second), "c", "negative", r, after(30*time.Second), -1)
	s.wantCount(after(30*time.Second), "negative", r, -2, "a bucket below zero gives nothing either")
	s.adjust(after(30*time.Second), "d", "absent", r, noon, -1)
	s.wantCount(after(30*time.Second), "absent", r, 0, "a key without counts has nothing to give")
}

func adjustOld(s *subject) {
	r := per(s, 100, 60)
	wide := per(s, 100, 3600)
	s.charge(noon, "k", r, 3)
	s.adjust(after(70*time.Second), "in time", "k", r, noon, 1)
	s.wantCount(after(70*time.Second), "k", wide, 4, "the bucket is at the end of the horizon")
	s.adjust(after(71*time.Second), "late", "k", r, noon, 1)
	s.wantCount(after(71*time.Second), "k", wide, 4, "the bucket is in no window of the rule any more")
}

// adjustFarBack corrects a bucket that lies many buckets before the one charged last.
func adjustFarBack(s *subject) {
	r := per(s, 100, 7200)
	late := after(20 * time.Minute)
	s.charge(noon, "k", r, 5)
	s.charge(late, "k", r, 3)
	s.adjust(late, "a", "k", r, noon, -2)
	s.wantCount(late, "k", r, 6, "5 - 2 long ago and 3 now")
	s.charge(late, "k", r, 1)
	s.wantCount(after(110*time.Minute), "k", r, 7, "both are in the window later")
	s.wantCount(after(130*time.Minute), "k", r, 4, "what was corrected has left the window")
}
