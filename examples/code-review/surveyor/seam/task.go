package seam

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"seamwork.example/surveyor/wire"
)

// longestLife is how far ahead a record's expires_at may lie.
const longestLife = 24 * time.Hour

// Task is one dispatch, for the function that works on it.
type Task struct {
	Payload []byte
	Refusal *wire.Notice // of this work's last answer, when it is to be corrected

	agent *Agent
	open  *Open

	mu       sync.Mutex
	progress int
	spent    int64
}

// TaskError is an error that may be told to whoever waits; what any other error says stays in the log.
type TaskError struct{ Kind, Message string }

func (e TaskError) Error() string { return e.Kind + ": " + e.Message }

// HandoffError says why something handed on will not be answered.
type HandoffError struct{ What, Gate, Rule, Reason string }

func (e HandoffError) Error() string {
	return fmt.Sprintf("the handoff was %s (%s): %s", e.What, e.Rule, e.Reason)
}

// Order is work that goes out. Step and ordinal name the piece of work, not the call: they must come out the same
// when the function runs again.
type Order struct {
	Step     string
	Ordinal  int
	Contract wire.ContractRef
	Target   wire.Target
	Payload  any
	Ceiling  int64
	Timeout  time.Duration
}

// do runs one dispatch from its start until the router says that it is over.
func (a *Agent) do(life context.Context, open *Open) error {
	ctx, cancel := context.WithDeadline(life, time.UnixMilli(open.Work.NotAfter))
	defer cancel()
	go func() {
		select {
		case <-open.gone:
			cancel()
		case <-ctx.Done():
		}
	}()
	select {
	case a.seat <- struct{}{}:
		defer func() { <-a.seat }()
	case <-ctx.Done():
		return nil
	}
	task := &Task{Payload: open.Payload, agent: a, open: open}
	if err := task.report(ctx, "accepted", true); err != nil {
		return ended(ctx, err)
	}
	handler := a.handlers[open.Work.Contract]
	if handler == nil {
		handler = func(context.Context, *Task) (any, error) {
			return nil, TaskError{"UnknownContract", "this agent does not do work under that contract"}
		}
	}
	for {
		ordinal, refusal := a.answering(open)
		task.Refusal = refusal
		value, err := handler(ctx, task)
		if ctx.Err() != nil {
			return nil // cancelled or too late: the answer is thrown away
		}
		if err := task.answer(ctx, ordinal, value, err); err != nil {
			return ended(ctx, err)
		}
		if !a.refused(ctx, open, ordinal) {
			return nil
		}
	}
}

// ended passes over a failure to write for work that is over meanwhile.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (a *Agent) answering(open *Open) (int, *wire.Notice) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return open.Ordinal, open.Refusal
}

