// LedgerLayout: what the file of a ledger looks like in shared memory, to the byte.
//
//   +--------------+---------------------+-----------------+---------------+-----------------+
//   | LedgerHeader | LedgerControl: lock | ProducerRecords | heads: a u64  | IdRecords: the  |
//   | one page     | flight, counts      |                 | an entry      | newest, in turn |
//   +--------------+---------------------+-----------------+---------------+-----------------+
//   0              4096                  8192
//
// The header never changes once the file has its name, and carries a hash of itself. All behind it
// is written under `lock` alone.
#pragma once

#include "layout.h"

namespace loopline::shm {

constexpr uint32_t ledger_version = 1;
constexpr uint64_t ledger_magic = 0x4744454c'504f4f4c;  // "LOOPLEDG" as bytes
constexpr uint32_t ledger_producers = 4096;             // identities that a ledger knows at most

struct LedgerHeader {
  uint64_t magic;
  uint32_t version;
  uint32_t header_bytes;
  uint64_t header_hash;  // XXH3 of this struct with this field zero
  uint64_t lineage[2];   // of the rings it belongs to
  uint64_t file_bytes;
  uint32_t id_entries;        // a power of two
  uint32_t producer_entries;  // ledger_producers
};
static_assert(sizeof(LedgerHeader) == 56 && sizeof(LedgerHeader) <= page_size);

enum FlightPart : uint64_t { flight_none = 0, flight_id = 1, flight_producer = 2 };

// The one message that is being published and not yet entered; see ledger.h.
struct alignas(line_pitch) FlightLine {
  Atomic<uint64_t> parts;  // FlightPart, written last; none: the rest says nothing
  Atomic<uint64_t> generation;
  Atomic<uint64_t> position;
  Atomic<uint64_t> end_position;
  Atomic<uint64_t> sequence;
  Atomic<uint64_t> time_ns;
  Atomic<uint64_t> id[2];
  Atomic<uint64_t> producer;
  Atomic<uint64_t> producer_sequence;
  Atomic<uint64_t> epoch;
};

struct LedgerControl {
  LockLine lock;
  FlightLine flight;
  alignas(line_pitch) Atomic<uint64_t> filled;  // 1: it knows what was published before it was made
  Atomic<uint64_t> id_count;                    // ids ever entered
  Atomic<uint64_t> newest_ns;                   // when the last was
};
static_assert(sizeof(FlightLine) == line_pitch && sizeof(LedgerControl) == 3 * line_pitch);
static_assert(sizeof(LedgerControl) <= page_size);

// The id that was entered as number n stands in record n mod entries.
struct IdRecord {
  Atomic<uint64_t> id[2];    // its hash
  Atomic<uint64_t> time_ns;  // when it was published; never before the one entered before
  Atomic<uint64_t> sequence;
  Atomic<uint64_t> end_position;
  Atomic<uint64_t> before;  // number of the one before it with the same head
};
static_assert(sizeof(IdRecord) == 48);

struct ProducerRecord {
  Atomic<uint64_t> id;    // 0: free
  Atomic<uint64_t> last;  // number that the producer gave its last message
  Atomic<uint64_t> epoch;
  Atomic<uint64_t> sequence;  // of that message in the partition
  Atomic<uint64_t> end_position;
  Atomic<uint64_t> time_ns;
  Atomic<uint64_t> pid;  // who took the id over last, for people
  Atomic<uint64_t> unused;
};
static_assert(sizeof(ProducerRecord) == 64);

constexpr uint64_t ledger_producers_offset = 2 * page_size;
constexpr uint64_t ledger_heads_offset =
    ledger_producers_offset + ledger_producers * sizeof(ProducerRecord);
constexpr uint64_t ledger_records_offset(uint32_t id_entries) {
  return ledger_heads_offset + uint64_t{id_entries} * sizeof(uint64_t);
}
constexpr uint64_t ledger_bytes(uint32_t id_entries) {
  return round_up(ledger_records_offset(id_entries) + uint64_t{id_entries} * sizeof(IdRecord),
                  page_size);
}

}  // namespace loopline::shm
