// A stranger's program in C++: publishes words into a station, or prints what is there.
//
//   exchange_cc publish STATION WORD...        exchange_cc read STATION COUNT
#include <loopline/loopline.h>

#include <cstdlib>
#include <iostream>
#include <string_view>

namespace {

int failed(const loopline::Fault& fault) {
  std::cerr << name_of(fault.code()) << ": " << fault.message() << "\n";
  return 1;
}

int publish(const loopline::Station& station, int count, char** words) {
  auto producer = station.producer();
  if (!producer) return failed(producer.fault());
  for (int index = 0; index < count; ++index) {
    const auto sequence = producer->publish(words[index], {.key = "outside"});
    if (!sequence) return failed(sequence.fault());
  }
  return 0;
}

int read(const loopline::Station& station, size_t count) {
  auto consumer = station.consumer({.from = loopline::From::earliest});
  if (!consumer) return failed(consumer.fault());
  while (count != 0) {
    const auto ready = consumer->wait(loopline::forever);
    if (!ready) return failed(ready.fault());
    const auto print = [](const loopline::Message& message) {
      std::cout << message.key() << ":" << message.text() << "\n";
    };
    const auto polled = consumer->poll(print, count);
    if (!polled) return failed(polled.fault());
    count -= *polled;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const auto station = loopline::Station::open_or_create(argv[2], {.ring = 65536});
  if (!station) return failed(station.fault());
  if (std::string_view(argv[1]) == "publish") return publish(*station, argc - 3, argv + 3);
  return read(*station, std::strtoul(argv[3], nullptr, 10));
}
