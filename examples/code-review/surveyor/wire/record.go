package wire

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
)

const (
	recordType = "application/vnd.seamwork.record.v1"
	// Handoffs is the one topic of the path of work that an agent writes.
	Handoffs   = "handoffs.v1"
	Heartbeats = "heartbeats.v1"
)

// Inbox is the topic that one agent alone reads.
func Inbox(agent string) string { return "inbox." + agent + ".v1" }

// Header is one header of a Kafka record.
type Header struct {
	Name  string
	Value []byte
}

// Signed is the byte string that a signature covers and whose SHA-256 is the record's digest.
func Signed(platform, topic string, key, envelope []byte) []byte {
	return prefixed([]byte(recordType), []byte(platform), []byte(topic), key, envelope)
}

// Key signs.
type Key struct {
	Kid     string
	Private ed25519.PrivateKey
}

// Compose puts a record's headers together: CloudEvents, envelope, signature. Source names who writes.
// The attribute ce_id is the record's own id, or its digest where it has none.
func Compose(platform, topic string, key []byte, envelope any, source AgentRef, signer Key) ([]Header, error) {
	text, err := Encode(envelope)
	if err != nil {
		return nil, err
	}
	signed := Signed(platform, topic, key, text)
	id, kind, schema, sentAt := SHA256(signed), "", "", int64(0)
	path := "/agents/" + source.Agent + "/" + source.Version
	switch record := envelope.(type) {
	case Handoff:
		id, kind, schema, sentAt = record.ID, record.Type, dataschema(record.Contract), record.SentAt
	case Result:
		id, kind, schema, sentAt = record.ID, record.Type, dataschema(record.Contract), record.SentAt
	case Progress:
		id, kind = record.ID, record.Type
	case Usage:
		id, kind = record.ID, record.Type
	case Heartbeat:
		kind, path = record.Type, "/seamwork"
	default:
		return nil, fmt.Errorf("an agent does not write %T", envelope)
	}
	headers := []Header{
		{"content-type", []byte("application/json")},
		{"ce_specversion", []byte("1.0")},
		{"ce_id", []byte(id)},
		{"ce_source", []byte(path)},
		{"ce_type", []byte("dev.seamwork." + kind + ".v1")},
		{"ce_subject", key},
	}
	if schema != "" {
		at := time.UnixMilli(sentAt).UTC().Format("2006-01-02T15:04:05.000Z")
		headers = append(headers, Header{"ce_dataschema", []byte(schema)}, Header{"ce_time", []byte(at)})
	}
	signature := base64.StdEncoding.EncodeToString(ed25519.Sign(signer.Private, signed))
	return append(headers, Header{"sw_envelope", text}, Header{"sw_sig", []byte(signature)},
		Header{"sw_kid", []byte(signer.Kid)}), nil
}

func dataschema(contract ContractRef) string {
	return "seamwork:contract/" + contract.Name + "/" + contract.Version
}

// Reader believes what the router has signed for one version of one agent, and nothing else.
type Reader struct {
	Platform   string
	Self       AgentRef
	RouterKeys map[string]ed25519.PublicKey
}

// Job is work that may be done: the stamp, and the crossing it was made for.
type Job struct {
	Work     Work
	Crossing Handoff
	Payload  []byte
	Stamp    CarriedStamp
	Trace    []byte // the W3C trace context that came along; what is written for the job carries it on
}

// Reply is the answer to something handed on, with its payload.
type Reply struct {
	Answer  Answer
	Payload []byte
}

var (
	// ErrForAnother is a record for another version of this agent; it is passed over and no cause for worry.
	ErrForAnother = errors.New("the record is for another version")
	// ErrUnknownType is a record of a kind that this agent does not know; it is passed over too.
	ErrUnknownType = errors.New("the record is of an unknown type")
)

