// LedgerLook: the header, then all records of producers in one read.
#include "ledger_look.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "file.h"

namespace loopline::shm {
namespace {

// As they lie in the file.
struct PlainProducer {
  uint64_t id, last, epoch, sequence, end_position, time_ns, pid, unused;
};
static_assert(sizeof(PlainProducer) == sizeof(ProducerRecord));

Status read_all(const File& file, void* into, size_t size, uint64_t offset,
                const std::string& name) {
  const ssize_t got = ::pread(file.fd(), into, size, static_cast<off_t>(offset));
  if (got == static_cast<ssize_t>(size)) return ok();
  if (got < 0) return fault_from_errno(errno, "cannot read ledger " + name);
  return Fault(FaultCode::corrupted, "ledger " + name + " was cut short");
}

}  // namespace

Result<std::vector<KnownProducer>> look_at_ledger(const std::string& folder,
                                                  const RingHeader& ring) {
  const std::string path = Ledger::path_of(folder, ring);
  std::vector<KnownProducer> known;
  const auto file = open_file("ledger", path, false);
  if (!file && file.fault().code() == FaultCode::not_found) return known;
  if (!file) return file.fault();
  LedgerHeader header;
  LL_TRY_STATUS(read_all(*file, &header, sizeof header, 0, path));
  if (header.magic == ledger_magic && header.version != ledger_version) {
    return Fault(FaultCode::version_mismatch,
                 "ledger " + path + " has layout version " + std::to_string(header.version) +
                     ", this program speaks " + std::to_string(ledger_version));
  }
  const bool is_its = header.magic == ledger_magic &&
                      std::equal(ring.lineage, ring.lineage + 2, header.lineage) &&
                      header.producer_entries == ledger_producers;
  if (!is_its) return Fault(FaultCode::corrupted, path + " is no ledger of its station");
  std::vector<PlainProducer> records(ledger_producers);
  LL_TRY_STATUS(read_all(*file, records.data(), records.size() * sizeof(PlainProducer),
                         ledger_producers_offset, path));
  for (const PlainProducer& one : records) {
    if (one.id == 0) continue;
    known.push_back({one.id,
                     one.last,
                     static_cast<uint32_t>(one.epoch),
                     {one.sequence, one.end_position},
                     one.time_ns,
                     static_cast<uint32_t>(one.pid)});
  }
  std::sort(known.begin(), known.end(), [](const KnownProducer& left, const KnownProducer& right) {
    return left.id < right.id;
  });
  return known;
}

}  // namespace loopline::shm
