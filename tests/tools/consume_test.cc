// consume: what is there, what comes, and in which form.
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include "tool_fixture.h"

namespace loopline::test {
namespace {

using ::testing::HasSubstr;

class ConsumeTool : public ToolFixture {
 protected:
  ConsumeTool() { told({"station", "add", "orders", "--ring", "64KiB"}); }
  static void put(const std::string& lines) { told({"produce", "orders", "--quiet"}, lines); }
};

TEST_F(ConsumeTool, EndsWithWhatIsThere) {
  EXPECT_EQ(told({"consume", "orders"}), "");
  put("one\ntwo\n");
  EXPECT_EQ(told({"consume", "orders"}), "one\ntwo\n");
  EXPECT_EQ(told({"consume", "orders", "--from", "latest"}), "");
  EXPECT_EQ(told({"consume", "orders", "--count", "1"}), "one\n");
}

TEST_F(ConsumeTool, BeginsAndEndsWhereItIsTold) {
  put("one\ntwo\nthree\nfour\n");
  EXPECT_EQ(told({"consume", "orders", "--from", "seq:3"}), "three\nfour\n");
  EXPECT_EQ(told({"consume", "orders", "--from", "last:1"}), "four\n");
  EXPECT_EQ(told({"consume", "orders", "--from", "last:9"}), "one\ntwo\nthree\nfour\n");
  EXPECT_EQ(told({"consume", "orders", "--from", "time:1h"}), "one\ntwo\nthree\nfour\n");
  EXPECT_EQ(told({"consume", "orders", "--from", "time:2100-01-01"}), "");
  EXPECT_EQ(told({"consume", "orders", "--to", "seq:2"}), "one\ntwo\n");
  EXPECT_EQ(told({"consume", "orders", "--from", "seq:2", "--to", "seq:3"}), "two\nthree\n");
  EXPECT_EQ(told({"consume", "orders", "--to", "time:2020-02-29T12:00:00.5+02:00"}), "");
  EXPECT_EQ(told({"consume", "orders", "--follow", "--from", "seq:1", "--to", "seq:2"}),
            "one\ntwo\n");
}

TEST_F(ConsumeTool, RefusesPlacesThatAreNone) {
  for (const char* place : {"seq:", "seq:x", "seq:-1", "last:", "time:", "time:yesterday",
                            "time:2026-13-01", "time:2026-02-30", "time:2026-01-01T10", "1"}) {
    refused(2, {"consume", "orders", "--from", place});
  }
  EXPECT_THAT(refused(2, {"consume", "orders", "--from", "first"}), HasSubstr("seq:N"));
  EXPECT_THAT(refused(2, {"consume", "orders", "--to", "earliest"}), HasSubstr("latest, seq:N"));
  told({"station", "add", "timeless", "--timestamp", "off"});
  EXPECT_THAT(refused(1, {"consume", "timeless", "--from", "time:5m"}),
              HasSubstr("keeps no time stamps"));
}

TEST_F(ConsumeTool, ReadsAllPartitionsOrOne) {
  told({"station", "add", "keyed", "--ring=64KiB", "--partitions=3"});
  told({"produce", "keyed", "--quiet"}, "a\nb\nc\nd\n");
  EXPECT_EQ(told({"consume", "keyed", "--template", "%P%p\\n"}).size(), 4 * 3u);
  EXPECT_EQ(told({"consume", "keyed", "--partition", "0"}), "a\nd\n");
  EXPECT_EQ(told({"consume", "keyed", "--partition=0", "--from=seq:2", "--to=seq:2"}), "d\n");
  EXPECT_THAT(refused(3, {"consume", "keyed", "--partition", "3"}), HasSubstr("no partition 3"));
  EXPECT_THAT(refused(2, {"consume", "keyed", "--from", "seq:2"}), HasSubstr("partition"));
  EXPECT_THAT(refused(2, {"consume", "keyed", "--to", "seq:2"}), HasSubstr("--partition"));
}

TEST_F(ConsumeTool, TellsWhatWasGoneBeforeItCame) {
  for (int round = 0; round < 3; ++round) {
    std::string lines;
    for (int number = 0; number < 1000; ++number) lines += std::to_string(number) + "\n";
    put(lines);
  }
  const Outcome outcome = run(tool_words({"consume", "orders", "--from", "seq:2", "--count", "1"}));
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.err, HasSubstr("from sequence 2 were overwritten"));
}

TEST_F(ConsumeTool, FollowsUntilInterrupted) {
  put("before\n");
  Program reader(tool_words({"consume", "orders", "--follow", "--from", "earliest"}));
  EXPECT_TRUE(reader.says("before\n"));
  put("after\n");
  EXPECT_TRUE(reader.says("after\n"));
  reader.send(SIGINT);
  const Outcome outcome = reader.end();
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.out, "before\nafter\n");
}

TEST_F(ConsumeTool, FollowsToACount) {
  Program reader(tool_words({"consume", "orders", "-f", "--from", "earliest", "--count", "3"}));
  put("one\ntwo\n");
  put("three\nfour\n");
  const Outcome outcome = reader.end();
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.out, "one\ntwo\nthree\n");
}

TEST_F(ConsumeTool, EndsWhenItsReaderGoesAway) {
  Program reader(tool_words({"consume", "orders", "--follow", "--from", "earliest"}));
  put("one\n");
  EXPECT_TRUE(reader.says("one\n"));
  reader.stop_listening();
  put("two\n");
  EXPECT_EQ(reader.end().status, 0);
}

