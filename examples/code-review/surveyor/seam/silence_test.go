package seam

import (
	"testing"
	"time"
)

func TestASilenceIsNoticedBeforeAndAfterItsEnd(t *testing.T) {
	begun := time.Now()
	for name, try := range map[string]struct {
		heardAfter []time.Duration // each after the one before
		askedAfter time.Duration
		broken     bool
	}{
		"nothing was heard yet":          {nil, time.Hour, false},
		"answers come":                   {[]time.Duration{0, time.Second, session / 2}, session / 2, false},
		"none has come for long":         {[]time.Duration{0}, session/2 + 1, true},
		"one came late, and others soon": {[]time.Duration{0, session/2 + 1, time.Second}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			var heard silence
			now := begun
			for _, after := range try.heardAfter {
				now = now.Add(after)
				heard.hear(now)
			}
			if got := heard.broken(now.Add(try.askedAfter)); got != try.broken {
				t.Errorf("want %v, got %v", try.broken, got)
			}
			if heard.broken(now.Add(try.askedAfter)) {
				t.Error("want it told once")
			}
		})
	}
}
