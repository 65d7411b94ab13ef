// StationTest: an instance of the test's own, and verbs to open stations, publish and read in it.
#pragma once

#include <gtest/gtest.h>
#include <loopline/loopline.h>

#include <string>
#include <vector>

#include "tests/support/must.h"
#include "tests/support/temp_instance.h"

namespace loopline {

using test::code_of;
using test::contains;
using test::fault_of;
using test::must;

// The messages that are there now, as text.
inline std::vector<std::string> texts_of(Consumer& consumer) {
  std::vector<std::string> texts;
  const auto note = [&](const Message& message) { texts.emplace_back(message.text()); };
  while (must(consumer.poll(note)) != 0) {
  }
  return texts;
}

// All of them until the station is said to be gone.
inline std::vector<std::string> texts_until_closed(Consumer& consumer) {
  std::vector<std::string> texts;
  const auto note = [&](const Message& message) { texts.emplace_back(message.text()); };
  for (;;) {
    const auto polled = consumer.poll(note);
    if (polled) continue;
    EXPECT_EQ(polled.fault().code(), FaultCode::closed);
    return texts;
  }
}

template <class... Text>
std::vector<std::string> texts(Text... text) {
  return {std::string(text)...};
}

class StationTest : public testing::Test {
 protected:
  const std::string& dir() const { return instance_.folder(); }
  Station open_or_create(std::string_view name, const StationOptions& options = {}) const {
    return must(Station::open_or_create(name, options, dir()));
  }
  Result<Station> try_create(std::string_view name, const StationOptions& options) const {
    return Station::create(name, options, dir());
  }
  // The ring's file, as whoever damages it has it.
  std::string ring_file(const std::string& station, uint32_t generation = 1) const {
    return instance_.paths().shm + "/main@" + station + "@0@" + std::to_string(generation) +
           ".ring";
  }
  const test::TempInstance& instance() const { return instance_; }

 private:
  test::TempInstance instance_;
};

}  // namespace loopline
