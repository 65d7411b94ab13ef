// Hello: a station, one message in, the same message out.
//
//   hello [FOLDER]       the instance; LOOPLINE_DIR and its kin if none is named
#include <loopline/loopline.h>

#include <iostream>

using namespace loopline::literals;

namespace {

loopline::Status greet(const char* dir) {
  LL_TRY(station, loopline::Station::open_or_create("hello", {.ring = 64_KiB}, dir));
  LL_TRY(consumer, station.consumer());  // reads what comes from now on
  LL_TRY(producer, station.producer());

  LL_TRY(sequence, producer.publish("hello, world", {.key = "greeting"}));
  std::cout << "published message " << sequence << "\n";

  LL_TRY_STATUS(consumer.wait(loopline::forever));
  LL_TRY(count, consumer.poll([](const loopline::Message& message) {
    std::cout << "read \"" << message.text() << "\" with key " << message.key() << "\n";
  }));
  std::cout << count << " message, nothing copied\n";
  return loopline::Station::remove("hello", dir);
}

}  // namespace

int main(int argc, char** argv) {
  const auto done = greet(argc > 1 ? argv[1] : "");
  if (done) return 0;
  std::cerr << done.fault().message() << "\n";
  return 1;
}
