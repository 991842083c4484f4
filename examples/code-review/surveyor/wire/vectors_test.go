package wire

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// The vectors of contracts/wire: an implementation that reproduces them is right.
type vectors struct {
	Keys map[string]struct {
		Public []byte `json:"public"`
		Seed   []byte `json:"seed"`
	} `json:"keys"`
	Partitions []struct {
		Key  string `json:"key"`
		Of4  int    `json:"of_4"`
		Of12 int    `json:"of_12"`
	} `json:"partitions"`
	IDs []struct {
		Make string `json:"make"`
		From []any  `json:"from"`
		Is   string `json:"is"`
	} `json:"ids"`
	Counters []struct {
		Counter string `json:"counter"`
		Payload string `json:"payload"`
		Is      int    `json:"is"`
	} `json:"counters"`
	Records []record `json:"records"`
}

type record struct {
	Name     string          `json:"name"`
	Platform string          `json:"platform"`
	Topic    string          `json:"topic"`
	Key      string          `json:"key"`
	Signer   string          `json:"signer"`
	Headers  [][2]string     `json:"headers"`
	Body     string          `json:"body"`
	Fields   json.RawMessage `json:"fields"`
	Digest   string          `json:"digest"`
}

func load(t *testing.T) vectors {
	t.Helper()
	text, err := os.ReadFile("../../../../contracts/wire/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var read vectors
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

func (r record) header(name string) string {
	for _, header := range r.Headers {
		if header[0] == name {
			return header[1]
		}
	}
	return ""
}

func (r record) headers() []Header {
	var headers []Header
	for _, header := range r.Headers {
		headers = append(headers, Header{header[0], []byte(header[1])})
	}
	return headers
}

func (r record) reader(all vectors, agent string) Reader {
	return Reader{
		Platform: r.Platform, Self: AgentRef{agent, "1.0.0"},
		RouterKeys: map[string]ed25519.PublicKey{"router-1": all.Keys["router-1"].Public},
	}
}

func named(t *testing.T, all vectors, name string) record {
	t.Helper()
	for _, one := range all.Records {
		if strings.HasPrefix(one.Name, name) {
			return one
		}
	}
	t.Fatalf("there is no vector %q", name)
	return record{}
}

func TestKeysLandWhereJavaPutsThem(t *testing.T) {
	for _, vector := range load(t).Partitions {
		if got := Partition([]byte(vector.Key), 4); got != vector.Of4 {
			t.Errorf("want %d, got %d for %q of 4", vector.Of4, got, vector.Key)
		}
		if got := Partition([]byte(vector.Key), 12); got != vector.Of12 {
			t.Errorf("want %d, got %d for %q of 12", vector.Of12, got, vector.Key)
		}
	}
}

func TestIdsComeOutAsWritten(t *testing.T) {
	for _, vector := range load(t).IDs {
		text := func(i int) string { return vector.From[i].(string) }
		number := func(i int) int { return int(vector.From[i].(float64)) }
		got := ""
		switch vector.Make {
		case "uuid7":
			random, err := hex.DecodeString(text(1))
			if err != nil {
				t.Fatal(err)
			}
			got = UUID7(int64(number(0)), [10]byte(random))
		case "derived":
			got = Derived(text(0), vector.From[1:]...)
		case "child_id":
			got = ChildID(text(0), text(1), text(2), number(3))
		case "answer_id":
			got = AnswerID(text(0), number(1))
		case "accompaniment_id":
			got = AccompanimentID(text(0), text(1), number(2))
		case "plan_id":
			got = Derived("plan", vector.From...)
		case "dispatch_id":
			got = Derived("dispatch", vector.From...)
		case "request_id":
			got = Derived("approval", vector.From...)
		}
		if got != vector.Is {
			t.Errorf("want %s, got %s for %s", vector.Is, got, vector.Make)
		}
	}
}

// What an agent writes comes out byte for byte: envelope, attributes and signature.
func TestRecordsOfAgentsAreWrittenByteForByte(t *testing.T) {
	all := load(t)
	written := 0
	for _, vector := range all.Records {
		if vector.Signer != "agent-planner-1" || vector.Name == "a plan" {
			continue // this agent plans nothing
		}
		t.Run(vector.Name, func(t *testing.T) {
			source := AgentRef{"planner", "1.0.0"}
			if strings.Contains(vector.header("ce_source"), "operator") {
				source.Agent = "operator"
			}
			key := Key{vector.Signer, ed25519.NewKeyFromSeed(all.Keys[vector.Signer].Seed)}
			headers, err := Compose(
				vector.Platform, vector.Topic, []byte(vector.Key), envelopeOf(t, vector.Fields), source, key)
			if err != nil {
				t.Fatal(err)
			}
			if want := vector.headers(); !reflect.DeepEqual(want, headers) {
				t.Errorf("want %s\n got %s", want, headers)
			}
		})
		written++
	}
	if written != 8 {
		t.Errorf("want 8 vectors of records that agents write, got %d", written)
	}
}

func envelopeOf(t *testing.T, fields json.RawMessage) any {
	t.Helper()
	var head Head
	_ = json.Unmarshal(fields, &head)
	var envelope any
	switch head.Type {
	case "handoff":
		envelope = &Handoff{}
	case "result":
		envelope = &Result{}
	case "progress":
		envelope = &Progress{}
	case "usage":
		envelope = &Usage{}
	case "heartbeat":
		envelope = &Heartbeat{}
	default:
		t.Fatalf("an agent does not write %s", head.Type)
	}
	strict := json.NewDecoder(bytes.NewReader(fields))
	strict.DisallowUnknownFields()
	if err := strict.Decode(envelope); err != nil {
		t.Fatal(err)
	}
	return reflect.ValueOf(envelope).Elem().Interface()
}

func TestSignaturesAndDigestsHold(t *testing.T) {
	all := load(t)
	for _, vector := range all.Records {
		signed := Signed(vector.Platform, vector.Topic, []byte(vector.Key), []byte(vector.header("sw_envelope")))
		if got := SHA256(signed); got != vector.Digest {
			t.Errorf("want digest %s, got %s of %s", vector.Digest, got, vector.Name)
		}
		if vector.Signer == "" {
			continue
		}
		sig, err := base64.StdEncoding.DecodeString(vector.header("sw_sig"))
		if err != nil || !ed25519.Verify(all.Keys[vector.Signer].Public, signed, sig) {
			t.Errorf("the signature of %s does not verify", vector.Name)
		}
	}
}

func TestTheInboxIsRead(t *testing.T) {
	all := load(t)
	work := named(t, all, "the work it becomes")
	got, err := work.reader(all, "planner").Read([]byte(work.Key), []byte(work.Body), work.headers())
	if job, ok := got.(*Job); err != nil || !ok || job.Work.Digest != job.digestOfCrossing(work) {
		t.Errorf("want the work, got %v, %v", got, err)
	}
	answer := named(t, all, "an answer")
	got, err = answer.reader(all, "operator").Read([]byte(answer.Key), []byte(answer.Body), answer.headers())
	if reply, ok := got.(*Reply); err != nil || !ok || reply.Answer.Outcome != "partial" {
		t.Errorf("want the answer, got %v, %v", got, err)
	}
	notice := named(t, all, "a notice")
	got, err = notice.reader(all, "planner").Read([]byte(notice.Key), nil, notice.headers())
	if told, ok := got.(*Notice); err != nil || !ok || told.What != "refused" {
		t.Errorf("want the notice, got %v, %v", got, err)
	}
}

// What was cut out of a payload on the way is named by the stamp; what is left is what the stamp says.
func TestWorkWithoutAFieldIsReadAndAccepted(t *testing.T) {
	all := load(t)
	work := named(t, all, "work of which that field")
	read := func(body string) (*Job, error) {
		got, err := work.reader(all, "planner").Read([]byte(work.Key), []byte(body), work.headers())
		job, _ := got.(*Job)
		return job, err
	}
	job, err := read(work.Body)
	if err != nil {
		t.Fatal(err)
	}
	var accepted Progress
	if err := json.Unmarshal(named(t, all, "the acceptance").Fields, &accepted); err != nil {
		t.Fatal(err)
	}
	if got := Took(job.Payload, job.Work.Delivered); !reflect.DeepEqual(got, accepted.Took) {
		t.Errorf("want %+v, got %+v", accepted.Took, got)
	}
	if _, err := read(named(t, all, "a handoff with a field").Body); err == nil {
		t.Error("want an error for the payload that was sent")
	}
}

func TestContextIsCounted(t *testing.T) {
	for _, vector := range load(t).Counters {
		if got, known := Count(vector.Counter, []byte(vector.Payload)); !known || got != vector.Is {
			t.Errorf("want %d, got %d by %s", vector.Is, got, vector.Counter)
		}
	}
}

func (j *Job) digestOfCrossing(r record) string {
	return SHA256(Signed(r.Platform, Handoffs, []byte(r.Key), []byte(r.header("sw_crossing"))))
}

// Whatever is changed about work that the router has signed, it is not believed any more.
func TestNothingElseIsBelieved(t *testing.T) {
	all := load(t)
	work := named(t, all, "the work it becomes")
	change := func(name string, to func(string) string) []Header {
		headers := work.headers()
		for i, header := range headers {
			if header.Name == name {
				headers[i].Value = []byte(to(string(header.Value)))
			}
		}
		return headers
	}
	other := func(string) string { return "other" }
	reader := work.reader(all, "planner")
	elsewhere, stranger := reader, reader
	elsewhere.Platform = "another"
	stranger.RouterKeys = map[string]ed25519.PublicKey{"router-1": all.Keys["person-ada-1"].Public}
	for name, try := range map[string]struct {
		reader  Reader
		key     string
		body    string
		headers []Header
	}{
		"another platform":   {elsewhere, work.Key, work.Body, work.headers()},
		"another router":     {stranger, work.Key, work.Body, work.headers()},
		"another agent":      {work.reader(all, "parser"), work.Key, work.Body, work.headers()},
		"another task":       {reader, "x", work.Body, work.headers()},
		"another payload":    {reader, work.Key, "{}", work.headers()},
		"another key":        {reader, work.Key, work.Body, change("sw_kid", other)},
		"no signature":       {reader, work.Key, work.Body, change("sw_sig", other)},
		"a changed envelope": {reader, work.Key, work.Body, change("sw_envelope", func(s string) string { return strings.Replace(s, "50000", "90000", 1) })},
		"a changed crossing": {reader, work.Key, work.Body, change("sw_crossing", func(s string) string { return strings.Replace(s, "50000", "90000", 1) })},
		"a header twice":     {reader, work.Key, work.Body, slices.Concat(work.headers(), work.headers()[:1])},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := try.reader.Read([]byte(try.key), []byte(try.body), try.headers); err == nil {
				t.Errorf("want an error, got %v", got)
			}
		})
	}
}

