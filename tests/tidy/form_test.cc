// Tests of the rules on a file's form: each is seen to fail, and to let the good one pass.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rules.h"

namespace loopline::tidy {
namespace {

using testing::HasSubstr;

std::string only(const Findings& findings) {
  return findings.size() == 1 ? describe(findings[0]) : describe(findings);
}

TEST(FirstLine, IsASentence) {
  EXPECT_TRUE(check_first_line({"shm/ring.h", "// Ring: the messages of a partition.\n"}).empty());
  EXPECT_TRUE(
      check_first_line({"tools/run", "#!/usr/bin/env bash\n# Runs the demo, once it is built.\n"})
          .empty());
}

TEST(FirstLine, MayGoOnForAFewLines) {
  EXPECT_TRUE(
      check_first_line({"shm/ring.h", "// Ring: the messages of\n// a partition, in order.\n"})
          .empty());
  EXPECT_TRUE(
      check_first_line({"tools/lib.sh", "# shellcheck shell=bash\n# What the scripts share.\n"})
          .empty());
}

TEST(FirstLine, IsMissed) {
  EXPECT_EQ(only(check_first_line({"shm/ring.h", "#pragma once\n"})),
            "shm/ring.h:1: the file does not open with a sentence on what it gives");
  EXPECT_EQ(check_first_line({"shm/ring.h", ""}).size(), 1u);
  EXPECT_EQ(check_first_line({"tools/run", "#!/bin/sh\nset -e\n"}).size(), 1u);
}

TEST(FirstLine, IsNotATitle) {
  EXPECT_EQ(only(check_first_line({"shm/ring.h", "// ring.h\n"})),
            "shm/ring.h:1: the opening comment is not a full sentence");
  EXPECT_EQ(check_first_line({"shm/ring.h", "// the ring and all of its parts\n\nint x;\n"}).size(),
            1u);
}

TEST(FirstLine, IsAskedOfSourcesOnly) {
  EXPECT_TRUE(check_first_line({"README.md", "Loopline\n"}).empty());
  EXPECT_TRUE(check_first_line({"tests/fuzz/corpus/frame/1", "\x01\x02"}).empty());
}

TEST(Width, IsAHundredColumns) {
  EXPECT_TRUE(check_width({"a.cc", std::string(100, 'x') + "\n"}).empty());
  EXPECT_EQ(only(check_width({"a.cc", "\n" + std::string(101, 'x')})),
            "a.cc:2: line of 101 columns, at most 100");
}

TEST(Width, CountsCharactersAndNotBytes) {
  std::string line;
  for (int i = 0; i < 100; ++i) line += "\u2190";
  EXPECT_TRUE(check_width({"a.cc", line}).empty());
  EXPECT_FALSE(check_width({"a.cc", line + "\u2190"}).empty());
}

std::string lines(std::size_t count) {
  std::string text;
  for (std::size_t index = 0; index < count; ++index) text += "x\n";
  return text;
}

TEST(FileSize, IsFiveHundredLines) {
  EXPECT_TRUE(check_file_size({"shm/ring.cc", lines(500)}).empty());
  EXPECT_EQ(only(check_file_size({"shm/ring.cc", lines(501)})),
            "shm/ring.cc:501: file of 501 lines, at most 500");
}

TEST(FileSize, IsEightHundredForTests) {
  EXPECT_TRUE(check_file_size({"tests/shm/ring_test.cc", lines(800)}).empty());
  EXPECT_FALSE(check_file_size({"tests/shm/ring_test.cc", lines(801)}).empty());
}

// The words are put together here, so that this file keeps the rule that it tests.
const std::string unfinished_word = std::string("TO") + "DO";

TEST(Words, KnowNoUnfinishedBusiness) {
  EXPECT_THAT(only(check_words({"a.cc", "int x;  // " + unfinished_word + ": more\n"})),
              HasSubstr("a.cc:1: " + unfinished_word));
  EXPECT_FALSE(check_words({"a.cc", std::string("// FIX") + "ME\n"}).empty());
  EXPECT_FALSE(check_words({"README.md", std::string("X") + "XX\n"}).empty());
  EXPECT_TRUE(
      check_words({"a.cc", "int " + unfinished_word + "s;  // the list of duties\n"}).empty());
}

TEST(Words, KnowNoPathOfOneMachine) {
  EXPECT_EQ(only(check_words({"a.cc", std::string("open(\"/ho") + "me/ann/x\");\n"})),
            "a.cc:1: a path of one machine");
  EXPECT_FALSE(check_words({"run.sh", std::string("cd /wo") + "rk/main\n"}).empty());
  EXPECT_TRUE(check_words({"a.cc", "open(\"/dev/shm/loopline\"); // build/work/x\n"}).empty());
}

TEST(Macros, StartWithOurLetters) {
  EXPECT_TRUE(check_macro_names({"a.h", "#define LL_TRY(a, b) a\n#define LL_CHECKED\n"}).empty());
  EXPECT_EQ(only(check_macro_names({"a.h", "#define TRY(a, b) a\n"})),
            "a.h:1: macro TRY without LL_");
}

TEST(Macros, OfOthersKeepTheirNames) {
  EXPECT_TRUE(check_macro_names({"a.cc", "#define XXH_INLINE_ALL\n#define _GNU_SOURCE\n"}).empty());
  EXPECT_TRUE(check_macro_names({"a.cc", "#ifndef SYS_a\n#define SYS_a 449\n#endif\n"}).empty());
  EXPECT_FALSE(check_macro_names({"a.h", "#ifndef A_H\n#define A_H\n#endif\n"}).empty());
}

}  // namespace
}  // namespace loopline::tidy
