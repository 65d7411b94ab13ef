// Tests of the rule on function length: what counts as a function, and where it starts and ends.

#include <gtest/gtest.h>

#include "rules.h"

namespace loopline::tidy {
namespace {

std::string body(std::size_t lines) {
  std::string text;
  for (std::size_t index = 0; index < lines; ++index) text += "  step();\n";
  return text;
}

std::string check_size(const std::string& text) {
  return describe(check_function_size({"a.cc", text}));
}

TEST(FunctionSize, IsSeventyLines) {
  EXPECT_EQ(check_size("void f() {\n" + body(68) + "}\n"), "");
  EXPECT_EQ(check_size("\nvoid f() {\n" + body(69) + "}\n"),
            "a.cc:2: function of 71 lines, at most 70\n");
}

TEST(FunctionSize, CountsFromTheSignature) {
  EXPECT_EQ(check_size("int g();\nvoid f(int a,\n       int b) {\n" + body(68) + "}\n"),
            "a.cc:2: function of 71 lines, at most 70\n");
}

TEST(FunctionSize, IsAskedOfEveryFunction) {
  const auto large = body(70) + "}\n";
  EXPECT_NE(check_size("void Ring::push(int a) const noexcept {\n" + large), "");
  EXPECT_NE(check_size("TEST(Ring, Holds) {\n" + large), "");
  EXPECT_NE(check_size("class A {\n public:\n  void f() {\n" + large + "};\n"), "");
  EXPECT_NE(check_size("template <class T>\nauto f(T a) -> int {\n" + large), "");
  EXPECT_NE(check_size("extern \"C\" int f(int a) {\n" + large), "");
  EXPECT_NE(check_size("A::A(int b) : b_(b), c_{b} {\n" + large), "");
  EXPECT_NE(check_size("A::A(int b)\n    : b_{b}, c_(b) {\n" + large), "");
  EXPECT_NE(check_size("void f(std::string a = {}) {\n" + large), "");
}

TEST(FunctionSize, IsNotAskedOfScopes) {
  EXPECT_EQ(check_size("namespace a {\n" + body(90) + "}\n"), "");
  EXPECT_EQ(check_size("struct alignas(16) A : B<int> {\n" + body(90) + "};\n"), "");
  EXPECT_EQ(check_size("extern \"C\" {\n" + body(90) + "}\n"), "");
  EXPECT_EQ(check_size("const int table[] = {\n" + body(90) + "};\n"), "");
  EXPECT_EQ(check_size("template <class T>\nclass A {\n" + body(90) + "};\n"), "");
}

TEST(FunctionSize, IsNotMisledByBracesThatAreNotCode) {
  EXPECT_EQ(check_size("void f() { say(\"{{{\"); }  // {\n#define LL_A {\n" + body(90)), "");
  EXPECT_EQ(check_size("char c = '{';\nint n = 1'000;\nvoid f() {\n}\n" + body(90)), "");
  EXPECT_EQ(check_size("auto s = R\"(\n{{{\n)\";\nvoid f() {\n}\n" + body(90)), "");
}

TEST(FunctionSize, CountsEachFunctionByItself) {
  const auto half = "void f() {\n" + body(40) + "}\n";
  EXPECT_EQ(check_size(half + half + half), "");
}

}  // namespace
}  // namespace loopline::tidy