// refused waits for what becomes of an answer and says whether another one may be given.
func (a *Agent) refused(ctx context.Context, open *Open, ordinal int) bool {
	for {
		a.mu.Lock()
		again, changed := open.Ordinal > ordinal, open.changed
		a.mu.Unlock()
		if again {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// Spend adds to what the work has cost. An agent that never calls it has spent nothing, and says so.
func (t *Task) Spend(microUSD int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.spent += microUSD
}

// Progress is a sign of life with a note for people.
func (t *Task) Progress(ctx context.Context, note string) error { return t.report(ctx, note, false) }

// Delegate hands work on and waits for what becomes of it. What was answered before, to an earlier run of this
// function, is not asked again.
func (t *Task) Delegate(ctx context.Context, order Order) (*wire.Reply, error) {
	work, agent := t.open.Work, t.agent
	id := wire.ChildID(work.Crossing, agent.self.Agent, order.Step, order.Ordinal)
	if outcome, known := t.outcome(id); known {
		return outcome.result()
	}
	payload, err := json.Marshal(order.Payload)
	if err != nil {
		return nil, err
	}
	deadline := min(time.Now().Add(order.Timeout).UnixMilli(), work.NotAfter)
	handoff := wire.Handoff{
		Head: t.head("handoff", id, payload), Parent: work.Crossing, Step: order.Step, Ordinal: order.Ordinal,
		Contract: order.Contract, Target: order.Target, Constraints: work.Constraints,
		CeilingMicroUSD: order.Ceiling, DeadlineAt: deadline,
	}
	if err := agent.write(ctx, wire.Handoffs, work.Task, handoff, payload, t.open.Trace); err != nil {
		return nil, err
	}
	for {
		agent.mu.Lock()
		outcome, known := t.open.outcomes[id]
		changed := t.open.changed
		agent.mu.Unlock()
		if known {
			return outcome.result()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (t *Task) outcome(id string) (Outcome, bool) {
	t.agent.mu.Lock()
	defer t.agent.mu.Unlock()
	outcome, known := t.open.outcomes[id]
	return outcome, known
}

func (o Outcome) result() (*wire.Reply, error) {
	if o.Reply != nil {
		return o.Reply, nil
	}
	return nil, HandoffError{o.Notice.What, o.Notice.Gate, o.Notice.Rule, o.Notice.Reason}
}

func (t *Task) head(kind, id string, payload []byte) wire.Head {
	now := time.Now()
	return wire.Head{
		Type: kind, ID: id, Task: t.open.Work.Task, Source: t.agent.self,
		Intent: t.open.Crossing.Intent, IntentSHA256: t.open.Work.IntentSHA256,
		PayloadSHA256: wire.SHA256(payload), PayloadBytes: len(payload), SentAt: now.UnixMilli(),
		ExpiresAt: min(t.open.Work.NotAfter, now.Add(longestLife).UnixMilli()), Stamp: &t.open.Stamp,
	}
}

func (t *Task) report(ctx context.Context, note string, accepted bool) error {
	t.mu.Lock()
	ordinal := t.progress
	t.progress++
	t.mu.Unlock()
	dispatch := t.open.Work.Dispatch
	progress := wire.Progress{
		Head:     t.head("progress", wire.AccompanimentID(dispatch, "progress", ordinal), nil),
		Dispatch: dispatch, Ordinal: ordinal, Note: note, AcceptedWork: accepted,
	}
	if accepted {
		progress.Took = wire.Took(t.open.Payload, t.open.Work.Delivered)
	}
	return t.agent.write(ctx, wire.Handoffs, t.open.Work.Task, progress, nil, t.open.Trace)
}

// answer writes the result: the value, or the error in the form that every contract allows.
func (t *Task) answer(ctx context.Context, ordinal int, value any, failure error) error {
	outcome := "success"
	if failure != nil {
		outcome, value = "error", told(failure)
	}
	payload, err := json.Marshal(value)
	if err != nil {
		return err
	}
	err = t.result(ctx, ordinal, outcome, payload)
	if errors.Is(err, kerr.MessageTooLarge) {
		payload, err = json.Marshal(told(TaskError{"TooLarge", "the answer is larger than a record may be"}))
		if err == nil {
			err = t.result(ctx, ordinal, "error", payload)
		}
	}
	return err
}

func (t *Task) result(ctx context.Context, ordinal int, outcome string, payload []byte) error {
	work := t.open.Work
	t.mu.Lock()
	spent := t.spent
	t.mu.Unlock()
	return t.agent.write(ctx, wire.Handoffs, work.Task, wire.Result{
		Head:   t.head("result", wire.AnswerID(work.Dispatch, ordinal), payload),
		Parent: work.Crossing, Dispatch: work.Dispatch, Contract: work.Contract, Outcome: outcome,
		Ordinal: ordinal, Constraints: work.Constraints, Spent: &wire.Spent{MicroUSD: &spent},
		Took: wire.Took(t.open.Payload, work.Delivered),
	}, payload, t.open.Trace)
}

func told(failure error) any {
	said := TaskError{"InternalError", "the agent's log says more"}
	var handoff HandoffError
	switch {
	case errors.As(failure, &said):
	case errors.As(failure, &handoff):
		said = TaskError{"HandoffError", handoff.Error()}
	default:
		slog.Error("the work failed", "error", failure)
	}
	return map[string]any{"error": map[string]string{"type": said.Kind, "message": said.Message}}
}
