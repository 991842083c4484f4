package seam

import (
	"testing"

	"seamwork.example/surveyor/wire"
)

func job(dispatch, crossing string) *wire.Job {
	return &wire.Job{Work: wire.Work{Dispatch: dispatch, Crossing: crossing, NotAfter: 100}}
}

func attempt(dispatch, crossing string, number int) *wire.Job {
	made := job(dispatch, crossing)
	made.Work.Attempt = number
	return made
}

func notice(dispatch, about, what string, left int) *wire.Notice {
	return &wire.Notice{Dispatch: dispatch, About: about, What: what, CorrectionsLeft: left}
}

func started(lane *Lane) string {
	names := ""
	for _, open := range lane.Start() {
		names += open.Work.Dispatch
	}
	return names
}

func deal(lane *Lane, messages ...any) *Lane {
	for _, message := range messages {
		lane.Take(lane.next, message, 0)
	}
	return lane
}

func TestNothingStartsBeforeTheInboxWasReadToItsEnd(t *testing.T) {
	lane := deal(NewLane(0, 3), job("d", "c"), job("e", "f"))
	if got := started(lane); got != "" {
		t.Errorf("want nothing, got %s", got)
	}
	deal(lane, notice("d", "c", "cancelled", 0))
	if got := started(lane); got != "e" {
		t.Errorf("want e, got %s", got)
	}
}

func TestWhoWasAwayReadsFirst(t *testing.T) {
	lane := deal(NewLane(0, 1), job("d", "c"))
	lane.ReadTo(2)
	if got := started(lane); got != "" {
		t.Errorf("want nothing before what another instance did was read, got %s", got)
	}
	deal(lane, notice("d", wire.AnswerID("d", 0), "accepted", 0), job("e", "f"))
	if got := started(lane); got != "e" {
		t.Errorf("want e, got %s", got)
	}
}

func TestEachOrderStartsWhatIsLeft(t *testing.T) {
	for name, try := range map[string]struct {
		messages []any
		starts   string
		commit   int64
	}{
		"work":                              {[]any{job("d", "c")}, "d", 0},
		"the same dispatch twice":           {[]any{job("d", "c"), job("d", "c")}, "d", 0},
		"a newer attempt replaces":          {[]any{job("d", "c"), job("e", "c")}, "e", 1},
		"an older attempt that comes late":  {[]any{attempt("e", "c", 2), attempt("d", "c", 1)}, "e", 0},
		"cancelled":                         {[]any{job("d", "c"), notice("d", "c", "cancelled", 0)}, "", 2},
		"expired":                           {[]any{job("d", "c"), notice("d", "c", "expired", 0)}, "", 2},
		"cancelled and delivered again":     {[]any{job("d", "c"), notice("d", "c", "cancelled", 0), job("d", "c")}, "", 3},
		"accepted before a restart":         {[]any{job("d", "c"), notice("d", wire.AnswerID("d", 0), "accepted", 0)}, "", 2},
		"refused for good":                  {[]any{job("d", "c"), notice("d", wire.AnswerID("d", 0), "refused", 0)}, "", 2},
		"refused with a correction left":    {[]any{job("d", "c"), notice("d", wire.AnswerID("d", 0), "refused", 1)}, "d", 0},
		"another dispatch is cancelled":     {[]any{job("d", "c"), notice("x", "c", "cancelled", 0)}, "d", 0},
		"a refused repeat of a progress":    {[]any{job("d", "c"), notice("d", "progress", "refused", 0)}, "d", 0},
		"what is passed over":               {[]any{nil, nil}, "", 2},
		"finished behind unfinished":        {[]any{job("d", "c"), job("e", "f"), notice("e", "f", "cancelled", 0)}, "d", 0},
		"an answer without anybody waiting": {[]any{&wire.Reply{Answer: wire.Answer{Dispatch: "x"}}}, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			lane := deal(NewLane(0, int64(len(try.messages))), try.messages...)
			if got := started(lane); got != try.starts {
				t.Errorf("want %q to start, got %q", try.starts, got)
			}
			if got := started(lane); got != "" {
				t.Errorf("want nothing to start twice, got %q", got)
			}
			if got := lane.Commit(); got != try.commit {
				t.Errorf("want commit %d, got %d", try.commit, got)
			}
		})
	}
}

func TestWorkThatRanOutIsNotBegun(t *testing.T) {
	lane := NewLane(0, 1)
	lane.Take(0, job("d", "c"), 100)
	if got := started(lane); got != "" || lane.Commit() != 1 {
		t.Errorf("want nothing and commit 1, got %q and %d", got, lane.Commit())
	}
}

func TestACorrectionTakesTheNextOrdinal(t *testing.T) {
	lane := deal(NewLane(0, 2), job("d", "c"), notice("d", wire.AnswerID("d", 0), "refused", 1))
	open := lane.Start()[0]
	if open.Ordinal != 1 || open.Refusal == nil {
		t.Errorf("want ordinal 1 and the refusal, got %d, %v", open.Ordinal, open.Refusal)
	}
}

func TestAnAnswerStandsWhateverIsSaidOfARepeat(t *testing.T) {
	answer := &wire.Reply{Answer: wire.Answer{Dispatch: "d", Child: "k"}}
	lane := deal(NewLane(0, 3), job("d", "c"), answer, notice("d", "k", "refused", 0))
	if got := lane.Start()[0].outcomes["k"]; got.Reply != answer {
		t.Errorf("want the answer, got %v", got)
	}
}
