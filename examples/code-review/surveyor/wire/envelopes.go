package wire

import "encoding/json"

// The envelopes that an agent reads and writes: contracts/wire/*.schema.json, with the fields in the order in which
// the platform writes them, so that the vectors come out byte for byte. A field is left out where it has its default.

type AgentRef struct {
	Agent   string `json:"agent"`
	Version string `json:"version"`
}

type ContractRef struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type Position struct {
	Partition int   `json:"partition"`
	Offset    int64 `json:"offset"`
}

type Constraint struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type Authority struct {
	Tools   []string `json:"tools,omitempty"`
	Data    []string `json:"data,omitempty"`
	Effects []string `json:"effects,omitempty"`
	Depth   int      `json:"depth,omitempty"`
}

// Target is an agent, perhaps with a range of versions, or a capability; never both.
type Target struct {
	Agent      string `json:"agent,omitempty"`
	Versions   string `json:"versions,omitempty"`
	Capability string `json:"capability,omitempty"`
}

// CarriedStamp is the stamp under which an agent acts, exactly as it came.
type CarriedStamp struct {
	Envelope string `json:"envelope"`
	Kid      string `json:"kid"`
	Sig      string `json:"sig"`
}

// Spent is what a dispatch has used so far. A null is "unknown", which is not nothing.
type Spent struct {
	MicroUSD     *int64 `json:"micro_usd,omitempty"`
	InputTokens  *int64 `json:"input_tokens,omitempty"`
	OutputTokens *int64 `json:"output_tokens,omitempty"`
	Requests     *int64 `json:"requests,omitempty"`
}

// Delivered is what the receiver gets of a payload, where that is not simply all that was sent, or where it is counted.
type Delivered struct {
	SHA256     string   `json:"sha256"`
	Bytes      int      `json:"bytes"`
	SentSHA256 string   `json:"sent_sha256"`
	Projection []string `json:"projection,omitempty"`
	Counter    string   `json:"counter,omitempty"`
	Tokens     *int     `json:"tokens,omitempty"`
}

// TakenIn is what a receiver worked with.
type TakenIn struct {
	SHA256 string `json:"sha256"`
	Bytes  int    `json:"bytes"`
	Tokens *int   `json:"tokens,omitempty"`
}

type StepState struct {
	Name  string `json:"name"`
	State string `json:"state"`
	By    string `json:"by,omitempty"`
}

type ToolOutput struct {
	Tool      string          `json:"tool"`
	Call      string          `json:"call"`
	MediaType string          `json:"media_type,omitempty"`
	Value     json.RawMessage `json:"value,omitempty"`
}

// Head is what every record that an agent writes for a task begins with.
type Head struct {
	Type          string        `json:"type"`
	ID            string        `json:"id"`
	Task          string        `json:"task"`
	Source        AgentRef      `json:"source"`
	Intent        string        `json:"intent"`
	IntentSHA256  string        `json:"intent_sha256"`
	PayloadSHA256 string        `json:"payload_sha256"`
	PayloadBytes  int           `json:"payload_bytes"`
	SentAt        int64         `json:"sent_at"`
	ExpiresAt     int64         `json:"expires_at"`
	Stamp         *CarriedStamp `json:"stamp,omitempty"`
	Model         string        `json:"model,omitempty"`
	PromptSHA256  string        `json:"prompt_sha256,omitempty"`
}

type Handoff struct {
	Head
	Mode            string       `json:"mode,omitempty"`
	Parent          string       `json:"parent,omitempty"`
	Step            string       `json:"step"`
	Ordinal         int          `json:"ordinal,omitempty"`
	Contract        ContractRef  `json:"contract"`
	Target          Target       `json:"target"`
	Steps           []StepState  `json:"steps,omitempty"`
	ToolOutputs     []ToolOutput `json:"tool_outputs,omitempty"`
	Constraints     []Constraint `json:"constraints,omitempty"`
	Authority       *Authority   `json:"authority,omitempty"`
	CeilingMicroUSD int64        `json:"ceiling_micro_usd,omitempty"`
	FallbackOwner   string       `json:"fallback_owner,omitempty"`
	DeadlineAt      int64        `json:"deadline_at"`
	Spent           *Spent       `json:"spent,omitempty"`
}

