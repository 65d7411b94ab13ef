// factory: add, ls, info, edit, rm; station edit and station purge.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "scene.h"
#include "shm/attached.h"
#include "tool_fixture.h"

namespace loopline::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class FactoryTool : public ToolFixture {};

TEST_F(FactoryTool, AddsAFactoryWhoseStationsGetWhatItSays) {
  EXPECT_THAT(told({"factory", "add", "f", "--ring=128KiB", "--when-full=reject", "--mode=0640",
                    "--evict-after=250ms", "--quota-memory=1MiB", "--quota-stations=2"}),
              HasSubstr("factory f is there: ring=128KiB when-full=reject evict-after=250ms"));
  told({"station", "add", "f/a"});
  told({"station", "add", "f/b", "--ring=64KiB", "--when-full=block"});
  const auto a = json_told({"station", "info", "f/a", "--json"});
  EXPECT_EQ(a["parameters"]["ring"], 128 << 10);
  EXPECT_EQ(a["parameters"]["when_full"], "reject");
  EXPECT_EQ(json_told({"station", "info", "f/b", "--json"})["parameters"]["when_full"], "block");
  EXPECT_THAT(refused(1, {"station", "add", "f/c"}),
              AllOf(HasSubstr("factory \"f\" has 2 stations"), HasSubstr("--quota-stations 3")));
  const auto info = json_told({"factory", "info", "f", "--json"});
  EXPECT_EQ(info["stations"], 2);
  EXPECT_EQ(info["defaults"]["mode"], "0640");
  EXPECT_EQ(info["defaults"]["timestamp"], nullptr);
  EXPECT_THAT(told({"factory", "info", "f"}),
              AllOf(HasSubstr("when-full       reject"), HasSubstr("precise (built in)")));
  EXPECT_THAT(told({"factory", "ls", "--format=wide"}), HasSubstr("when-full=reject"));
}

TEST_F(FactoryTool, GivesItsStationsADiskAndTakesThemBothAway) {
  EXPECT_THAT(told({"factory", "add", "f", "--storage=file", "--ring=64KiB"}),
              HasSubstr("factory f is there: storage=file ring=64KiB"));
  EXPECT_THAT(told({"station", "add", "f/a", "--segment=1MiB"}), HasSubstr("and a log on disk"));
  EXPECT_THAT(told({"station", "add", "f/b", "--storage=memory"}), Not(HasSubstr("disk")));
  EXPECT_EQ(json_told({"factory", "info", "f", "--json"})["defaults"]["storage"], "file");
  std::filesystem::remove(instance_.paths().shm + "/f@a@0@1.ring");
  told({"station", "rm", "f/b", "--yes"});
  EXPECT_THAT(refused(1, {"factory", "rm", "f"}), HasSubstr("has station \"f/a\" on disk"));
  EXPECT_THAT(refused(2, {"factory", "rm", "f", "--force"}), HasSubstr("its 1 station"));
  told({"factory", "rm", "f", "--force", "--yes"});
  EXPECT_THAT(refused(3, {"station", "info", "f/a"}), HasSubstr("no station"));
}

TEST_F(FactoryTool, KnowsThoseThatOnlyHaveStations) {
  told({"station", "add", "g/a", "--ring=64KiB"});
  const auto list = json_told({"factory", "ls", "--json"});
  ASSERT_EQ(list["factories"].size(), 1u);
  EXPECT_EQ(list["factories"][0]["added"], false);
  EXPECT_THAT(told({"factory", "info", "g"}), HasSubstr("no: built-in defaults"));
  EXPECT_THAT(refused(3, {"factory", "edit", "g", "--ring=64KiB"}), HasSubstr("factory add g"));
  EXPECT_THAT(refused(3, {"factory", "info", "none"}), HasSubstr("factory ls"));
}

TEST_F(FactoryTool, EditsAndTakesBack) {
  told({"factory", "add", "f", "--ring=64KiB", "--quota-memory=8MiB"});
  EXPECT_THAT(told({"factory", "edit", "f", "--quota-memory=off", "--ring=default"}),
              HasSubstr("built in; quota.memory off"));
  EXPECT_THAT(refused(2, {"factory", "edit", "f"}), HasSubstr("--help"));
  EXPECT_THAT(refused(1, {"factory", "add", "f"}), HasSubstr("factory edit f"));
}

TEST_F(FactoryTool, RefusesWhatMakesNoSense) {
  EXPECT_THAT(refused(2, {"factory", "add", "F"}), HasSubstr("'F'"));
  EXPECT_THAT(refused(2, {"factory", "add", "f", "--ring=3MiB"}), HasSubstr("power of two"));
  EXPECT_THAT(refused(2, {"factory", "add", "f", "--ring=64KB"}), HasSubstr("64KiB"));
  EXPECT_THAT(refused(2, {"factory", "add", "f", "--exclusive=maybe"}), HasSubstr("on or off"));
  EXPECT_THAT(refused(2, {"factory", "add", "f", "--owner=no-such-user"}), HasSubstr("no user"));
  EXPECT_THAT(refused(2, {"factory", "add", "f", "--quota-stations=0"}), HasSubstr("from 1 on"));
}

