// Package wire is Seamwork's wire format as docs/guide/wire.md and contracts/wire describe it: ids, partitions,
// signatures, envelopes. It touches no network, so that the vectors can try all of it.
package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
)

// prefixed joins byte strings so that the parts can be told apart again: the pre-authentication encoding of DSSE,
// with as many parts as given.
func prefixed(parts ...[]byte) []byte {
	joined := []byte("DSSEv1")
	for _, part := range parts {
		joined = append(joined, ' ')
		joined = strconv.AppendInt(joined, int64(len(part)), 10)
		joined = append(joined, ' ')
		joined = append(joined, part...)
	}
	return joined
}

// SHA256 writes a digest as the wire does: 64 lower-case hexadecimal digits.
func SHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// UUID7 makes a free id from an instant and ten random bytes (RFC 9562, section 5.7).
func UUID7(unixMs int64, random [10]byte) string {
	var raw [16]byte
	for i := range 6 {
		raw[i] = byte(unixMs >> (8 * (5 - i)))
	}
	copy(raw[6:], random[:])
	return stamped(raw, 7)
}

// Derived makes the id that the same purpose and parts always yield: a UUIDv8 over their SHA-256. A number among
// the parts is written in decimal digits.
func Derived(purpose string, parts ...any) string {
	encoded := [][]byte{[]byte(purpose)}
	for _, part := range parts {
		encoded = append(encoded, []byte(fmt.Sprint(part)))
	}
	sum := sha256.Sum256(prefixed(encoded...))
	return stamped([16]byte(sum[:16]), 8)
}

// ChildID names the handoff that an agent makes below a crossing, for one step of its plan.
func ChildID(parentCrossing, agent, step string, ordinal int) string {
	return Derived("child", parentCrossing, agent, step, ordinal)
}

// AnswerID names the result that closes a dispatch; a correction takes the next ordinal.
func AnswerID(dispatch string, ordinal int) string {
	return Derived("answer", dispatch, ordinal)
}

// AccompanimentID names a progress or a usage of a dispatch.
func AccompanimentID(dispatch, kind string, ordinal int) string {
	return Derived(kind, dispatch, ordinal)
}

func stamped(raw [16]byte, version byte) string {
	raw[6] = raw[6]&0x0f | version<<4
	raw[8] = raw[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", raw[0:4], raw[4:6], raw[6:8], raw[8:10], raw[10:])
}