type Result struct {
	Head
	Parent      string       `json:"parent"`
	Dispatch    string       `json:"dispatch"`
	Contract    ContractRef  `json:"contract"`
	Outcome     string       `json:"outcome"`
	Ordinal     int          `json:"ordinal,omitempty"`
	Steps       []StepState  `json:"steps,omitempty"`
	ToolOutputs []ToolOutput `json:"tool_outputs,omitempty"`
	Constraints []Constraint `json:"constraints,omitempty"`
	Spent       *Spent       `json:"spent,omitempty"`
	Took        *TakenIn     `json:"took,omitempty"`
}

type Progress struct {
	Head
	Dispatch     string   `json:"dispatch"`
	Ordinal      int      `json:"ordinal"`
	Note         string   `json:"note"`
	AcceptedWork bool     `json:"accepted_work,omitempty"`
	Took         *TakenIn `json:"took,omitempty"`
}

type Usage struct {
	Head
	Dispatch string `json:"dispatch"`
	Ordinal  int    `json:"ordinal"`
	Spent    Spent  `json:"spent"`
}

type Heartbeat struct {
	Type       string `json:"type"`
	Instance   string `json:"instance"`
	Name       string `json:"name"`
	Kind       string `json:"kind"`
	Version    string `json:"version"`
	State      string `json:"state"`
	SentAt     int64  `json:"sent_at"`
	EveryMs    int64  `json:"every_ms"`
	InFlight   int    `json:"in_flight,omitempty"`
	Partitions []int  `json:"partitions,omitempty"`
}

// Work is the stamp: what the receiver may do, for which crossing, until when.
type Work struct {
	Type            string            `json:"type"`
	Platform        string            `json:"platform"`
	Task            string            `json:"task"`
	Crossing        string            `json:"crossing"`
	Position        Position          `json:"position"`
	Digest          string            `json:"digest"`
	Dispatch        string            `json:"dispatch"`
	Attempt         int               `json:"attempt"`
	Mode            string            `json:"mode"`
	Agent           string            `json:"agent"`
	Version         string            `json:"version"`
	Contract        ContractRef       `json:"contract"`
	ReturnContracts []ContractRef     `json:"return_contracts,omitempty"`
	Authority       Authority         `json:"authority"`
	Constraints     []Constraint      `json:"constraints,omitempty"`
	CeilingMicroUSD int64             `json:"ceiling_micro_usd"`
	IssuedAt        int64             `json:"issued_at"`
	NotAfter        int64             `json:"not_after"`
	IntentSHA256    string            `json:"intent_sha256"`
	Parent          string            `json:"parent,omitempty"`
	Initiator       AgentRef          `json:"initiator"`
	Lineage         []string          `json:"lineage"`
	Tenant          string            `json:"tenant,omitempty"`
	Team            string            `json:"team,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
	Budgets         []string          `json:"budgets,omitempty"`
	ChildrenSHA256  string            `json:"children_sha256,omitempty"`
	Delivered       *Delivered        `json:"delivered,omitempty"`
}

// Answer is a result on its way to whoever waits for it.
type Answer struct {
	Type     string      `json:"type"`
	Task     string      `json:"task"`
	Agent    string      `json:"agent"`
	Version  string      `json:"version"`
	Dispatch string      `json:"dispatch,omitempty"`
	Child    string      `json:"child"`
	Step     string      `json:"step"`
	Ordinal  int         `json:"ordinal"`
	Result   string      `json:"result"`
	Position Position    `json:"position"`
	Digest   string      `json:"digest"`
	Outcome  string      `json:"outcome"`
	Contract ContractRef `json:"contract"`
	IssuedAt int64       `json:"issued_at"`

	Delivered *Delivered `json:"delivered,omitempty"`
}

// Notice is word of what became of something that the agent sent or holds.
type Notice struct {
	Type            string          `json:"type"`
	ID              string          `json:"id"`
	Task            string          `json:"task"`
	Agent           string          `json:"agent"`
	Version         string          `json:"version"`
	What            string          `json:"what"`
	About           string          `json:"about"`
	Dispatch        string          `json:"dispatch,omitempty"`
	Step            string          `json:"step,omitempty"`
	Ordinal         *int            `json:"ordinal,omitempty"`
	Gate            string          `json:"gate,omitempty"`
	Rule            string          `json:"rule,omitempty"`
	Reason          string          `json:"reason,omitempty"`
	Consulted       json.RawMessage `json:"consulted,omitempty"`
	CorrectionsLeft int             `json:"corrections_left,omitempty"`
	Revision        json.RawMessage `json:"revision,omitempty"`
	IssuedAt        int64           `json:"issued_at"`
}
