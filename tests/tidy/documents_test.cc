// Tests of the rule that a README lists its folder's files, and of the reading it rests on.

#include <gtest/gtest.h>

#include "rules.h"

namespace loopline::tidy {
namespace {

std::string check(const Tree& tree) { return describe(check_documents(tree)); }

const File ring_h{"shm/ring.h", "// Ring.\n"};
const File ring_cc{"shm/ring.cc", "// Ring.\n"};

TEST(Documents, ListTheFiles) {
  EXPECT_EQ(check({ring_h, ring_cc, {"shm/README.md", "- `ring.h`, `ring.cc`: the ring\n"}}), "");
  EXPECT_EQ(check({ring_h, ring_cc, {"shm/README.md", "- `ring.{h,cc}`: the ring\n"}}), "");
}

TEST(Documents, MissAFile) {
  EXPECT_EQ(check({ring_h, ring_cc, {"shm/README.md", "- `ring.h`\n"}}),
            "shm/README.md:1: does not list `ring.cc`\n");
  EXPECT_EQ(check({ring_h, {"shm/README.md", "```\n`ring.h`\n```\n"}}),
            "shm/README.md:1: does not list `ring.h`\n");
}

TEST(Documents, ListScriptsToo) {
  const File script{"tools/run", "#!/bin/sh\n"};
  EXPECT_EQ(check({script, {"tools/README.md", "`run` runs\n"}}), "");
  EXPECT_EQ(check({script, {"tools/README.md", "`tools/run` runs\n"}}), "");
  EXPECT_EQ(check({script, {"tools/README.md", "it runs\n"}}),
            "tools/README.md:1: does not list `run`\n");
}

TEST(Documents, NameAFileThatIsGone) {
  EXPECT_EQ(check({ring_h, {"shm/README.md", "`ring.h`\n`cursor.h`\n"}}),
            "shm/README.md:2: names cursor.h, which is gone\n");
  EXPECT_EQ(check({ring_h, {"shm/README.md", "`ring.h` `tests/shm/ring_test.cc`\n"}}),
            "shm/README.md:1: names tests/shm/ring_test.cc, which is gone\n");
  EXPECT_EQ(check({ring_h, {"shm/README.md", "`ring.h` `<liburing.h>` `*.h` `a.b.c()`\n"}}), "");
}

TEST(Documents, AreMissing) {
  EXPECT_EQ(check({ring_h}), "shm/README.md:1: missing: the folder has sources\n");
  EXPECT_EQ(check({{"CMakeLists.txt", ""}, {".ci/run", "#!/bin/sh\n"}}), "");
}

TEST(Documents, FitAScreen) {
  std::string text = "`ring.h`\n";
  for (int line = 1; line < 60; ++line) text += "words\n";
  EXPECT_EQ(check({ring_h, {"shm/README.md", text}}), "");
  EXPECT_EQ(check({ring_h, {"shm/README.md", text + "more\n"}}),
            "shm/README.md:61: README of 61 lines, at most 60\n");
}

TEST(Source, KeepsCodeAndCommentsApart) {
  const auto lines = split_comments("a(\"x // y\"); // z\n/* b\nc */ d");
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].code, "a(\"\"); ");
  EXPECT_EQ(lines[0].comment, " z");
  EXPECT_EQ(lines[1].comment, " b");
  EXPECT_EQ(lines[2].code, " d");
}

TEST(Source, KnowsItsLanguages) {
  EXPECT_EQ(language_of({"shm/ring.h", ""}), Language::cpp);
  EXPECT_EQ(language_of({"tools/run", "#!/bin/sh\n"}), Language::script);
  EXPECT_EQ(language_of({"CMakeLists.txt", ""}), Language::script);
  EXPECT_EQ(language_of({"README.md", ""}), Language::document);
  EXPECT_EQ(language_of({"tests/fuzz/corpus/frame/1", "\x7f"}), Language::other);
}

TEST(Source, FindsWholeWords) {
  EXPECT_EQ(find_word("reload load", "load"), 7u);
  EXPECT_EQ(find_word("loads", "load"), std::string_view::npos);
}

TEST(Tidy, RunsEveryRuleOverATree) {
  const Tree tree{{"shm/ring.cc", "x = a.load();\n"}};
  const auto text = describe(check_tree(tree));
  EXPECT_NE(text.find("does not open with a sentence"), std::string::npos);
  EXPECT_NE(text.find("does not name its memory order"), std::string::npos);
  EXPECT_NE(text.find("missing: the folder has sources"), std::string::npos);
}

}  // namespace
}  // namespace loopline::tidy
