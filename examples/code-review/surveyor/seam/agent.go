package seam

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"seamwork.example/surveyor/wire"
)

const (
	heartbeatEvery = 5 * time.Second
	grace          = 20 * time.Second
	seats          = 16
	session        = 45 * time.Second // after which the group gives partitions to somebody else
)

// Handler does one piece of work under one contract.
type Handler func(ctx context.Context, task *Task) (any, error)

// Agent is one version of one agent.
type Agent struct {
	settings *Settings
	self     wire.AgentRef
	handlers map[wire.ContractRef]Handler
	reader   wire.Reader
	instance string

	client *kgo.Client
	admin  *kadm.Client
	inbox  string // with the platform's prefix
	group  string

	mu        sync.Mutex // guards what follows
	lanes     map[int32]*Lane
	committed map[int32]int64
	running   sync.WaitGroup
	inFlight  int
	draining  bool

	committing sync.Mutex
	silence    silence

	dirty chan struct{} // something may be committed
	seat  chan struct{}
	end   context.CancelCauseFunc
}

// New makes an agent that does nothing yet.
func New(settings *Settings, version string, handlers map[wire.ContractRef]Handler) *Agent {
	name := settings.Agent.Name
	host, _ := os.Hostname()
	return &Agent{
		settings: settings,
		self:     wire.AgentRef{Agent: name, Version: version},
		handlers: handlers,
		reader: wire.Reader{
			Platform: settings.Agent.Platform, Self: wire.AgentRef{Agent: name, Version: version},
			RouterKeys: settings.routers,
		},
		instance:  fmt.Sprintf("%s-%s-%s-%d", name, version, host, os.Getpid()),
		inbox:     settings.Agent.Prefix + "." + wire.Inbox(name),
		group:     fmt.Sprintf("%s.agent-%s.%s", settings.Agent.Prefix, name, strings.ReplaceAll(version, ".", "-")),
		lanes:     map[int32]*Lane{},
		committed: map[int32]int64{},
		dirty:     make(chan struct{}, 1),
		seat:      make(chan struct{}, seats),
	}
}

// Run works until the context ends, then finishes what it can within its grace.
func (a *Agent) Run(ctx context.Context) error {
	options, err := a.options()
	if err != nil {
		return err
	}
	a.client, err = kgo.NewClient(options...)
	if err != nil {
		return err
	}
	defer a.client.Close()
	a.admin = kadm.NewClient(a.client)
	if err := a.client.Ping(ctx); err != nil {
		return fmt.Errorf("kafka at %s: %w", a.settings.Kafka.Bootstrap, err)
	}
	// Told to stop, the agent takes nothing new and reads on, for at most its grace, to learn what becomes of the
	// answers that are out.
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	a.end = end
	go a.drain(ctx, life)
	var helpers sync.WaitGroup
	helpers.Go(func() { a.beat(life) })
	helpers.Go(func() { a.keepCommitting(life) })
	err = a.read(life)
	end(err)
	a.running.Wait()
	helpers.Wait()
	last := context.WithoutCancel(ctx)
	return errors.Join(err, a.commit(last), a.say(last, "draining"))
}

func (a *Agent) options() ([]kgo.Opt, error) {
	kafka := a.settings.Kafka
	options := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(kafka.Bootstrap, ",")...),
		kgo.ClientID(a.instance),
		kgo.ConsumerGroup(a.group),
		kgo.ConsumeTopics(a.inbox),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		kgo.SessionTimeout(session),
		kgo.WithHooks(&a.silence),
		kgo.FetchMaxWait(500 * time.Millisecond),
		kgo.BlockRebalanceOnPoll(), // no partition is lost while its records are folded in
		kgo.OnPartitionsAssigned(a.assigned),
		kgo.OnPartitionsRevoked(a.revoked),
		kgo.OnPartitionsLost(a.revoked),
		// Keys go where Java's default partitioner puts them; the vectors hold this partitioner to it.
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.ProducerLinger(0),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		// Whoever else writes crossings could take the next producer id and its first number: ours would pass for
		// a repeat of theirs, confirmed and never there. A crossing that comes twice is known by its own id.
		kgo.DisableIdempotentWrite(),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.RecordDeliveryTimeout(30 * time.Second),
	}
	switch kafka.Mechanism {
	case "SCRAM-SHA-512":
		auth := scram.Auth{User: kafka.Username, Pass: kafka.Password}
		options = append(options, kgo.SASL(auth.AsSha512Mechanism()))
	default:
		return nil, fmt.Errorf("kafka.mechanism %q is not known to this agent", kafka.Mechanism)
	}
	switch kafka.Protocol {
	case "SASL_PLAINTEXT":
	case "SASL_SSL":
		config := &tls.Config{MinVersion: tls.VersionTLS12}
		if kafka.CAFile != "" {
			pem, err := os.ReadFile(kafka.CAFile)
			if err != nil {
				return nil, err
			}
			config.RootCAs = x509.NewCertPool()
			if !config.RootCAs.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("%s holds no certificate", kafka.CAFile)
			}
		}
		options = append(options, kgo.DialTLSConfig(config))
	default:
		return nil, fmt.Errorf("kafka.protocol %q is not known to this agent", kafka.Protocol)
	}
	return options, nil
}