func TestWhatIsNotForThisVersionIsPassedOver(t *testing.T) {
	all := load(t)
	work := named(t, all, "the work it becomes")
	reader := work.reader(all, "planner")
	reader.Self.Version = "2.0.0"
	if _, err := reader.Read([]byte(work.Key), []byte(work.Body), work.headers()); err != ErrForAnother {
		t.Errorf("want %v, got %v", ErrForAnother, err)
	}
}

// A router of tomorrow may write kinds that this agent does not know; they are signed, and no reason to stop.
func TestARecordOfAnUnknownKindIsPassedOver(t *testing.T) {
	all := load(t)
	envelope := []byte(`{"type":"weather","task":"t"}`)
	reader := record{Platform: "p"}.reader(all, "planner")
	private := ed25519.NewKeyFromSeed(all.Keys["router-1"].Seed)
	sig := ed25519.Sign(private, Signed("p", Inbox("planner"), []byte("t"), envelope))
	_, err := reader.Read([]byte("t"), nil, []Header{
		{"sw_envelope", envelope}, {"sw_kid", []byte("router-1")},
		{"sw_sig", []byte(base64.StdEncoding.EncodeToString(sig))},
	})
	if err != ErrUnknownType {
		t.Errorf("want %v, got %v", ErrUnknownType, err)
	}
}

func TestJSONThatTwoReadersCouldReadDifferentlyIsRefused(t *testing.T) {
	for _, text := range []string{`{"task":"a","task":"b"}`, `{"a":{"b":1,"b":2}}`, `{} {}`, `{"a":"ü"}`, `{`, ``} {
		var into map[string]any
		if err := decode([]byte(text), &into); err == nil {
			t.Errorf("want an error for %s", text)
		}
	}
	got, err := Encode(map[string]string{"note": "ü — 🧾 <&>"})
	if want := `{"note":"\u00fc \u2014 \ud83e\uddfe <&>"}`; err != nil || string(got) != want {
		t.Errorf("want %s, got %s, %v", want, got, err)
	}
}
