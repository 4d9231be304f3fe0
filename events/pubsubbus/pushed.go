package pubsubbus

import (
	"hash/fnv"
	"slices"
	"sync"

	"cloud.google.com/go/pubsub/v2"
)

// receivers are those that run, by subscription. It is safe for concurrent use; the zero value is empty.
type receivers struct {
	mu   sync.Mutex
	list map[string][]*receiver
}

func (s *receivers) add(r *receiver) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.list == nil {
		s.list = map[string][]*receiver{}
	}
	s.list[r.sub.Name] = append(s.list[r.sub.Name], r)
}

func (s *receivers) remove(r *receiver) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list[r.sub.Name] = slices.DeleteFunc(s.list[r.sub.Name], func(other *receiver) bool { return other == r })
}

// choose returns the receiver of a message; nil without any. Messages of a key, and deliveries of a message, go to the same one, so that
// they meet.
func (s *receivers) choose(subscription string, m *pubsub.Message) *receiver {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.list[subscription]
	if len(list) == 0 {
		return nil
	}
	key := m.OrderingKey
	if key == "" {
		key = m.ID
	}
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(key)) // it never fails
	return list[int(sum.Sum32()%uint32(len(list)))]
}
