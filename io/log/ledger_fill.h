// LedgerFill: what a new ledger of a file station must know, read from the log: the producers of
// all messages, and the ids within dedup-window.
//
// Rings and ledgers are memory: after a reboot the log alone tells what was published. All of it is
// read, once: a producer may have published its last message long ago.
#pragma once

#include <string>

#include "shm/directory.h"
#include "shm/ledger.h"

namespace loopline::io {

// For the holder of the ledger's lock. What cannot be read in the log is passed over, as readers
// do. Done again it begins anew. Faults: those of the disk; too_many (producers).
Status fill_ledger(const shm::Directory& directory, const std::string& data,
                   const shm::RingHeader& ring, shm::Ledger& ledger);

}  // namespace loopline::io