// assigned takes over partitions: up to the end that each has now, records are read before anything is run.
func (a *Agent) assigned(ctx context.Context, _ *kgo.Client, parts map[string][]int32) {
	if err := a.takeOver(ctx, parts[a.inbox]); err != nil {
		a.end(fmt.Errorf("taking over partitions: %w", err))
	}
}

func (a *Agent) takeOver(ctx context.Context, partitions []int32) error {
	ends, err := a.admin.ListEndOffsets(ctx, a.inbox)
	if err != nil {
		return err
	}
	starts, err := a.admin.ListStartOffsets(ctx, a.inbox)
	if err != nil {
		return err
	}
	commits, err := a.admin.FetchOffsets(ctx, a.group)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, partition := range partitions {
		first, ok1 := starts.Lookup(a.inbox, partition)
		last, ok2 := ends.Lookup(a.inbox, partition)
		if !ok1 || !ok2 || first.Err != nil || last.Err != nil {
			return fmt.Errorf("partition %d of %s: %w", partition, a.inbox, errors.Join(first.Err, last.Err))
		}
		start := first.Offset
		if commit, ok := commits.Lookup(a.inbox, partition); ok {
			start = max(start, commit.At)
		}
		a.lanes[partition] = NewLane(start, last.Offset)
		a.committed[partition] = start
		slog.Info("took a partition over", "partition", partition, "from", start, "end", last.Offset)
	}
	return nil
}

// revoked gives partitions back: whoever has them next runs again what is not finished.
func (a *Agent) revoked(ctx context.Context, _ *kgo.Client, parts map[string][]int32) {
	if err := a.commit(ctx); err != nil {
		slog.Warn("the last commit failed; finished work is recognised by its ids", "error", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, partition := range parts[a.inbox] {
		if lane := a.lanes[partition]; lane != nil {
			for _, open := range lane.open {
				lane.Finish(open, "the partition went to another instance")
			}
		}
		delete(a.lanes, partition)
		delete(a.committed, partition)
	}
}

func (a *Agent) read(life context.Context) error {
	for {
		if a.silence.broken(time.Now()) {
			if err := a.lookAgain(life); err != nil && life.Err() == nil {
				return err
			}
		}
		a.begin(life)
		fetches := a.client.PollFetches(life)
		if life.Err() != nil {
			a.client.AllowRebalance()
			if cause := context.Cause(life); !errors.Is(cause, errStopped) {
				return cause
			}
			return nil
		}
		var failed error
		fetches.EachError(func(topic string, partition int32, err error) {
			failed = errors.Join(failed, fmt.Errorf("%s, partition %d: %w", topic, partition, err))
		})
		if failed != nil {
			return failed
		}
		now := time.Now().UnixMilli()
		a.mu.Lock()
		fetches.EachRecord(func(record *kgo.Record) {
			if lane := a.lanes[record.Partition]; lane != nil {
				lane.Take(record.Offset, a.believe(record), now)
			}
		})
		a.mu.Unlock()
		a.touch()
		a.client.AllowRebalance()
	}
}

// lookAgain asks where the partitions end now. For half a session nothing was heard, so another instance may have had
// them and have done the work: nothing is begun before what it wrote was read.
func (a *Agent) lookAgain(ctx context.Context) error {
	ends, err := a.admin.ListEndOffsets(ctx, a.inbox)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for partition, lane := range a.lanes {
		end, ok := ends.Lookup(a.inbox, partition)
		if !ok || end.Err != nil {
			return fmt.Errorf("partition %d of %s: no end is known: %w", partition, a.inbox, end.Err)
		}
		lane.ReadTo(end.Offset)
		slog.Warn("nothing was heard for long; reading first", "partition", partition, "end", end.Offset)
	}
	return nil
}

// believe returns what the router says, or nil for what is passed over; nothing stops what lies behind it.
func (a *Agent) believe(record *kgo.Record) any {
	headers := make([]wire.Header, 0, len(record.Headers))
	for _, header := range record.Headers {
		headers = append(headers, wire.Header{Name: header.Key, Value: header.Value})
	}
	message, err := a.reader.Read(record.Key, record.Value, headers)
	switch {
	case err == nil:
		return message
	case errors.Is(err, wire.ErrForAnother), errors.Is(err, wire.ErrUnknownType):
		return nil
	default:
		slog.Warn("a record of the inbox is not believed",
			"partition", record.Partition, "offset", record.Offset, "why", err.Error())
		return nil
	}
}

// begin starts what may be started.
func (a *Agent) begin(life context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.draining {
		return
	}
	for _, lane := range a.lanes {
		for _, open := range lane.Start() {
			a.inFlight++
			a.running.Go(func() {
				err := a.do(life, open)
				a.mu.Lock()
				lane.Finish(open, "done")
				a.inFlight--
				a.mu.Unlock()
				a.touch()
				if err != nil {
					a.end(err)
				}
			})
		}
	}
}

// errStopped ends an agent that was told to stop.
var errStopped = errors.New("told to stop")

func (a *Agent) drain(ctx, life context.Context) {
	select {
	case <-ctx.Done():
	case <-life.Done():
		return
	}
	a.mu.Lock()
	a.draining = true
	a.mu.Unlock()
	done := make(chan struct{})
	go func() { a.running.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(grace):
		slog.Warn("work is left to the next start")
	}
	a.end(errStopped)
}

// ── Commits and heartbeats ───────────────────────────────────────────────────────────────

func (a *Agent) touch() {
	select {
	case a.dirty <- struct{}{}:
	default:
	}
}

func (a *Agent) keepCommitting(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.dirty:
			if err := a.commit(ctx); err != nil && ctx.Err() == nil {
				slog.Warn("a commit failed; the next one covers it", "error", err)
			}
		}
	}
}