TEST_F(ConsumeTool, EndsWhenTheStationIsRemoved) {
  Program reader(tool_words({"consume", "orders", "--follow", "--from", "earliest"}));
  put("one\n");
  EXPECT_TRUE(reader.says("one\n"));
  told({"station", "rm", "orders", "--yes"});
  const Outcome outcome = reader.end();
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.err, HasSubstr("was removed"));
}

TEST_F(ConsumeTool, PrintsJsonLines) {
  told({"produce", "orders", "--key", "k", "--id", "i", "--header", "a=b"}, "one\n");
  const auto message = json_told({"consume", "orders", "--json"});
  EXPECT_EQ(message["sequence"], 1);
  EXPECT_EQ(message["key"], "k");
  EXPECT_EQ(message["id"], "i");
  EXPECT_EQ(message["headers"][0]["name"], "a");
  EXPECT_EQ(message["headers"][0]["value"], "b");
  EXPECT_EQ(message["payload"], "one");
  EXPECT_GT(message["timestamp_ns"], 1'600'000'000'000'000'000);
  EXPECT_TRUE(message["timestamp"].get<std::string>().ends_with("Z"));
}

TEST_F(ConsumeTool, PrintsPayloadsThatAreNoTextInBase64) {
  put("\xff\xfe\x01\n");
  put("\xed\xa0\x80\n");  // a surrogate is no UTF-8
  put("gr\xc3\xbc\xc3\x9f \xf0\x9f\x9a\x82\n");
  const std::string lines = told({"consume", "orders", "--json"});
  EXPECT_THAT(lines, HasSubstr("\"payload_base64\":\"//4B\""));
  EXPECT_THAT(lines, HasSubstr("\"payload_base64\":\"7aCA\""));
  EXPECT_THAT(lines, HasSubstr("\"payload\":\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x9a\x82\""));
}

TEST_F(ConsumeTool, FillsInATemplate) {
  put("one\n");
  EXPECT_EQ(told({"consume", "orders", "--template", "100%% %s\\t%p\\\\\\n"}), "100% 1\tone\\\n");
  EXPECT_THAT(told({"consume", "orders", "--template", "%t"}), HasSubstr("T"));
  EXPECT_THAT(refused(2, {"consume", "orders", "--template", "%z"}), HasSubstr("%z"));
  EXPECT_THAT(refused(2, {"consume", "orders", "--template", "%"}), HasSubstr("ends with %"));
}

TEST_F(ConsumeTool, DumpsHex) {
  put("0123456789abcdefXYZ\n");
  const std::string dump = told({"consume", "orders", "--hex"});
  EXPECT_THAT(dump, HasSubstr("00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  "
                              "|0123456789abcdef|\n"));
  EXPECT_THAT(dump,
              HasSubstr("00000010  58 59 5a                                          |XYZ|\n"));
}

TEST_F(ConsumeTool, SiftsPayloadsByAnExpression) {
  put("alpha\nbeta\ngamma\n");
  EXPECT_EQ(told({"consume", "orders", "--grep", "^.a|ph"}), "alpha\ngamma\n");
  EXPECT_EQ(told({"consume", "orders", "--grep", "a$", "--count", "2"}), "alpha\nbeta\n");
  EXPECT_THAT(refused(2, {"consume", "orders", "--grep", "("}), HasSubstr("--grep"));
  EXPECT_THAT(refused(2, {"consume", "orders", "--grep", "a{255}{255}{255}"}),
              HasSubstr("is no regular expression: "));
}

TEST_F(ConsumeTool, GivesBackLengthPrefixedRecordsAsTheyCame) {
  put("one\ntwo\n\n");
  const std::string records = told({"consume", "orders", "--records", "length-prefixed"});
  EXPECT_EQ(records, std::string("\3\0\0\0one\3\0\0\0two\0\0\0\0", 18));
  told({"station", "add", "copy"});
  told({"produce", "copy", "--records", "length-prefixed"}, records);
  EXPECT_EQ(told({"consume", "copy"}), "one\ntwo\n\n");
}

TEST_F(ConsumeTool, RefusesTwoFormsAtOnce) {
  EXPECT_THAT(refused(2, {"consume", "orders", "--hex", "--json"}), HasSubstr("choose one"));
  EXPECT_THAT(refused(2, {"consume", "orders", "--records", "file"}), HasSubstr("length-prefixed"));
}

TEST_F(ConsumeTool, TellsTheGapsOfALossyConsumer) {
  put("ready\n");
  Program reader(tool_words(
      {"consume", "orders", "--lossy", "--follow", "--from", "earliest", "--template", "%s\\n"}));
  ASSERT_TRUE(reader.says("1\n"));
  reader.send(SIGSTOP);
  std::string lines;
  for (int count = 0; count < 300; ++count) lines += std::string(999, 'x') + "\n";
  put(lines);
  reader.send(SIGCONT);
  EXPECT_TRUE(reader.says("\n301\n"));
  reader.send(SIGINT);
  const Outcome outcome = reader.end();
  EXPECT_THAT(outcome.err, HasSubstr("gap: "));
  EXPECT_THAT(outcome.err, HasSubstr(" from sequence 2 "));
}

TEST_F(ConsumeTool, SaysInWordsThatARingWasCutShortUnderIt) {
  put("one\n");
  Program reader(tool_words({"consume", "orders", "--follow", "--from", "earliest"}));
  ASSERT_TRUE(reader.says("one"));
  ASSERT_EQ(::truncate(ring_path("orders").c_str(), 4096), 0);
  const Outcome outcome = reader.end();
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("cut short"));
}

}  // namespace
}  // namespace loopline::test
