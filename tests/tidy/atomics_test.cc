// Tests of the rules on memory order: an operation without a word, and an edge with one end.

#include <gtest/gtest.h>

#include "rules.h"

namespace loopline::tidy {
namespace {

std::string check(const std::string& text, const std::string& path = "shm/ring.cc") {
  return describe(check_atomics({path, text}));
}

TEST(Atomics, NameTheirOrderAndTheirEdge) {
  EXPECT_EQ(check("a.store(1, std::memory_order_release);  // release [advance]\n"), "");
  EXPECT_EQ(check("x = a->load(std::memory_order_relaxed);  // relaxed: only we store it\n"), "");
  EXPECT_EQ(check("fence(std::memory_order_seq_cst);  // seq_cst [park]\n"), "");
}

TEST(Atomics, WithoutAnOrderAreFound) {
  EXPECT_EQ(check("\nx = a.load();  // acquire [advance]\n"),
            "shm/ring.cc:2: atomic operation that does not name its memory order\n");
  EXPECT_NE(check("a.fetch_add(1);  // acq_rel [advance]\n"), "");
}

TEST(Atomics, WithoutACommentAreFound) {
  EXPECT_EQ(check("x = a.load(std::memory_order_acquire);\n"),
            "shm/ring.cc:1: atomic operation without an order comment: // acquire [edge]\n");
  EXPECT_EQ(check("x = a.load(std::memory_order_relaxed);  // the old value\n"),
            "shm/ring.cc:1: atomic operation without an order comment: "
            "// relaxed: why, or an [edge]\n");
  EXPECT_NE(check("fence(std::memory_order_release);\n"), "");
}

TEST(Atomics, MayNotCallAnOrderedOperationRelaxed) {
  EXPECT_NE(check("a.store(1, std::memory_order_release);  // relaxed: nobody looks\n"), "");
}

TEST(Atomics, MayNotClaimAnotherOrder) {
  EXPECT_EQ(check("a.store(1, std::memory_order_release);  // acquire [advance]\n"),
            "shm/ring.cc:1: the comment says acquire, the code does not\n");
}

TEST(Atomics, MayBeExplainedOnAnyLineOfTheStatement) {
  EXPECT_EQ(check("while (!a.compare_exchange(seen, mine,  // acq_rel [claim]\n"
                  "                           std::memory_order_acq_rel,\n"
                  "                           std::memory_order_acquire)) {\n}\n"),
            "");
  EXPECT_EQ(check("frame.word.store(tag | flags,\n"
                  "                 std::memory_order_release);  // release [commit]\n"),
            "");
}

TEST(Atomics, AreNotExplainedByTheNextStatement) {
  EXPECT_NE(check("a.store(1, std::memory_order_release);\n"
                  "b.store(1, std::memory_order_release);  // release [advance]\n"),
            "");
}

TEST(Atomics, AreFoundInHeadersOfLoops) {
  EXPECT_NE(check("for (auto x = a.load(std::memory_order_acquire); x; ) {}\n"), "");
  EXPECT_NE(check("if (a.load(std::memory_order_acquire) == 0) return;\n"), "");
}

TEST(Atomics, AreNotSeenWhereThereAreNone) {
  EXPECT_EQ(check("x = std::exchange(y, 0);\n// a.load()\nsay(\"a.load()\");\n"), "");
  EXPECT_EQ(check("void fence(std::memory_order order);\n"), "");
}

TEST(Atomics, AreCheckedInTheProductOnly) {
  const std::string bare = "x = a.load();\n";
  EXPECT_NE(check(bare, "runtime/sdk/station.cc"), "");
  EXPECT_NE(check(bare, "io/flusher.cc"), "");
  EXPECT_EQ(check(bare, "tests/shm/ring_test.cc"), "");
  EXPECT_EQ(check(bare, "tools/loopline/ring.cc"), "");
  EXPECT_EQ(check(bare, "shm/base/atomic.h"), "");
}

const std::string released = "a.store(1, std::memory_order_release);  // release [advance]\n";
const std::string acquired = "x = a.load(std::memory_order_acquire);  // acquire [advance]\n";

TEST(Edges, HaveBothEnds) {
  EXPECT_EQ(describe(check_edges({{"shm/a.cc", released}, {"shm/b.cc", acquired}})), "");
  EXPECT_EQ(
      describe(check_edges({{"shm/a.cc", "fence(std::memory_order_seq_cst);  // seq_cst [x]"}})),
      "");
}

TEST(Edges, WithOneEndAreFound) {
  EXPECT_EQ(describe(check_edges({{"shm/a.cc", released}})),
            "shm/a.cc:1: edge [advance] has no acquire side\n");
  EXPECT_EQ(describe(check_edges({{"shm/a.cc", "\n" + acquired}})),
            "shm/a.cc:2: edge [advance] has no release side\n");
}

TEST(Edges, EndInTheSameFolder) {
  EXPECT_NE(describe(check_edges({{"shm/a.cc", released}, {"io/b.cc", acquired}})), "");
  EXPECT_EQ(describe(check_edges({{"shm/a.cc", released}, {"shm/base/b.h", acquired}})), "");
}

TEST(Edges, MayShareAnOperation) {
  const std::string both = "a.store(1, std::memory_order_release);  // release [advance] [leave]\n";
  EXPECT_EQ(describe(check_edges({{"shm/a.cc", both + acquired}})),
            "shm/a.cc:1: edge [leave] has no acquire side\n");
}

}  // namespace
}  // namespace loopline::tidy
