// A log's files one by one: their names, the manifest, a segment, and the disk they really lie on.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "io/log/manifest.h"
#include "io/log/paths.h"
#include "io/log/posix_disk.h"
#include "log_fixture.h"
#include "tests/support/must.h"
#include "tests/support/temp_instance.h"

namespace loopline::io {
namespace {

using test::code_of;
using test::fault_of;
using test::must;

// ---- names ------------------------------------------------------------------

TEST(Paths, NamesAreReadAsTheyAreMade) {
  EXPECT_EQ(log_folder("/d", {"main", "orders"}, 3), "/d/stations/main@orders/3");
  EXPECT_EQ(segment_file_name({12, LogPlace{1056768, 4711}}), "12@1056768@4711.segment");
  const auto named = parse_segment_name("12@1056768@4711.segment");
  ASSERT_TRUE(named && named->start);
  EXPECT_EQ(named->number, 12u);
  EXPECT_EQ(*named->start, (LogPlace{1056768, 4711}));
  const auto begun = parse_segment_name("13.segment");
  ASSERT_TRUE(begun);
  EXPECT_FALSE(begun->start);
  EXPECT_EQ(spare_file_name(65536, 0x5be), "65536@5be.spare");
  EXPECT_EQ(parse_spare_name("65536@5be.spare"), 65536u);
  EXPECT_EQ(parse_station_folder("main@orders")->text(), "main/orders");
}

TEST(Paths, OtherNamesAreNobodys) {
  for (const char* name :
       {"", "segment", ".segment", "0.segment", "01.segment", "+1.segment", "1.segmen",
        "1.segment ", "1@.segment", "1@64.segment", "1@64@.segment", "1@64@1@.segment",
        "1@64@1@1.segment", "1@064@1.segment", "1@-64@1.segment", "1.segment.making",
        "99999999999999999999.segment", "1@99999999999999999999@1.segment"}) {
    EXPECT_FALSE(parse_segment_name(name)) << name;
  }
  for (const char* name : {"65536.spare", "65536@G.spare", "65536@05be.spare", "@.spare"}) {
    EXPECT_FALSE(parse_spare_name(name)) << name;
  }
  for (const char* name : {"orders", "@orders", "main@", "main@or@ders", "main@../x", "Main@x"}) {
    EXPECT_FALSE(parse_station_folder(name)) << name;
  }
}

// ---- the manifest -----------------------------------------------------------

class ManifestTest : public testing::Test {
 protected:
  ManifestTest() {
    must(disk_.make_folder("/log"));
    manifest_.epoch = 1;
    manifest_.segment_bytes = segment_bytes_min;
    manifest_.first_number = 1;
    manifest_.first = manifest_.durable = {64, 1};
    store(1);
  }
  void store(uint64_t number) {
    manifest_.last_number = number;
    must(store_manifest(disk_, "/log", manifest_));
  }
  void spoil(size_t block) {
    auto file = must(disk_.open("/log/manifest", DiskAccess::write));
    AlignedBytes bytes(block_size);
    must(file->write(block * block_size, bytes.span()));
  }
  uint64_t loaded() { return must(load_manifest(disk_, "/log")).manifest->last_number; }

