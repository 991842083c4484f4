package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf16"
)

// Encode writes an envelope: one JSON object in ASCII, without spaces.
func Encode(envelope any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(envelope); err != nil {
		return nil, err
	}
	return ascii(bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))), nil
}

// ascii escapes what lies beyond ASCII. In JSON that stands only within strings, so it may be done afterwards.
func ascii(text []byte) []byte {
	plain := make([]byte, 0, len(text))
	for _, char := range string(text) {
		switch {
		case char < 0x80:
			plain = append(plain, byte(char))
		case char < 0x10000:
			plain = fmt.Appendf(plain, "\\u%04x", char)
		default:
			high, low := utf16.EncodeRune(char)
			plain = fmt.Appendf(plain, "\\u%04x\\u%04x", high, low)
		}
	}
	return plain
}

// decode reads one JSON object into target. Keys that stand twice are refused, because two readers could take a
// different one; unknown fields are passed over, because a later router may say more than this agent knows.
func decode(text []byte, target any) error {
	for _, char := range text {
		if char >= 0x80 {
			return errors.New("an envelope is ASCII")
		}
	}
	tokens := json.NewDecoder(bytes.NewReader(text))
	tokens.UseNumber()
	if err := noKeyTwice(tokens); err != nil {
		return err
	}
	if _, err := tokens.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one JSON value")
	}
	return json.Unmarshal(text, target)
}

func noKeyTwice(tokens *json.Decoder) error {
	token, err := tokens.Token()
	if err != nil {
		return err
	}
	delim, open := token.(json.Delim)
	if !open {
		return nil
	}
	seen := map[string]bool{}
	for tokens.More() {
		if delim == '{' {
			key, err := tokens.Token()
			if err != nil {
				return err
			}
			name := key.(string) // the decoder admits nothing else here
			if seen[name] {
				return fmt.Errorf("the key %q stands twice", name)
			}
			seen[name] = true
		}
		if err := noKeyTwice(tokens); err != nil {
			return err
		}
	}
	_, err = tokens.Token()
	return err
}
