// Tests of the instance: where it is found, who may use it, and when it may go.
#include "shm/instance.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

#include "child.h"
#include "tests/support/must.h"
#include "tests/support/temp_instance.h"
#include "tests/support/wait_until.h"

namespace loopline::shm {
namespace {

using test::code_of;
using test::fault_of;
using test::must;

namespace fs = std::filesystem;

// Sets variables for one test and puts back what was there.
class Environment : public ::testing::Test {
 protected:
  Environment() {
    for (const char* name : {"LOOPLINE_DIR", "LOOPLINE_SHM", "XDG_RUNTIME_DIR"}) {
      const char* value = std::getenv(name);
      before_[name] = value == nullptr ? std::optional<std::string>() : value;
      ::unsetenv(name);
    }
  }
  ~Environment() override {
    for (const auto& [name, value] : before_) {
      if (value) ::setenv(name.c_str(), value->c_str(), 1);
      if (!value) ::unsetenv(name.c_str());
    }
  }
  static void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }
  test::TempFolder folder_;

 private:
  std::map<std::string, std::optional<std::string>> before_;
};

TEST_F(Environment, NamesTheInstanceUnlessAFolderIsGiven) {
  set("LOOPLINE_DIR", folder_.path() + "/a");
  EXPECT_EQ(must(find_instance()).folder, folder_.path() + "/a");
  EXPECT_EQ(must(find_instance(folder_.path() + "/b")).folder, folder_.path() + "/b");
}

TEST_F(Environment, FallsBackToTheRuntimeFolder) {
  if (::access("/run/loopline", F_OK) == 0) GTEST_SKIP() << "this machine has /run/loopline";
  set("LOOPLINE_DIR", "");  // empty is unset
  set("XDG_RUNTIME_DIR", folder_.path());
  EXPECT_EQ(must(find_instance()).folder, folder_.path() + "/loopline");
}

TEST_F(Environment, WithoutAnyInstanceSaysWhatToDo) {
  if (::access("/run/loopline", F_OK) == 0) GTEST_SKIP() << "this machine has /run/loopline";
  const Fault fault = fault_of(find_instance());
  EXPECT_EQ(fault.code(), FaultCode::not_found);
  EXPECT_NE(fault.message().find("LOOPLINE_DIR"), std::string::npos);
}

TEST_F(Environment, PutsSharedMemoryWhereItIsTold) {
  const std::string shm = must(find_instance(folder_.path() + "/my run")).shm;
  EXPECT_TRUE(shm.starts_with("/dev/shm/loopline/my_run-")) << shm;
  EXPECT_EQ(shm.size(), std::string("/dev/shm/loopline/my_run-").size() + 8);
  set("LOOPLINE_SHM", folder_.path() + "/huge");
  EXPECT_TRUE(must(find_instance(folder_.path())).shm.starts_with(folder_.path() + "/huge/"));
}

TEST_F(Environment, KnowsAFolderByItsRealPathAlone) {
  fs::create_directory(folder_.path() + "/real");
  fs::create_directory_symlink(folder_.path() + "/real", folder_.path() + "/link");
  const std::string shm = must(find_instance(folder_.path() + "/real")).shm;
  EXPECT_EQ(must(find_instance(folder_.path() + "/link")).shm, shm);
  EXPECT_EQ(must(find_instance(folder_.path() + "/real/")).shm, shm);
  EXPECT_EQ(must(find_instance(folder_.path() + "/x/../real")).shm, shm);
  fs::create_directories(folder_.path() + "/other/real");
  EXPECT_NE(must(find_instance(folder_.path() + "/other/real")).shm, shm);
}

class Instance : public ::testing::Test {
 protected:
  const InstancePaths& paths() const { return instance_.paths(); }
  static RingOptions ring(const std::string& station) {
    RingOptions options;
    options.station = station;
    options.capacity = ring_capacity_min;
    return options;
  }
  static mode_t mode_of(const std::string& path) {
    struct stat status;
    return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
  }
  test::TempInstance instance_;
};

TEST_F(Instance, IsMissingUntilSomebodyMakesIt) {
  EXPECT_EQ(code_of(Directory::open(paths())), FaultCode::not_found);
  EXPECT_TRUE(Directory::open_or_create(paths()));
  EXPECT_TRUE(Directory::open(paths()));
  const InstancePaths nowhere{paths().folder + "/none", paths().shm};
  EXPECT_EQ(code_of(Directory::open(nowhere)), FaultCode::not_found);
}

TEST_F(Instance, IsOpenInMemoryToTheSamePeopleAsItsFolder) {
  ASSERT_EQ(::chmod(paths().folder.c_str(), 0750), 0);
  must(Directory::open_or_create(paths()));
  EXPECT_EQ(mode_of(paths().shm), 02750u);
  ASSERT_EQ(::chmod(paths().folder.c_str(), 0770), 0);
  const Directory directory = must(Directory::open_or_create(paths()));
  EXPECT_EQ(mode_of(paths().shm), 02770u);
  must(directory.roster());
  EXPECT_EQ(mode_of(paths().shm + "/roster"), 0660u);
}

TEST_F(Instance, IsRefusedWhenAnotherUserTookItsPlaceInMemory) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may give a folder away";
  ASSERT_EQ(::chmod(paths().folder.c_str(), 0700), 0);
  must(Directory::open_or_create(paths()));
  ASSERT_EQ(::chown(paths().shm.c_str(), 65534, 65534), 0);
  EXPECT_EQ(code_of(Directory::open(paths())), FaultCode::no_permission);
  EXPECT_EQ(code_of(Directory::open_or_create(paths())), FaultCode::no_permission);
}

