package seam

import (
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// silence notices that the log has not answered a read for half a session: that the process was stopped, starved, or cut
// off. A client's poll does not tell, because it returns nothing as long as there is nothing.
type silence struct {
	mu    sync.Mutex
	heard time.Time
	long  bool
}

var _ kgo.HookBrokerRead = (*silence)(nil)

// OnBrokerRead is called by the client for each answer. An empty inbox is answered every half second.
func (s *silence) OnBrokerRead(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if err == nil && key == kmsg.Fetch.Int16() {
		s.hear(time.Now())
	}
}

func (s *silence) hear(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.long = s.long || s.since(now) > session/2
	s.heard = now
}

// broken says whether there was such a silence, and forgets it.
func (s *silence) broken(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	long := s.long || s.since(now) > session/2
	if long {
		s.long, s.heard = false, now
	}
	return long
}

func (s *silence) since(now time.Time) time.Duration {
	if s.heard.IsZero() {
		return 0
	}
	return now.Sub(s.heard)
}
