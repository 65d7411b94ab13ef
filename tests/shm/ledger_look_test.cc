// LedgerLook: the producers of a ledger told from its file alone, whatever its bytes are.
#include "shm/ledger_look.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "named_station.h"
#include "tests/support/must.h"
#include "tests/support/temp_instance.h"

namespace loopline::shm {
namespace {

using test::fault_of;

class LedgerLook : public testing::Test {
 protected:
  LedgerLook() {
    header_.lineage[0] = 7;
    header_.dedup_entries = 1024;
    std::snprintf(header_.factory, sizeof header_.factory, "main");
    std::snprintf(header_.station, sizeof header_.station, "orders");
  }
  std::shared_ptr<Ledger> make() const {
    return must(Ledger::open_or_create(folder_.path(), header_, 0600, {}));
  }
  Result<std::vector<KnownProducer>> look() const {
    return look_at_ledger(folder_.path(), header_);
  }
  void put(uint64_t offset, uint64_t word) const {
    const File file(::open(Ledger::path_of(folder_.path(), header_).c_str(), O_WRONLY | O_CLOEXEC));
    ASSERT_EQ(::pwrite(file.fd(), &word, sizeof word, static_cast<off_t>(offset)), 8);
  }

  test::TempFolder folder_;
  RingHeader header_{};
};

TEST_F(LedgerLook, FindsNobodyWhereThereIsNoLedger) { EXPECT_TRUE(must(look()).empty()); }

TEST_F(LedgerLook, TellsProducersAsTheLedgerDoesAndWithoutItsLock) {
  const auto ledger = make();
  EXPECT_TRUE(must(look()).empty());
  const LockGuard guard(ledger->mutex(), ledger->lock(~0ull));
  must(ledger->take_over(30, 4711, 5));
  must(ledger->take_over(30, 4712, 6));
  must(ledger->enter({{ProducerStamp{30, 9, 2}, std::nullopt}, 1, 64, {12, 640}, 77}));
  must(ledger->take_over(20, 1, 5));
  const auto known = must(look());
  ASSERT_EQ(known.size(), 2u);
  EXPECT_EQ(known[0].id, 20u);
  const KnownProducer its = *ledger->find_producer(30);
  EXPECT_EQ(known[1].id, 30u);
  EXPECT_EQ(known[1].epoch, 2u);
  EXPECT_EQ(known[1].last, its.last);
  EXPECT_EQ(known[1].place, its.place);
  EXPECT_EQ(known[1].time_ns, its.time_ns);
  EXPECT_EQ(known[1].pid, 4712u);
}

TEST_F(LedgerLook, RefusesWhatIsNone) {
  make();
  header_.lineage[1] = 1;
  EXPECT_EQ(fault_of(look()).code(), FaultCode::corrupted);
  header_.lineage[1] = 0;
  put(offsetof(LedgerHeader, version), ledger_version + 1);
  EXPECT_EQ(fault_of(look()).code(), FaultCode::version_mismatch);
  put(0, 0);
  EXPECT_EQ(fault_of(look()).code(), FaultCode::corrupted);
  ASSERT_EQ(::truncate(Ledger::path_of(folder_.path(), header_).c_str(), 20), 0);
  EXPECT_EQ(fault_of(look()).code(), FaultCode::corrupted);
}

TEST_F(LedgerLook, RefusesOneThatWasCutShortBehindItsHeader) {
  make();
  ASSERT_EQ(::truncate(Ledger::path_of(folder_.path(), header_).c_str(), 3 * page_size), 0);
  EXPECT_EQ(fault_of(look()).code(), FaultCode::corrupted);
}

}  // namespace
}  // namespace loopline::shm
