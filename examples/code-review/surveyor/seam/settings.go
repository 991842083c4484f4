// Package seam is the agent's side of the bus: it reads one inbox, runs one function, and writes crossings.
package seam

import (
	"cmp"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"
)

// Settings is the file that `seamwork agents add` writes for an agent: where, as whom, with which key, whom to
// believe. It holds a password, so others may not be able to read it.
type Settings struct {
	Agent struct {
		Name     string `toml:"name"`
		Platform string `toml:"platform"`
		Prefix   string `toml:"prefix"`
		Kid      string `toml:"kid"`
		KeyFile  string `toml:"key_file"` // from the folder of this file
	} `toml:"agent"`
	Kafka struct {
		Bootstrap string `toml:"bootstrap"`
		Username  string `toml:"username"`
		Password  string `toml:"password"`
		Protocol  string `toml:"protocol"`
		Mechanism string `toml:"mechanism"`

		// Files are found from the folder of this one, too.
		PasswordFile string `toml:"password_file"`
		CAFile       string `toml:"ca_file"`
	} `toml:"kafka"`
	RouterKeys map[string]string `toml:"router_keys"`

	key     ed25519.PrivateKey
	routers map[string]ed25519.PublicKey
}

// Load reads a settings file and the key that it names.
func Load(path string) (*Settings, error) {
	text, err := private(path)
	if err != nil {
		return nil, err
	}
	var settings Settings
	read, err := toml.Decode(text, &settings)
	if err != nil {
		return nil, fmt.Errorf("%s is not TOML: %w", path, err)
	}
	if unknown := read.Undecoded(); len(unknown) > 0 {
		return nil, fmt.Errorf("%s: unknown setting %s", path, unknown[0])
	}
	for _, name := range [][]string{
		{"agent", "name"}, {"agent", "platform"}, {"agent", "prefix"}, {"agent", "kid"}, {"agent", "key_file"},
		{"kafka", "bootstrap"}, {"router_keys"},
	} {
		if !read.IsDefined(name...) {
			return nil, fmt.Errorf("%s: %s is missing; `seamwork agents add` writes it", path, strings.Join(name, "."))
		}
	}
	kafka := &settings.Kafka
	kafka.Protocol, kafka.Mechanism = cmp.Or(kafka.Protocol, "SASL_PLAINTEXT"), cmp.Or(kafka.Mechanism, "SCRAM-SHA-512")
	if kafka.PasswordFile != "" {
		password, err := private(from(path, kafka.PasswordFile))
		if err != nil {
			return nil, err
		}
		kafka.Password = strings.TrimSpace(password)
	}
	if kafka.CAFile != "" {
		kafka.CAFile = from(path, kafka.CAFile)
	}
	file := from(path, settings.Agent.KeyFile)
	line, err := private(file)
	if err != nil {
		return nil, err
	}
	seed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("%s is not a private key (32 bytes as base64)", file)
	}
	settings.key = ed25519.NewKeyFromSeed(seed)
	settings.routers = map[string]ed25519.PublicKey{}
	for kid, public := range settings.RouterKeys {
		raw, err := base64.StdEncoding.DecodeString(public)
		if err != nil || len(raw) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("%s: router_keys.%s is not a public key (32 bytes as base64)", path, kid)
		}
		settings.routers[kid] = raw
	}
	return &settings, nil
}

// from finds a file that a settings file names.
func from(path, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(path), name)
}

func private(path string) (string, error) {
	about, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if about.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s holds a secret and others can read it; run `chmod 600 %s`", path, path)
	}
	text, err := os.ReadFile(path)
	return string(text), err
}