  sim::SimDisk disk_;
  Manifest manifest_{};
};

TEST_F(ManifestTest, IsLoadedAsItWasStored) {
  EXPECT_EQ(loaded(), 1u);
  store(2);
  EXPECT_EQ(loaded(), 2u);
  EXPECT_FALSE(must(load_manifest(disk_, "/log")).is_damaged);
  EXPECT_EQ(code_of(load_manifest(disk_, "/other")), FaultCode::not_found);
}

TEST_F(ManifestTest, OneBlockIsEnough) {
  store(2);
  for (const size_t block : {0, 1}) {
    spoil(block);
    EXPECT_EQ(loaded(), 2u);
    EXPECT_TRUE(must(load_manifest(disk_, "/log")).is_damaged);
    store(2);
  }
  spoil(0);
  spoil(1);
  const auto none = must(load_manifest(disk_, "/log"));
  EXPECT_FALSE(none.manifest);
  EXPECT_EQ(none.why, "there is none");
}

TEST_F(ManifestTest, AFailedWriteLeavesTheOneBeforeOrTheNewOne) {
  for (const uint64_t step : {1, 2, 3, 4}) {
    const uint64_t first = disk_.operations();
    disk_.trouble = [&](const sim::Operation& operation) {
      return sim::Trouble{operation.count == first + step ? sim::Trouble::fail : sim::Trouble::none,
                          EIO};
    };
    manifest_.last_number = 10 + step;
    EXPECT_EQ(code_of(store_manifest(disk_, "/log", manifest_)), FaultCode::io_error);
    disk_.trouble = nullptr;
    EXPECT_EQ(loaded(), step == 1 ? 1 : 10 + step);
  }
}

// ---- a segment --------------------------------------------------------------

class SegmentTest : public LogFixture {
 protected:
  SegmentTest() {
    maker_.batch(3, 100).batch(1, 5000).batch(7, 900).batch(2, 10).seal();
    put();
  }
  std::vector<uint64_t> sequences() {
    sim::SimDisk disk(image_);
    SegmentReader segment = must(SegmentReader::open(disk, maker_.path(0)));
    BatchScan scan(segment, batches_offset, BatchScan::beginning(segment.header()));
    std::vector<uint64_t> found;
    while (const auto batch = must(scan.next())) found.push_back(batch->record.start.sequence);
    why_ = scan.why();
    return found;
  }
  std::string why_;
};

TEST_F(SegmentTest, IsReadBatchByBatch) {
  EXPECT_EQ(sequences(), (std::vector<uint64_t>{1, 4, 5, 12}));
  EXPECT_EQ(why_, "there is none");
}

TEST_F(SegmentTest, EitherHeaderWillDo) {
  for (const uint64_t byte : {100, 4196}) {
    flip(0, byte);
    sim::SimDisk disk(image_);
    EXPECT_TRUE(must(SegmentReader::open(disk, maker_.path(0))).is_header_damaged());
    EXPECT_EQ(sequences().size(), 4u);
    flip(0, byte);
  }
  flip(0, 100);
  flip(0, 4196);
  sim::SimDisk disk(image_);
  const Fault fault = fault_of(SegmentReader::open(disk, maker_.path(0)));
  EXPECT_EQ(fault.code(), FaultCode::corrupted);
  EXPECT_NE(fault.message().find("its checksum is wrong"), std::string::npos) << fault.message();
}

TEST_F(SegmentTest, OfAnotherVersionIsNoDamage) {
  maker_.change_header(0, [](SegmentHeader& header) { header.version = 2; });
  put();
  sim::SimDisk disk(image_);
  const Fault fault = fault_of(SegmentReader::open(disk, maker_.path(0)));
  EXPECT_EQ(fault.code(), FaultCode::version_mismatch);
  EXPECT_NE(fault.message().find("version 2"), std::string::npos) << fault.message();
}

TEST_F(SegmentTest, AScanStopsAtDamageAndLeapsOverIt) {
  flip_frames(1);
  EXPECT_EQ(sequences(), std::vector<uint64_t>{1});
  EXPECT_EQ(why_, "the checksum of its frames is wrong");
  sim::SimDisk disk(image_);
  SegmentReader segment = must(SegmentReader::open(disk, maker_.path(0)));
  BatchScan scan(segment, batches_offset, BatchScan::beginning(segment.header()));
  ASSERT_TRUE(must(scan.next()));
  LogPlace durable;
  EXPECT_TRUE(must(scan.leap(scan.expected().at.position + 1, durable)));
  EXPECT_EQ(scan.expected().at.sequence, 5u);
  EXPECT_EQ(durable, maker_.batches()[2].end);  // the last batch was issued behind it
  EXPECT_TRUE(must(scan.next()));
}

TEST_F(SegmentTest, CutShortHasFewerBatchesAndNoIndex) {
  image_.cut(maker_.path(0), maker_.batches()[2].offset + 100);
  EXPECT_EQ(sequences(), (std::vector<uint64_t>{1, 4}));
  sim::SimDisk disk(image_);
  SegmentReader segment = must(SegmentReader::open(disk, maker_.path(0)));
  std::string why;
  EXPECT_FALSE(must(segment.read_index(why)));
  EXPECT_EQ(why, "it is too short");
}

// ---- the real disk ----------------------------------------------------------

class PosixDiskTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
  std::unique_ptr<DiskFile> make(const std::string& name, uint64_t bytes) const {
    auto file = must(posix_disk().open(path(name), DiskAccess::create));
    must(file->allocate(bytes));
    return file;
  }
  test::TempFolder folder_;
};

TEST_F(PosixDiskTest, ReadsWhatWasWrittenUpToTheEnd) {
  const auto file = make("a", 2 * block_size);
  AlignedBytes bytes(block_size);
  bytes.data()[17] = std::byte{42};
  must(file->write(block_size, bytes.span()));
  must(file->sync());
  const auto again = must(posix_disk().open(path("a"), DiskAccess::read));
  AlignedBytes into(4 * block_size);
  EXPECT_EQ(must(again->read(0, into.span())), 2 * block_size);
  EXPECT_EQ(into.data()[block_size + 17], std::byte{42});
  EXPECT_EQ(must(again->read(2 * block_size, into.span())), 0u);
  ASSERT_EQ(::truncate(path("a").c_str(), 5000), 0);
  EXPECT_EQ(must(again->read(0, into.span())), 5000u);
  EXPECT_EQ(must(again->size()), 5000u);
}

TEST_F(PosixDiskTest, MakesAFileOnceAndNamesWhatIsMissing) {
  make("a", block_size);
  EXPECT_EQ(code_of(posix_disk().open(path("a"), DiskAccess::create)), FaultCode::already_exists);
  const Fault missing = fault_of(posix_disk().open(path("b"), DiskAccess::read));
  EXPECT_EQ(missing.code(), FaultCode::not_found);
  EXPECT_NE(missing.message().find(path("b")), std::string::npos);
  EXPECT_EQ(posix_disk().remove(path("b")).fault().code(), FaultCode::not_found);
  EXPECT_EQ(posix_disk().rename(path("b"), path("c")).fault().code(), FaultCode::not_found);
}

// Neither is followed, believed or waited for.
TEST_F(PosixDiskTest, OpensRegularFilesOnly) {
  make("a", block_size);
  ASSERT_EQ(::symlink(path("a").c_str(), path("link").c_str()), 0);
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  must(posix_disk().make_folder(path("folder")));
  for (const char* name : {"link", "fifo", "folder"}) {
    EXPECT_FALSE(posix_disk().open(path(name), DiskAccess::read)) << name;
    EXPECT_FALSE(posix_disk().open(path(name), DiskAccess::write)) << name;
  }
}

TEST_F(PosixDiskTest, MakesFoldersWithAllAboveThemAndListsThem) {
  must(posix_disk().make_folder(path("x/y/z")));
  must(posix_disk().make_folder(path("x/y/z")));
  make("x/y/b", block_size);
  EXPECT_EQ(must(posix_disk().list(path("x/y"))), (std::vector<std::string>{"b", "z"}));
  must(posix_disk().sync_folder(path("x/y")));
  EXPECT_FALSE(posix_disk().remove_folder(path("x/y")));
  must(posix_disk().remove_folder(path("x/y/z")));
  EXPECT_EQ(code_of(posix_disk().list(path("none"))), FaultCode::not_found);
  EXPECT_GT(must(posix_disk().free_bytes(path("x"))), 0u);
}

TEST_F(PosixDiskTest, ALockIsHeldByOne) {
  auto lock = must(posix_disk().lock(path("lock")));
  const Fault fault = fault_of(posix_disk().lock(path("lock")));
  EXPECT_EQ(fault.code(), FaultCode::already_exists);
  EXPECT_NE(fault.message().find(path("lock")), std::string::npos);
  lock.reset();
  EXPECT_TRUE(posix_disk().lock(path("lock")));
}

}  // namespace
}  // namespace loopline::io
