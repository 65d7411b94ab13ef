// Factory fuzz: any bytes as a factory's file, and any value for one of its keys.
//
// An input is the file; its first line is also cut at the first `=` into a key and a value, as the
// command line gives them.
#include <string>

#include "input.h"
#include "shm/base/check.h"
#include "shm/factory.h"
#include "shm/owner.h"

namespace loopline::fuzz {
namespace {

// What was accepted can be written, and read again it says the same.
void check_again(const shm::FactorySettings& settings) {
  if (!shm::check_factory(settings)) return;
  const std::string text = shm::text_of(settings);
  LL_CHECK(text.size() <= shm::factory_file_bytes_max);
  const auto again = shm::parse_factory(text, "again");
  LL_CHECK(again);
  LL_CHECK(*again == settings);
}

void check_refusal(const Fault& fault) {
  LL_CHECK(fault.message().size() < 1024);
  for (const char letter : fault.message()) LL_CHECK(letter >= ' ');
}

}  // namespace
}  // namespace loopline::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace loopline;
  using namespace loopline::fuzz;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto parsed = shm::parse_factory(text, "file");
  if (parsed) check_again(*parsed);
  if (!parsed) check_refusal(parsed.fault());
  const std::string_view line = text.substr(0, text.find('\n'));
  const size_t equals = std::min(line.find('='), line.size());
  shm::FactorySettings settings;
  const auto value = line.substr(std::min(equals + 1, line.size()));
  const auto set = shm::set_factory_key(settings, line.substr(0, equals), value);
  if (set) check_again(settings);
  if (!set) check_refusal(set.fault());
  return 0;
}
