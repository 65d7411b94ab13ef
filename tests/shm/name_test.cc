// Tests of names: what is a name, and how a bad one is refused.
#include "shm/name.h"

#include <gtest/gtest.h>

#include "tests/support/must.h"

namespace loopline::shm {
namespace {

using test::fault_of;
using test::must;

TEST(Name, IsOneTo63PlainCharacters) {
  for (const char* good : {"a", "0", "orders", "a.b_c-d", "0rders", "x..", "orders.dls"}) {
    EXPECT_TRUE(is_name(good)) << good;
  }
  EXPECT_TRUE(is_name(std::string(63, 'a')));
  for (const char* bad : {"", ".", "-a", "_a", "A", "a b", "a/b", "a@b", "\xc3\xa4", "a\n"}) {
    EXPECT_FALSE(is_name(bad)) << bad;
  }
  EXPECT_FALSE(is_name(std::string(64, 'a')));
  EXPECT_FALSE(is_name(std::string_view("a\0b", 3)));
}

TEST(StationName, BelongsToTheFactoryMainUnlessItSaysAnother) {
  EXPECT_EQ(must(parse_station_name("orders")).text(), "main/orders");
  EXPECT_EQ(must(parse_station_name("billing/orders")).text(), "billing/orders");
}

TEST(StationName, IsRefusedWithTheCharacterThatIsWrong) {
  const auto refused = [](std::string_view text, const std::string& words) {
    const Fault fault = fault_of(parse_station_name(text));
    EXPECT_EQ(fault.code(), FaultCode::invalid_argument);
    EXPECT_NE(fault.message().find(words), std::string::npos) << fault.message();
  };
  refused("Orders", "'O' may not stand at place 1 of its name");
  refused("ord ers", "' ' may not stand at place 4 of its name");
  refused("bi@l/orders", "'@' may not stand at place 3 of its factory");
  refused("a/b/c", "'/' may not stand at place 2 of its name");
  refused(".a", "'.' may not stand at place 1 of its name");
  refused("a\x1b", "byte 0x1b may not stand at place 2");
  refused("", "its name is empty");
  refused("/", "its factory is empty");
  refused("a/", "its name is empty");
  refused(std::string(64, 'a'), "its name has 64 characters");
  EXPECT_EQ(fault_of(parse_station_name("a\x1b")).message().find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace loopline::shm
