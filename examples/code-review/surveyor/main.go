// The surveyor: an agent in Go, written against docs/guide/wire.md and contracts/wire alone.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"seamwork.example/surveyor/seam"
	"seamwork.example/surveyor/survey"
	"seamwork.example/surveyor/wire"
)

const version = "1.0.0"

var (
	goSurvey     = wire.ContractRef{Name: "go-survey", Version: "1.0.0"}
	moduleAdvice = wire.ContractRef{Name: "module-advice", Version: "1.0.0"}
)

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	if err := run(); err != nil {
		slog.Error("the surveyor stops", "error", err)
		os.Exit(1)
	}
}

func run() error {
	path := os.Getenv("SEAMWORK_AGENT_SETTINGS")
	if path == "" {
		return fmt.Errorf("SEAMWORK_AGENT_SETTINGS does not name the file that `seamwork agents add` wrote")
	}
	settings, err := seam.Load(path)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return seam.New(settings, version, map[wire.ContractRef]seam.Handler{goSurvey: work}).Run(ctx)
}

// work surveys one file and asks somebody who knows about the modules that it imports.
func work(ctx context.Context, task *seam.Task) (any, error) {
	if task.Refusal != nil {
		// The same source gives the same survey: a correction that says it again would be none.
		return nil, seam.TaskError{Kind: "Uncorrectable", Message: "the survey was refused: " + task.Refusal.Rule}
	}
	var file survey.File
	if err := json.Unmarshal(task.Payload, &file); err != nil {
		return nil, seam.TaskError{Kind: "PayloadError", Message: "the payload is not a file to be surveyed"}
	}
	found, err := survey.Of(file)
	if err != nil {
		return nil, seam.TaskError{Kind: "NotGo", Message: "the source is not Go that can be parsed"}
	}
	foreign := found.Foreign()
	if len(foreign) == 0 {
		return found, nil
	}
	reply, err := task.Delegate(ctx, seam.Order{
		Step: "advise", Contract: moduleAdvice, Target: wire.Target{Capability: "advise-modules"},
		Payload: map[string]any{"modules": foreign}, Ceiling: 100, Timeout: 30 * time.Second,
	})
	if err != nil {
		return nil, err
	}
	if reply.Answer.Outcome != "success" {
		return nil, seam.TaskError{Kind: "NoAdvice", Message: "the modules were not judged: " + reply.Answer.Outcome}
	}
	// Not in one statement with the return: Go does not say which of both operands is read first.
	if err := json.Unmarshal(reply.Payload, &found); err != nil {
		return nil, err
	}
	return found, nil
}
