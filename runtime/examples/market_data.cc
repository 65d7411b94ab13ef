// Market data: one feed, a fast reader that misses nothing, a slow one that wants only the newest.
//
//   market_data [FOLDER]   the instance; LOOPLINE_DIR and its kin if none is named
//
// The slow reader is lossy: the feed never waits for it. It is told how many quotes it missed, and
// keeps the newest of each symbol; that is all a screen needs.
#include <loopline/loopline.h>

#include <chrono>
#include <cstring>
#include <iostream>
#include <map>
#include <span>
#include <string>
#include <thread>

using namespace loopline::literals;

namespace {

constexpr uint64_t quotes = 200'000;
constexpr const char* symbols[] = {"AAPL", "MSFT", "NVDA"};

struct Reader {
  loopline::Consumer consumer;
  std::chrono::milliseconds pause{0};  // between two looks
  uint64_t read = 0, missed = 0;
  std::map<std::string, uint64_t, std::less<>> newest;  // by symbol

  // Until the feed ends.
  void run() {
    const auto take = [this](const loopline::Message& message) {
      uint64_t price = 0;
      std::memcpy(&price, message.payload().data(), sizeof price);
      newest.insert_or_assign(std::string(message.key()), price);
      ++read;
    };
    while (consumer.wait(loopline::forever) && consumer.poll(take)) {
      missed += consumer.gap().count;
      std::this_thread::sleep_for(pause);
    }
  }
};

loopline::Status feed(const loopline::Station& station) {
  LL_TRY(producer, station.producer());
  for (uint64_t price = 1; price <= quotes; ++price) {
    const auto bytes = std::as_bytes(std::span(&price, 1));
    LL_TRY_STATUS(producer.publish(bytes, {.key = symbols[price % std::size(symbols)]}));
  }
  return loopline::ok();
}

void report(const char* name, const Reader& reader) {
  std::cout << name << ": " << reader.read + reader.missed << " quotes read or known as missed;";
  for (const auto& [symbol, price] : reader.newest) std::cout << " " << symbol << " " << price;
  std::cout << "\n";
}

loopline::Status trade(const char* dir) {
  LL_TRY(station, loopline::Station::open_or_create("quotes", {.ring = 64_KiB}, dir));
  LL_TRY(lossless, station.consumer());
  LL_TRY(lossy, station.consumer({.lossy = true}));
  Reader fast{std::move(lossless)};
  Reader slow{std::move(lossy), std::chrono::milliseconds(5)};
  std::thread fast_thread(&Reader::run, &fast), slow_thread(&Reader::run, &slow);
  const auto fed = feed(station);
  // Both are told that the feed is over, and read to its end first.
  const auto removed = loopline::Station::remove("quotes", dir);
  fast_thread.join();
  slow_thread.join();
  if (!fed) return fed.fault();
  if (!removed) return removed.fault();
  report("fast", fast);
  report("slow", slow);
  std::cout << "fast missed " << fast.missed << "\n";
  return loopline::ok();
}

}  // namespace

int main(int argc, char** argv) {
  const auto done = trade(argc > 1 ? argv[1] : "");
  if (done) return 0;
  std::cerr << done.fault().message() << "\n";
  return 1;
}
