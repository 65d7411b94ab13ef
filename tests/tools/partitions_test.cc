// Partitions in the tools that look: each ring by itself, and a station whose one ring is stuck.
#include <gmock/gmock.h>
#include <loopline/station.h>

#include "tests/support/must.h"
#include "tool_fixture.h"

namespace loopline::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class PartitionsTool : public ToolFixture {
 protected:
  PartitionsTool() {
    told({"station", "add", "orders", "--ring=64KiB", "--partitions=3"});
    told({"produce", "orders", "--quiet"}, "one\ntwo\nthree\nfour\n");
  }
};

TEST_F(PartitionsTool, ShowTheRingThatIsNamed) {
  EXPECT_THAT(told({"ring", "show", "orders"}), HasSubstr("partition 0 of 3, ring of 64KiB"));
  EXPECT_THAT(told({"ring", "show", "orders", "--partition", "2"}), HasSubstr("partition 2 of 3"));
  EXPECT_EQ(json_told({"ring", "show", "orders", "--partition=1", "--json"})["partition"], 1);
  EXPECT_THAT(told({"ring", "dump", "orders"}), HasSubstr("|four|"));
  const std::string second = told({"ring", "dump", "orders", "--partition=1"});
  EXPECT_THAT(second, HasSubstr("|two|"));
  EXPECT_THAT(second, Not(HasSubstr("|four|")));
  told({"ring", "watch", "orders", "--partition=1", "--every=1ms", "--count=1"});
  EXPECT_THAT(refused(3, {"ring", "show", "orders", "--partition", "3"}),
              HasSubstr("no partition 3"));
}

TEST_F(PartitionsTool, SayWhichPartitionIsStuck) {
  EXPECT_THAT(told({"why", "orders"}), HasSubstr("3 rings of 64KiB, open"));
  const Station station = must(Station::open("orders", instance_.folder()));
  Producer producer = must(station.producer());
  must(producer.publish("to partition 0"));
  Slot held = must(producer.claim(1));
  for (int count = 0; count < 3; ++count) must(producer.publish("to each"));
  EXPECT_THAT(told({"why", "orders"}), HasSubstr("partition 1: sequence 2 was claimed"));
  const auto findings = json_told({"why", "orders", "--json"})["findings"];
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0]["code"], "open-claim");
  EXPECT_EQ(findings[0]["partition"], 1);
  must(held.commit());
}

}  // namespace
}  // namespace loopline::test
