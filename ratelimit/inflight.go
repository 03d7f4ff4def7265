package ratelimit

import (
	"hash/maphash"
	"sync"
)

// InFlight counts the requests under way, key by key, on this node. It holds keys only while
// they have any, so it needs no more memory than the requests that are under way at the
// same time. Its zero value is empty and ready; it is safe for concurrent use.
type InFlight struct {
	once   sync.Once
	seed   maphash.Seed
	shards [64]shard
}

type shard struct {
	mu    sync.Mutex
	count map[uint64]int64 // by keyed hash
}

// Enter counts a request of key, unless it has limit of them under way already. The Slot
// must be left when the request ends.
func (f *InFlight) Enter(key []byte, limit int64) (Slot, bool) {
	f.once.Do(func() { f.seed = maphash.MakeSeed() })
	h := maphash.Bytes(f.seed, key)
	s := &f.shards[h%uint64(len(f.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.count[h]
	if n >= limit {
		return Slot{}, false
	}
	if s.count == nil {
		s.count = make(map[uint64]int64)
	}
	s.count[h] = n + 1
	return Slot{s, h}, true
}

// Slot is a request that was counted. The zero value is none.
type Slot struct {
	shard *shard
	key   uint64
}

// Leave says that the request has ended. Calls after the first do nothing; of several
// copies only one may be left.
func (s *Slot) Leave() {
	sh := s.shard
	if sh == nil {
		return
	}
	s.shard = nil
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.count[s.key]--; sh.count[s.key] <= 0 {
		delete(sh.count, s.key)
	}
}
