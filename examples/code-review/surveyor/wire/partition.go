package wire

import "encoding/binary"

// Partition is where a key belongs: murmur2 with Java's seed, as Kafka's own default partitioner computes it.
func Partition(key []byte, partitions int) int {
	return int(murmur2(key)&0x7fffffff) % partitions
}

func murmur2(data []byte) uint32 {
	const m = 0x5bd1e995
	hash := uint32(0x9747b28c) ^ uint32(len(data))
	for len(data) >= 4 {
		k := binary.LittleEndian.Uint32(data)
		k *= m
		k ^= k >> 24
		k *= m
		hash = hash*m ^ k
		data = data[4:]
	}
	switch len(data) {
	case 3:
		hash ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		hash ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		hash = (hash ^ uint32(data[0])) * m
	}
	hash ^= hash >> 13
	hash *= m
	return hash ^ hash>>15
}