// commit says how far everything is finished. One at a time, and told to the end: a commit that is given up halfway
// would leave nobody knowing what the group has.
func (a *Agent) commit(ctx context.Context) error {
	a.committing.Lock()
	defer a.committing.Unlock()
	a.mu.Lock()
	offsets := map[int32]kgo.EpochOffset{}
	for partition, lane := range a.lanes {
		if at := lane.Commit(); at > a.committed[partition] {
			offsets[partition] = kgo.EpochOffset{Epoch: -1, Offset: at}
		}
	}
	a.mu.Unlock()
	if len(offsets) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	var failed error
	a.client.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{a.inbox: offsets},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
			failed = err
			if answer == nil {
				return
			}
			for _, topic := range answer.Topics {
				for _, partition := range topic.Partitions {
					failed = errors.Join(failed, kerr.ErrorForCode(partition.ErrorCode))
				}
			}
		})
	if failed != nil {
		return failed
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for partition, offset := range offsets {
		if _, held := a.lanes[partition]; held {
			a.committed[partition] = offset.Offset
		}
	}
	return nil
}

func (a *Agent) beat(ctx context.Context) {
	every := time.NewTicker(heartbeatEvery)
	defer every.Stop()
	for {
		if err := a.say(ctx, "ready"); err != nil && ctx.Err() == nil {
			slog.Warn("a heartbeat was not written", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

func (a *Agent) say(ctx context.Context, state string) error {
	a.mu.Lock()
	beat := wire.Heartbeat{
		Type: "heartbeat", Instance: a.instance, Name: a.self.Agent, Kind: "agent", Version: a.self.Version,
		State: state, SentAt: time.Now().UnixMilli(), EveryMs: heartbeatEvery.Milliseconds(), InFlight: a.inFlight,
	}
	for partition := range a.lanes {
		beat.Partitions = append(beat.Partitions, int(partition))
	}
	a.mu.Unlock()
	return a.write(ctx, wire.Heartbeats, a.instance, beat, nil, nil)
}

// write signs a record and waits until the broker has it.
func (a *Agent) write(ctx context.Context, topic, key string, envelope any, payload, trace []byte) error {
	signer := wire.Key{Kid: a.settings.Agent.Kid, Private: a.settings.key}
	headers, err := wire.Compose(a.settings.Agent.Platform, topic, []byte(key), envelope, a.self, signer)
	if err != nil {
		return err
	}
	if trace != nil {
		headers = append(headers, wire.Header{Name: "traceparent", Value: trace})
	}
	if payload == nil {
		payload = []byte{} // an empty payload is an empty body; no body at all is a tombstone
	}
	record := &kgo.Record{Topic: a.settings.Agent.Prefix + "." + topic, Key: []byte(key), Value: payload}
	for _, header := range headers {
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: header.Name, Value: header.Value})
	}
	return a.client.ProduceSync(ctx, record).FirstErr()
}