// Read returns a *Job, a *Reply or a *Notice, or says why the record may not be believed.
func (r Reader) Read(key, value []byte, headers []Header) (any, error) {
	found := map[string][]byte{}
	for _, header := range headers {
		if _, twice := found[header.Name]; twice {
			return nil, fmt.Errorf("the header %s stands twice", header.Name)
		}
		found[header.Name] = header.Value
	}
	envelope := found["sw_envelope"]
	public, known := r.RouterKeys[string(found["sw_kid"])]
	if !known {
		return nil, errors.New("sw_kid names no key of the router")
	}
	signature, err := base64.StdEncoding.DecodeString(string(found["sw_sig"]))
	signed := Signed(r.Platform, Inbox(r.Self.Agent), key, envelope)
	if err != nil || !ed25519.Verify(public, signed, signature) {
		return nil, errors.New("sw_sig is not the router's signature over this record")
	}
	var head struct {
		Type    string `json:"type"`
		Task    string `json:"task"`
		Agent   string `json:"agent"`
		Version string `json:"version"`
	}
	if err := decode(envelope, &head); err != nil {
		return nil, fmt.Errorf("the envelope cannot be read: %w", err)
	}
	switch head.Type {
	case "work", "answer", "notice":
	default:
		return nil, ErrUnknownType
	}
	if head.Agent != r.Self.Agent || head.Task != string(key) {
		return nil, errors.New("the envelope names another agent or another task")
	}
	if head.Version != r.Self.Version {
		return nil, ErrForAnother
	}
	switch head.Type {
	case "work":
		return r.job(key, value, found)
	case "answer":
		return r.reply(key, value, found)
	default:
		var notice Notice
		return &notice, decode(envelope, &notice)
	}
}

func (r Reader) job(key, value []byte, found map[string][]byte) (*Job, error) {
	job := &Job{Payload: value, Trace: found["traceparent"], Stamp: CarriedStamp{
		Envelope: string(found["sw_envelope"]), Kid: string(found["sw_kid"]), Sig: string(found["sw_sig"]),
	}}
	if err := decode(found["sw_envelope"], &job.Work); err != nil {
		return nil, fmt.Errorf("the stamp cannot be read: %w", err)
	}
	if job.Work.Platform != r.Platform {
		return nil, errors.New("the stamp is of another platform")
	}
	if err := r.crossing(key, value, found["sw_crossing"], job.Work.Digest, job.Work.Delivered, &job.Crossing); err != nil {
		return nil, err
	}
	if job.Crossing.ID != job.Work.Crossing || job.Crossing.IntentSHA256 != job.Work.IntentSHA256 {
		return nil, errors.New("the crossing is not the one that the stamp was made for")
	}
	if SHA256([]byte(job.Crossing.Intent)) != job.Work.IntentSHA256 {
		return nil, errors.New("the intent is not the one that the stamp names")
	}
	if list := job.Work.ChildrenSHA256; list != "" && SHA256(found["sw_children"]) != list {
		return nil, errors.New("sw_children is not the list that the stamp names")
	}
	return job, nil
}

func (r Reader) reply(key, value []byte, found map[string][]byte) (*Reply, error) {
	reply := &Reply{Payload: value}
	if err := decode(found["sw_envelope"], &reply.Answer); err != nil {
		return nil, fmt.Errorf("the answer cannot be read: %w", err)
	}
	var result Result
	return reply, r.crossing(key, value, found["sw_crossing"], reply.Answer.Digest, reply.Answer.Delivered, &result)
}

// crossing reads what travels beside a router's record and proves that it is what the router speaks of. The payload is
// the one that was sent, or what the router says is left of it.
func (r Reader) crossing(
	key, value, envelope []byte, digest string, delivered *Delivered, target any,
) error {
	if SHA256(Signed(r.Platform, Handoffs, key, envelope)) != digest {
		return errors.New("sw_crossing is not the record that digest names")
	}
	var head Head
	if err := decode(envelope, &head); err != nil {
		return fmt.Errorf("sw_crossing cannot be read: %w", err)
	}
	if delivered != nil && delivered.SentSHA256 != head.PayloadSHA256 {
		return errors.New("delivered speaks of another payload than sw_crossing")
	}
	length, sum := head.PayloadBytes, head.PayloadSHA256
	if delivered != nil && len(delivered.Projection) > 0 {
		length, sum = delivered.Bytes, delivered.SHA256
	}
	if length != len(value) || sum != SHA256(value) {
		return errors.New("the payload is not the one that is delivered")
	}
	return decode(envelope, target)
}
