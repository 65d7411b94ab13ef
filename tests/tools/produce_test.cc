// produce: lines, files and records become messages; what is wrong is said, and nothing more
// published.
#include <gmock/gmock.h>
#include <signal.h>

#include <cstring>
#include <fstream>

#include "tests/support/wait_until.h"
#include "tool_fixture.h"

namespace loopline::test {
namespace {

using ::testing::HasSubstr;

class ProduceTool : public ToolFixture {
 protected:
  ProduceTool() { told({"station", "add", "orders", "--ring", "64KiB"}); }

  std::string file(const std::string& name, const std::string& text) const {
    const std::string path = instance_.folder() + "/" + name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  static std::string prefixed(const std::string& text) {
    const auto size = static_cast<uint32_t>(text.size());
    std::string record(sizeof size, '\0');
    std::memcpy(record.data(), &size, sizeof size);
    return record + text;
  }
  static std::string contents() { return told({"consume", "orders"}); }
};

TEST_F(ProduceTool, MakesAMessageOfEachLine) {
  const Outcome outcome = loopline({"produce", "orders"}, "one\n\nthree\nno newline");
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.err, HasSubstr("4 messages to main/orders"));
  EXPECT_EQ(contents(), "one\n\nthree\nno newline\n");
}

TEST_F(ProduceTool, CountsInJsonOnStdout) {
  const auto summary = json_told({"produce", "orders", "--json"}, "one\ntwo\n");
  EXPECT_EQ(summary["messages"], 2);
  EXPECT_EQ(summary["bytes"], 6);
  EXPECT_EQ(summary["first_sequence"], 1);
  EXPECT_EQ(summary["last_sequence"], 2);
}

TEST_F(ProduceTool, LeavesOutWhatANamedProducerHasPublished) {
  told({"produce", "orders", "--producer", "feed"}, "one\ntwo\n");
  const Outcome again = loopline({"produce", "orders", "--producer", "feed"}, "one\ntwo\nthree\n");
  EXPECT_EQ(again.status, 0);
  EXPECT_THAT(again.err, HasSubstr("producer feed goes on with record 3"));
  const auto known = json_told({"station", "info", "orders", "--json"})["known_producers"];
  ASSERT_EQ(known.size(), 1u);
  EXPECT_EQ(known[0]["sequence"], 3);
  EXPECT_EQ(known[0]["message"], 3);
  EXPECT_EQ(known[0]["epoch"], 2);
  EXPECT_THAT(told({"station", "info", "orders"}), HasSubstr("1 producer by identity; each"));
  EXPECT_THAT(told({"station", "info", "orders", "--format=wide"}),
              HasSubstr(std::string(known[0]["id"])));
  EXPECT_THAT(again.err, HasSubstr("2 records were there already"));
  EXPECT_EQ(contents(), "one\ntwo\nthree\n");
}

TEST_F(ProduceTool, LeavesOutIdsThatWerePublished) {
  told({"produce", "orders", "--id", "m-%n"}, "one\ntwo\n");
  const auto summary =
      json_told({"produce", "orders", "--id", "m-%n", "--json"}, "one\ntwo\nthree\n");
  EXPECT_EQ(summary["messages"], 1);
  EXPECT_EQ(summary["duplicates"], 2);
  EXPECT_EQ(contents(), "one\ntwo\nthree\n");
}

TEST_F(ProduceTool, ReadsFilesAsLinesOrWhole) {
  const std::string path = file("input", "one\ntwo\n");
  told({"produce", "orders", path, path});
  told({"produce", "orders", path, "--records", "file"});
  EXPECT_EQ(contents(), "one\ntwo\none\ntwo\none\ntwo\n\n");
  EXPECT_THAT(refused(3, {"produce", "orders", path + "x"}), HasSubstr("cannot read"));
}

TEST_F(ProduceTool, ReadsLengthPrefixedRecords) {
  told({"produce", "orders", "--records", "length-prefixed"},
       prefixed("one") + prefixed("") + prefixed(std::string(5000, 'x')));
  EXPECT_EQ(contents(), "one\n\n" + std::string(5000, 'x') + "\n");
  const std::string cut = prefixed("four") + prefixed("five").substr(0, 6);
  const Outcome outcome = loopline({"produce", "orders", "--records", "length-prefixed"}, cut);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("ends inside record 2: 2 bytes are missing"));
}

TEST_F(ProduceTool, GivesEachMessageKeyHeadersAndId) {
  told({"produce", "orders", "--key", "AAPL", "--header", "a=1", "--header", "b=x=y", "--id",
        "n-%n"},
       "one\ntwo\n");
  EXPECT_EQ(told({"consume", "orders", "--template", "%s %k %i %h %b %p\\n"}),
            "1 AAPL n-1 a=1,b=x=y 3 one\n2 AAPL n-2 a=1,b=x=y 3 two\n");
  EXPECT_THAT(refused(2, {"produce", "orders", "--header", "novalue"}), HasSubstr("NAME=VALUE"));
}

TEST_F(ProduceTool, StopsAtAMessageThatIsTooLarge) {
  const Outcome outcome =
      loopline({"produce", "orders"}, "one\n" + std::string(100'000, 'x') + "\nthree\n");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("line 2 of stdin"));
  EXPECT_THAT(outcome.err, HasSubstr("8,160"));
  EXPECT_EQ(contents(), "one\n");
}

TEST_F(ProduceTool, MakesTheStationOnlyWhenAsked) {
  EXPECT_THAT(refused(3, {"produce", "new"}, "one\n"), HasSubstr("no station \"main/new\""));
  told({"produce", "new", "--create"}, "one\n");
  EXPECT_EQ(told({"consume", "new"}), "one\n");
}

TEST_F(ProduceTool, KeepsAPace) {
  const auto summary =
      json_told({"produce", "orders", "--rate", "200/s", "--json"}, "1\n2\n3\n4\n5\n6\n7\n8\n9\n");
  EXPECT_EQ(summary["messages"], 9);
  EXPECT_GE(summary["seconds"], 0.04);
  for (const char* rate : {"fast", "0", "-5/s", "10/m"}) {
    EXPECT_THAT(refused(2, {"produce", "orders", "--rate", rate}), HasSubstr(rate));
  }
}

TEST_F(ProduceTool, PublishesWhatItHasReadWhenInterrupted) {
  Program program(tool_words({"produce", "orders", "--json"}));
  program.type("one\ntwo\n");
  Program reader(tool_words({"consume", "orders", "--follow", "--from", "earliest"}));
  EXPECT_TRUE(reader.says("two\n"));
  program.send(SIGINT);
  const Outcome outcome = program.end();
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["messages"], 2);
}

TEST_F(ProduceTool, SaysWhoHoldsAFullRingAndCanStillBeInterrupted) {
  Program reader(tool_words({"consume", "orders", "--follow", "--from", "earliest"}));
  told({"produce", "orders"}, "ready\n");
  ASSERT_TRUE(reader.says("ready"));
  reader.send(SIGSTOP);
  Program program(tool_words({"produce", "orders"}));
  for (int count = 0; count < 100; ++count) program.type(std::string(999, 'x') + "\n");
  EXPECT_TRUE(program.says("waiting for room: station \"main/orders\" is full"));
  program.send(SIGINT);
  EXPECT_EQ(program.end().status, 0);
}

TEST_F(ProduceTool, IsRefusedByAFullRingThatRejects) {
  told({"station", "add", "strict", "--ring", "64KiB", "--when-full", "reject"});
  Program reader(tool_words({"consume", "strict", "--follow", "--from", "earliest"}));
  told({"produce", "strict"}, "ready\n");
  ASSERT_TRUE(reader.says("ready"));
  reader.send(SIGSTOP);
  std::string lines;
  for (int count = 0; count < 200; ++count) lines += std::string(999, 'x') + "\n";
  const Outcome outcome = loopline({"produce", "strict"}, lines);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("is full"));
}

TEST_F(ProduceTool, GoesOnWhenTheReaderWasKilled) {
  Program reader(tool_words({"consume", "orders", "--follow", "--from", "earliest"}));
  told({"produce", "orders"}, "ready\n");
  ASSERT_TRUE(reader.says("ready"));
  reader.send(SIGKILL);
  std::string lines;
  for (int count = 0; count < 200; ++count) lines += std::string(999, 'x') + "\n";
  EXPECT_EQ(json_told({"produce", "orders", "--json"}, lines)["messages"], 200);
}

TEST_F(ProduceTool, PrintsRecordsThatReachedTheirLevelAsTheyCame) {
  EXPECT_EQ(told({"produce", "orders", "--print-acked"}, "one\n\nthree"), "one\n\nthree\n");
  const std::string records = prefixed("one") + prefixed("") + prefixed("th\0ree");
  EXPECT_EQ(told({"produce", "orders", "--print-acked", "--records", "length-prefixed"}, records),
            records);
}

TEST_F(ProduceTool, PrintsARecordOfAFileStationOnceItIsDurableAndNotBefore) {
  told({"station", "add", "ledger", "--storage", "file", "--ring", "64KiB", "--segment", "64KiB"});
  Program producer(tool_words({"produce", "ledger", "--print-acked"}));
  producer.type("one\ntwo\n");
  ASSERT_TRUE(wait_until([] { return told({"consume", "ledger"}) == "one\ntwo\n"; }));
  producer.send(SIGINT);
  Outcome outcome = producer.end();
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("not acknowledged: the last 2 messages"));
  Program again(tool_words({"produce", "ledger", "--print-acked", "--ack", "committed"}));
  Program flusher(tool_words({"flush", "ledger", "--follow"}));
  again.type("three\n");  // its input stays open
  EXPECT_TRUE(again.says("three\n"));
  outcome = again.end();
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "three\n");
}

TEST_F(ProduceTool, RefusesToMixAckedRecordsWithASummary) {
  EXPECT_THAT(refused(2, {"produce", "orders", "--print-acked", "--json"}),
              HasSubstr("choose one"));
}

}  // namespace
}  // namespace loopline::test
