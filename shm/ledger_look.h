// LedgerLook: the producers that a partition knows, read from its ledger's file without mapping or
// locking it.
//
//   for (const KnownProducer& one : *look_at_ledger(folder, snapshot.header)) ...
//
// What is being entered meanwhile may be half there: a record's numbers may be of two messages in a
// row. Nothing of it is believed further than to be shown.
#pragma once

#include <string>
#include <vector>

#include "ledger.h"

namespace loopline::shm {

// Those with an identity, by id; none where no ledger was ever needed. Faults: corrupted,
// version_mismatch, those of opening.
Result<std::vector<KnownProducer>> look_at_ledger(const std::string& folder,
                                                  const RingHeader& ring);

}  // namespace loopline::shm
