package seam

import "seamwork.example/surveyor/wire"

// A Lane is what one partition of the inbox says: which work is open, what is finished, how far may be committed.
// It runs nothing and knows no clock and no network, so that a test can deal it any order of records.
//
// Rule 1: nothing is started before the lane was read to the end that it had when it was taken over, so that a
// cancellation that lies there already removes queued work. The same holds for whoever was away: another instance may
// have had the partition meanwhile, and have done the work.
// Rule 2: a dispatch is started once.
// Rule 3: only the contiguous prefix of what is finished is committed.
type Lane struct {
	open   map[string]*Open // by dispatch
	over   map[string]int64 // dispatches that are finished, with their not_after
	next   int64            // the offset behind the last record read
	end    int64            // the end when the lane was taken over
	queued []*Open
}

// Open is a dispatch that is not over.
type Open struct {
	*wire.Job
	Offset  int64
	Ordinal int          // of the answer that would be sent next
	Refusal *wire.Notice // of the answer before it, where there was one
	started bool

	outcomes map[string]Outcome // of what was handed on, by crossing
	changed  chan struct{}      // closed and replaced when an outcome or a refusal comes
	gone     chan struct{}      // closed when the dispatch is over
	Why      string             // it is over
}

// Outcome is what became of something handed on: a reply, or word that none will come.
type Outcome struct {
	Reply  *wire.Reply
	Notice *wire.Notice
}

// maxCorrections bounds how many answers of a dispatch are looked for in the notices of an earlier run.
const maxCorrections = 32

// NewLane takes over a partition whose records from start to end are still to be read.
func NewLane(start, end int64) *Lane {
	return &Lane{open: map[string]*Open{}, over: map[string]int64{}, next: start, end: end}
}

// Take folds the next record in. The message is what wire.Reader made of it, nil where it is to be passed over.
func (l *Lane) Take(offset int64, message any, now int64) {
	l.next = offset + 1
	l.forget(now)
	switch record := message.(type) {
	case *wire.Job:
		l.work(offset, record, now)
	case *wire.Reply:
		if open := l.open[record.Answer.Dispatch]; open != nil {
			open.outcome(record.Answer.Child, Outcome{Reply: record})
		}
	case *wire.Notice:
		if open := l.open[record.Dispatch]; open != nil {
			l.notice(open, record)
		}
	}
}

func (l *Lane) work(offset int64, job *wire.Job, now int64) {
	dispatch := job.Work.Dispatch
	if l.open[dispatch] != nil || l.isOver(dispatch) || job.Work.NotAfter <= now {
		return
	}
	for _, other := range l.open {
		if other.Work.Crossing != job.Work.Crossing {
			continue
		}
		if job.Work.Attempt < other.Work.Attempt { // written late, by a router that was taken over from
			return
		}
		l.Finish(other, "a newer attempt took its place")
	}
	open := &Open{
		Job: job, Offset: offset, outcomes: map[string]Outcome{},
		changed: make(chan struct{}), gone: make(chan struct{}),
	}
	l.open[dispatch] = open
	l.queued = append(l.queued, open)
}

// A notice names the dispatch it concerns; what it is about tells the three cases apart.
func (l *Lane) notice(open *Open, notice *wire.Notice) {
	if notice.About == open.Work.Crossing { // the work itself was taken away
		l.Finish(open, notice.What)
		return
	}
	for ordinal := range maxCorrections {
		if notice.About != wire.AnswerID(open.Work.Dispatch, ordinal) {
			continue
		}
		if notice.What == "refused" && notice.CorrectionsLeft > 0 {
			open.Ordinal = max(open.Ordinal, ordinal+1)
			open.Refusal = notice
			open.wake()
		} else {
			l.Finish(open, notice.What)
		}
		return
	}
	// A progress or usage that was refused as a repeat is named too, and nobody waits for it.
	open.outcome(notice.About, Outcome{Notice: notice})
}

func (o *Open) outcome(child string, outcome Outcome) {
	if known := o.outcomes[child]; known.Reply == nil { // an answer stands, whatever is said of a repeat
		o.outcomes[child] = outcome
		o.wake()
	}
}

func (o *Open) wake() {
	close(o.changed)
	o.changed = make(chan struct{})
}

// Finish says that a dispatch is over, with or without an answer.
func (l *Lane) Finish(open *Open, why string) {
	dispatch := open.Work.Dispatch
	if l.open[dispatch] != open {
		return
	}
	delete(l.open, dispatch)
	l.over[dispatch] = open.Work.NotAfter
	open.Why = why
	close(open.gone)
}

// ReadTo says that records up to end may concern what is queued: nothing is started before they were read.
func (l *Lane) ReadTo(end int64) { l.end = max(l.end, end) }

// Start returns the work that may begin now, each piece once.
func (l *Lane) Start() []*Open {
	if l.next < l.end {
		return nil
	}
	var ready []*Open
	for _, open := range l.queued {
		if !l.isOver(open.Work.Dispatch) && !open.started {
			open.started = true
			ready = append(ready, open)
		}
	}
	l.queued = nil
	return ready
}

// Commit is the offset up to which everything is finished.
func (l *Lane) Commit() int64 {
	commit := l.next
	for _, open := range l.open {
		commit = min(commit, open.Offset)
	}
	return commit
}

func (l *Lane) isOver(dispatch string) bool {
	_, over := l.over[dispatch]
	return over
}

// rememberedAtMost bounds what is kept of finished work before what has run out is forgotten; a redelivery of that
// is not begun in any case.
const rememberedAtMost = 10_000

func (l *Lane) forget(now int64) {
	if len(l.over) < rememberedAtMost {
		return
	}
	for dispatch, notAfter := range l.over {
		if notAfter <= now {
			delete(l.over, dispatch)
		}
	}
}
