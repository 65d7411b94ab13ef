// Station conf fuzz: any bytes as a station's parameters on disk, io/log/station_conf.h.
#include <string>

#include "io/log/station_conf.h"
#include "shm/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace loopline;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto conf = io::parse_station_conf(text, "file");
  if (!conf) {
    LL_CHECK(conf.fault().message().size() < 1024);
    for (const char letter : conf.fault().message()) LL_CHECK(letter >= ' ');
    return 0;
  }
  // What was accepted can be written, and read again it says the same.
  const std::string written = io::text_of(*conf);
  LL_CHECK(written.size() <= io::station_file_bytes_max);
  const auto again = io::parse_station_conf(written, "again");
  LL_CHECK(again);
  LL_CHECK(*again == *conf);
  return 0;
}
