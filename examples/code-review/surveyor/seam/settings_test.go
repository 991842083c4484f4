package seam

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	seed    = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	example = `
[agent]
name = "surveyor"
platform = "01936f2e-0000-7000-8000-000000000001"
prefix = "seamwork"
kid = "agent-surveyor-1"
key_file = "KEYS/agent-surveyor-1.key"
[kafka]
bootstrap = "127.0.0.1:9092"
username = "seamwork-agent-surveyor"
SECRET
ca_file = "ca.crt"
[router_keys]
router-1 = "` + seed + `"
`
)

func TestTheSettingsOfTheWireGuideAreRead(t *testing.T) {
	folder := t.TempDir()
	agents := filepath.Join(folder, "agents")
	keys := filepath.Join(folder, "keys")
	write(t, filepath.Join(keys, "agent-surveyor-1.key"), seed+"\n")
	write(t, filepath.Join(agents, "secret"), "word\n")
	for name, replaced := range map[string]*strings.Replacer{
		"the password itself":       strings.NewReplacer("KEYS", "../keys", "SECRET", `password = "word"`),
		"its file":                  strings.NewReplacer("KEYS", "../keys", "SECRET", `password_file = "secret"`),
		"files by their whole path": strings.NewReplacer("KEYS", keys, "SECRET", `password_file = "`+agents+`/secret"`),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(agents, "surveyor.toml")
			write(t, path, replaced.Replace(example))
			settings, err := Load(path)
			if err != nil {
				t.Fatal(err)
			}
			kafka := settings.Kafka
			if kafka.Password != "word" || kafka.CAFile != filepath.Join(agents, "ca.crt") {
				t.Errorf("want the password and the certificate beside the file, got %q, %q", kafka.Password, kafka.CAFile)
			}
			if kafka.Protocol != "SASL_PLAINTEXT" || kafka.Mechanism != "SCRAM-SHA-512" {
				t.Errorf("want what the SDK takes where nothing is said, got %q, %q", kafka.Protocol, kafka.Mechanism)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
