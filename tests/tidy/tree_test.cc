// The tidy test itself: the whole project, by every rule.

#include <gtest/gtest.h>

#include "rules.h"

namespace loopline::tidy {
namespace {

TEST(Tidy, TheTreeKeepsTheRules) {
  const auto tree = read_tree(LL_SOURCE_DIR);
  ASSERT_FALSE(tree.empty());
  const auto findings = check_tree(tree);
  EXPECT_TRUE(findings.empty()) << findings.size() << " findings\n" << describe(findings);
}

TEST(Tidy, TheTreeHasTheFilesEveryBuildNeeds) {
  std::size_t found = 0;
  for (const auto& file : read_tree(LL_SOURCE_DIR)) {
    if (file.path == "CMakeLists.txt" || file.path == "tests/tidy/tree_test.cc") ++found;
  }
  EXPECT_EQ(found, 2u);
}

}  // namespace
}  // namespace loopline::tidy
