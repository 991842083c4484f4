package wire

import (
	"bytes"
	"strings"
)

// Took says what was taken in of a payload, counted as the router's record wants it counted.
func Took(payload []byte, delivered *Delivered) *TakenIn {
	took := &TakenIn{SHA256: SHA256(payload), Bytes: len(payload)}
	if delivered != nil {
		if tokens, known := Count(delivered.Counter, payload); known {
			took.Tokens = &tokens
		}
	}
	return took
}

// Count says how much of a model's context a payload takes up, by the counter of that name.
func Count(counter string, payload []byte) (int, bool) {
	switch counter {
	case "quarter-of-bytes":
		return (len(payload) + 3) / 4, true
	case "bytes":
		return len(payload), true
	case "words":
		return len(bytes.FieldsFunc(payload, parts)), true
	default:
		return 0, false
	}
}

// parts are white space and the signs that JSON is made of.
func parts(char rune) bool {
	return strings.ContainsRune(" \t\n\r\f\v\"{}[],:", char)
}
