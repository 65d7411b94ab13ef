// Seal: how a ring ends, and how its handles find the next one.
//
// A seal is a claim of the frontier like any other, by owner `seal_owner`: it takes the next
// sequence, and no claim can come behind it. One unit of the window is kept in reserve for it, so
// that a full ring can be sealed. Steps, all under the ring lock, each one idempotent; whoever
// finds them unfinished takes the lock and goes on (`finish_seal`):
//
//   1 the successor's file exists, unborn         (a death here leaves an unborn file; it is
//   reused)
//   2 state: open -> successor's generation, or removed
//   3 claim the frontier: the seal frame at {P, s}
//   4 the successor is born: it starts at {P + 64, s + 1}; its gate holds that place
//   5 the seal frame is committed: readers that reach it go on in the successor
//
// The gate keeps a successor's window at its start for as long as its predecessor has gating
// cursors (so a slow lossless reader finds everything when it arrives); whoever it blocks checks,
// and lifts it. Late joiners of a ring look at `state` after they joined, and undo when it is not
// open [seal].
#pragma once

#include "claim.h"
#include "ring.h"

namespace loopline::shm {

// Steps 2, 3: for the holder of the ring lock. `target` counts only when nobody chose one before;
// the seal frame's claim is returned, not yet committed (or committed long ago: commit_seal knows).
// Its `bytes` are 0 when the ring is too damaged to be sealed.
Claim claim_seal(const Ring& ring, uint64_t target);
// Step 4, for the holder of the predecessor's lock.
void give_birth(const Ring& successor, Pair start);
// Step 5.
void commit_seal(const Ring& ring, const Claim& seal);

bool is_born(const Ring& ring);
// Whether step 5 is done: nothing is left to finish, and the successor may have ended too.
bool is_sealed(const Ring& ring);
uint64_t seal_state(const Ring& ring);

}  // namespace loopline::shm