TEST_F(FactoryTool, RemovesAnEmptyOneAndAFullOneOnlyByForce) {
  told({"factory", "add", "f"});
  told({"station", "add", "f/a", "--ring=64KiB"});
  EXPECT_THAT(refused(1, {"factory", "rm", "f"}), HasSubstr("has 1 station, so it stays"));
  EXPECT_THAT(refused(2, {"factory", "rm", "f", "--force"}), HasSubstr("--yes"));
  EXPECT_THAT(told({"factory", "rm", "f", "--force", "--yes"}), HasSubstr("is gone"));
  EXPECT_THAT(refused(3, {"station", "info", "f/a"}), HasSubstr("no station"));
  EXPECT_THAT(refused(3, {"factory", "rm", "f"}), HasSubstr("no factory"));
}

TEST_F(FactoryTool, TellsWhereAFileIsDamaged) {
  told({"factory", "add", "f"});
  std::ofstream(instance_.folder() + "/factories/f.conf") << "ring = 64KiB\nrng = 1\n";
  const std::string err = refused(1, {"station", "add", "f/a"});
  EXPECT_THAT(err, AllOf(HasSubstr("f.conf, line 2"), HasSubstr("\"rng\" is no key")));
  EXPECT_THAT(told({"factory", "ls"}), HasSubstr("damaged"));
  told({"factory", "rm", "f"});
  told({"station", "add", "f/a", "--ring=64KiB"});
}

// ---- station edit, station purge -------------------------------------------

class LivingStationTool : public ToolFixture {
 protected:
  LivingStationTool() { told({"station", "add", "orders", "--ring=64KiB"}); }
};

TEST_F(LivingStationTool, IsEditedInPlaceOrInANewRing) {
  EXPECT_THAT(told({"station", "edit", "orders", "--ring=128KiB", "--evict-after=5s"}),
              HasSubstr("station main/orders is edited: 1 partition went on in a new ring"));
  EXPECT_THAT(told({"station", "info", "orders"}),
              AllOf(HasSubstr("ring         128KiB"), HasSubstr("evict-after  5s")));
  EXPECT_THAT(told({"station", "edit", "orders", "--ring=128KiB"}), HasSubstr("nothing changed"));
  told({"station", "edit", "orders", "--mode=0600"});
  EXPECT_THAT(told({"station", "info", "orders"}), HasSubstr("mode         0600"));
  const auto json = json_told({"station", "edit", "orders", "--mode=0660", "--json"});
  EXPECT_EQ(json["changed"], true);
  EXPECT_EQ(json["rings_left"], 0);
}

TEST_F(LivingStationTool, AsksBeforeMessagesAreOutOfSight) {
  told({"produce", "orders", "--quiet"}, "a\nb\n");
  EXPECT_THAT(refused(2, {"station", "edit", "orders", "--ring=128KiB"}),
              AllOf(HasSubstr("the 2 messages"), HasSubstr("--yes")));
  told({"station", "edit", "orders", "--mode=0600"});
  told({"station", "edit", "orders", "--ring=128KiB", "--yes"});
  EXPECT_EQ(told({"consume", "orders"}), "");
  told({"produce", "orders", "--quiet"}, "c\n");
  EXPECT_EQ(told({"consume", "orders", "--template", "%s %p\\n"}), "4 c\n");
}

TEST_F(LivingStationTool, RefusesWhatCannotChange) {
  EXPECT_THAT(refused(2, {"station", "edit", "orders"}), HasSubstr("nothing to change"));
  EXPECT_THAT(refused(1, {"station", "edit", "orders", "--when-full=drop-oldest"}),
              HasSubstr("could not be told that they lose now"));
  EXPECT_THAT(refused(2, {"station", "edit", "orders", "--partitions=2"}), HasSubstr("no option"));
  EXPECT_THAT(refused(3, {"station", "edit", "none", "--ring=1MiB"}), HasSubstr("no station"));
}

TEST_F(LivingStationTool, TellsAnEditThatIsHalfDone) {
  told({"station", "add", "two", "--ring=64KiB", "--partitions=2"});
  const auto directory = must(shm::Directory::open(instance_.paths()));
  auto last = must(directory.attach({"main", "two"}, 1, shm::Access::produce));
  auto wanted = shm::options_of(last.header());
  wanted.message_max = 100;
  must(shm::Attached::make(std::move(last), must(directory.roster()), directory)
           ->seal_with_successor(wanted));
  EXPECT_THAT(told({"station", "info", "two"}),
              HasSubstr("not finished: 1 of 2 partitions have other parameters already"));
  told({"station", "edit", "two", "--max-message=100"});
  EXPECT_THAT(told({"station", "info", "two"}), Not(HasSubstr("not finished")));
}

TEST_F(LivingStationTool, IsPurgedWhenToldYes) {
  EXPECT_THAT(told({"station", "purge", "orders"}), HasSubstr("is empty: nothing to purge"));
  told({"produce", "orders", "--quiet"}, "a\nb\nc\n");
  EXPECT_THAT(refused(2, {"station", "purge", "orders"}),
              AllOf(HasSubstr("the 3 messages"), HasSubstr("--yes")));
  Consumer reader =
      must(must(Station::open("orders", instance_.folder())).consumer({.from = From::earliest}));
  EXPECT_THAT(told({"station", "purge", "orders", "--yes"}),
              AllOf(HasSubstr("3 messages"), HasSubstr("1 consumer reads them to the end first")));
  EXPECT_EQ(must(reader.poll([](const Message&) {})), 3u);
  EXPECT_EQ(told({"consume", "orders"}), "");
  told({"produce", "orders", "--quiet"}, "d\n");
  const auto json = json_told({"station", "purge", "orders", "--yes", "--json"});
  EXPECT_EQ(json["purged"], true);
  EXPECT_EQ(json["messages_left"], 1);
}

}  // namespace
}  // namespace loopline::test