TEST_F(Instance, GoesWhenNothingIsLeft) {
  const Directory directory = must(Directory::open_or_create(paths()));
  must(must(directory.roster())->my_seat());  // ours does not count
  EXPECT_TRUE(remove_instance_shm(paths()));
  EXPECT_FALSE(fs::exists(paths().shm));
  EXPECT_TRUE(remove_instance_shm(paths()));
}

TEST_F(Instance, StaysWhileThereIsARingOrAStranger) {
  const Directory directory = must(Directory::open_or_create(paths()));
  must(directory.create(ring("orders")));
  EXPECT_FALSE(remove_instance_shm(paths()));
  fs::remove(directory.ring_path({"main", "orders"}, 0, 1));
  std::ofstream(paths().shm + "/notes") << "mine";
  EXPECT_FALSE(remove_instance_shm(paths()));
  fs::remove(paths().shm + "/notes");
  EXPECT_TRUE(remove_instance_shm(paths()));
}

TEST_F(Instance, StaysWhileAnotherProcessIsSeated) {
  const Directory directory = must(Directory::open_or_create(paths()));
  auto roster = must(directory.roster());
  Child child = Child::run([&](Child::Parent& parent) {
    must(roster->my_seat());
    parent.say();
    parent.wait_to_be_killed();
  });
  ASSERT_TRUE(child.listen());
  EXPECT_FALSE(remove_instance_shm(paths()));
  child.kill();
  EXPECT_TRUE(test::wait_until([&] { return remove_instance_shm(paths()); }));
}

TEST_F(Instance, ComesBackAfterItWasRemovedUnderADirectory) {
  const Directory directory = must(Directory::open_or_create(paths()));
  auto before = must(directory.roster());
  ASSERT_TRUE(remove_instance_shm(paths()));
  const Mapping mapping = must(directory.create(ring("orders")));
  auto after = must(directory.roster());
  EXPECT_NE(after->uuid()[0], before->uuid()[0]);
  EXPECT_EQ(mapping.header().roster_uuid[0], after->uuid()[0]);
}

// Whatever the order, a ring that was made names the roster that lies beside it.
TEST_F(Instance, IsNeverRemovedUnderARingThatIsBeingMade) {
  const Directory directory = must(Directory::open_or_create(paths()));
  Child remover = Child::run([&](Child::Parent& parent) {
    parent.say();
    for (;;) remove_instance_shm(paths());
  });
  ASSERT_TRUE(remover.listen());
  for (int round = 0; round < 100; ++round) {
    const Mapping mapping = must(directory.create(ring("orders")));
    const auto roster = must(directory.roster());
    ASSERT_EQ(mapping.header().roster_uuid[0], roster->uuid()[0]);
    ASSERT_TRUE(fs::remove(mapping.name()));
  }
}

TEST_F(Instance, IsLockedByItsMakersTogetherAndItsRemoversAlone) {
  using Kind = FolderLock::Kind;
  must(Directory::open_or_create(paths()));
  {
    const auto one = FolderLock::take(paths(), Kind::shared);
    const auto two = FolderLock::take(paths(), Kind::shared);
    EXPECT_TRUE(one && two);
    EXPECT_EQ(code_of(FolderLock::try_take(paths(), Kind::exclusive)), FaultCode::timed_out);
  }
  const auto alone = FolderLock::take(paths(), Kind::exclusive);
  EXPECT_TRUE(alone);
  EXPECT_EQ(code_of(FolderLock::try_take(paths(), Kind::shared)), FaultCode::timed_out);
}

TEST_F(Instance, IsUnlockedByADeath) {
  must(Directory::open_or_create(paths()));
  Child child = Child::run([&](Child::Parent& parent) {
    const auto lock = FolderLock::take(paths(), FolderLock::Kind::exclusive);
    parent.say();
    parent.wait_to_be_killed();
  });
  ASSERT_TRUE(child.listen());
  EXPECT_FALSE(remove_instance_shm(paths()));
  child.kill();
  EXPECT_TRUE(FolderLock::take(paths(), FolderLock::Kind::exclusive));
}

}  // namespace
}  // namespace loopline::shm
