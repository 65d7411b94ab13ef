// Behind: rounds of three runs: the bare disk read, the producer alone, the producer and a reader.
//
// The producer publishes 256 bytes at a time and waits until they are durable; the reader is a
// consumer of its own thread that begins at the oldest message and ends when it has reached the
// ring. Flusher, producer and reader sleep when they have nothing to do: there are two processors.
#include "behind.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <thread>

#include "disk.h"
#include "disk_bench.h"
#include "perf/harness/text.h"
#include "perf/peers/file_station.h"
#include "rounds.h"
#include "shm/base/clock.h"
#include "shm/base/units.h"

namespace loopline::perf {
namespace {

constexpr uint64_t large_bytes = 64_KiB;
constexpr uint64_t alone_ns = 3'000'000'000;
constexpr uint64_t raw_ns = 2'000'000'000;
constexpr auto patience = std::chrono::nanoseconds(keeper_patience_ns);
constexpr double reader_share_min = 0.7;  // of the bare disk (LOG.md)
constexpr double p99_max = 2;             // times the producer's alone

struct Commits {
  Histogram latency_ns;
  double wall_s = 0;
};

// Publishes until `is_over`, each message durable before the next.
template <class IsOver>
Status publish(Producer& producer, Commits& commits, const IsOver& is_over) {
  const std::vector<std::byte> message(durable_message_bytes, std::byte{0x5a});
  const uint64_t begin_ns = monotonic_ns();
  while (!is_over()) {
    const uint64_t sent_ns = monotonic_ns();
    LL_TRY_STATUS(producer.publish(message, {.timeout = patience, .ack = Ack::durable}));
    commits.latency_ns.record(monotonic_ns() - sent_ns);
  }
  commits.wall_s = static_cast<double>(monotonic_ns() - begin_ns) / 1e9;
  return ok();
}

Status fill(Producer& producer, uint64_t bytes) {
  const std::vector<std::byte> message(large_bytes, std::byte{0x5a});
  const PublishOptions visible{.ack = Ack::visible};
  for (uint64_t sent = 0; sent < bytes; sent += large_bytes) {
    LL_TRY_STATUS(producer.publish(message, visible));
  }
  LL_TRY(last, producer.publish_async(message));
  return producer.wait(last, Ack::durable, patience);
}

// From the oldest message until the first that was published after the reader began.
struct CatchUpRun {
  uint64_t bytes = 0;
  uint64_t messages = 0;
  double wall_s = 0;
  bool is_complete = true;  // no sequence missing or out of order
  Status status;
};

void catch_up(Station& station, uint64_t last_sequence, CatchUpRun& run, std::atomic<bool>& over) {
  run.status = [&]() -> Status {
    const uint64_t begin_ns = monotonic_ns();
    LL_TRY(consumer, station.consumer({.from = From::earliest, .wait = Wait::park}));
    uint64_t next = 0;
    while (next <= last_sequence) {
      LL_TRY(count, consumer.poll([&](const Message& message) {
        if (next != 0 && message.sequence() != next) run.is_complete = false;
        next = message.sequence() + 1;
        run.bytes += message.payload().size();
        ++run.messages;
      }));
      if (count == 0) LL_TRY_STATUS(consumer.wait(patience));
    }
    run.wall_s = static_cast<double>(monotonic_ns() - begin_ns) / 1e9;
    return ok();
  }();
  over.store(true, std::memory_order_release);  // release [over]: the run's figures
}

// The sealed segments as bare files, on from where the last call ended; the others are renamed yet.
class RawSegments {
 public:
  explicit RawSegments(const std::string& folder) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const std::string file = entry.path().filename().string();
      const bool is_sealed = file.ends_with(".segment") && file.find('@') != std::string::npos;
      if (is_sealed) files_.push_back(entry.path().string());
    }
    std::sort(files_.begin(), files_.end());
  }
  // Bytes a second.
  Result<double> read(uint64_t measure_ns) {
    uint64_t bytes = 0;
    const uint64_t begin_ns = monotonic_ns();
    while (monotonic_ns() - begin_ns < measure_ns) {
      LL_TRY(one, read_file_raw(files_[next_++ % files_.size()]));
      bytes += one;
    }
    return static_cast<double>(bytes) * 1e9 / static_cast<double>(monotonic_ns() - begin_ns);
  }

 private:
  std::vector<std::string> files_;
  size_t next_ = 0;
};

struct BehindRound {
  double raw = 0, reader = 0;  // bytes a second
  Commits alone, beside;
};

Status run_round(FileStation& station, RawSegments& raw, BehindRound& round) {
  LL_TRY(raw_rate, raw.read(raw_ns));
  round.raw = raw_rate;
  const uint64_t alone_end_ns = monotonic_ns() + alone_ns;
  LL_TRY_STATUS(
      publish(station.producer(), round.alone, [&] { return monotonic_ns() >= alone_end_ns; }));
  LL_TRY(last, station.producer().publish(std::string_view("the reader begins")));
  CatchUpRun run;
  std::atomic<bool> over{false};
  std::thread reader([&] { catch_up(station.station(), last, run, over); });
  // acquire [over]: the run's figures
  Status published = publish(station.producer(), round.beside,
                             [&] { return over.load(std::memory_order_acquire); });
  reader.join();
  LL_TRY_STATUS(std::move(published));
  LL_TRY_STATUS(std::move(run.status));
  if (!run.is_complete) return Fault(FaultCode::corrupted, "the reader missed messages");
  round.reader = static_cast<double>(run.bytes) / run.wall_s;
  return ok();
}

double percentile_of(const Commits& commits, double percent) {
  return static_cast<double>(commits.latency_ns.percentile(percent));
}

std::vector<std::string> row_of(const std::string& name, const std::vector<BehindRound>& rounds,
                                Commits BehindRound::*commits) {
  const auto median = [&](double percent) {
    std::vector<double> values;
    for (const auto& round : rounds) values.push_back(percentile_of(round.*commits, percent));
    return format_duration_rounded(middle_of(std::move(values)).median);
  };
  uint64_t max = 0;
  std::vector<double> rates;
  for (const auto& round : rounds) {
    const Commits& of = round.*commits;
    max = std::max(max, of.latency_ns.max());
    rates.push_back(static_cast<double>(of.latency_ns.count()) / of.wall_s);
  }
  return {name,
          median(50),
          median(99),
          median(99.9),
          format_duration_rounded(static_cast<double>(max)),
          format_rate(middle_of(std::move(rates)).median, "/s")};
}

template <class Figure>
MinMedianMax middle_of_rounds(const std::vector<BehindRound>& rounds, const Figure& figure) {
  std::vector<double> values;
  for (const auto& round : rounds) values.push_back(figure(round));
  return middle_of(std::move(values));
}

void print(const std::vector<BehindRound>& rounds) {
  std::printf("\n%s", format_table({{"producer", "p50", "p99", "p99.9", "max", "rate"},
                                    row_of("alone", rounds, &BehindRound::alone),
                                    row_of("beside the reader", rounds, &BehindRound::beside)},
                                   {1, 2, 3, 4, 5})
                          .c_str());
  const auto share =
      middle_of_rounds(rounds, [](const auto& round) { return round.reader / round.raw; });
  const auto p99 = middle_of_rounds(rounds, [](const auto& round) {
    return percentile_of(round.beside, 99) / percentile_of(round.alone, 99);
  });
  const auto rate = middle_of_rounds(rounds, [](const auto& round) { return round.reader; });
  const auto raw = middle_of_rounds(rounds, [](const auto& round) { return round.raw; });
  std::printf("\nreader     %s (%s .. %s), the bare disk %s (%s .. %s)\n",
              format_rate(rate.median, "B/s").c_str(), format_rate(rate.min, "B/s").c_str(),
              format_rate(rate.max, "B/s").c_str(), format_rate(raw.median, "B/s").c_str(),
              format_rate(raw.min, "B/s").c_str(), format_rate(raw.max, "B/s").c_str());
  std::printf("promised   reader %sx >= %sx the bare disk: %s\n",
              three_digits(share.median).c_str(), three_digits(reader_share_min).c_str(),
              share.median >= reader_share_min ? "pass" : "miss");
  std::printf("promised   p99 of the producer %sx <= %sx that alone: %s\n",
              three_digits(p99.median).c_str(), three_digits(p99_max).c_str(),
              p99.median <= p99_max ? "pass" : "miss");
}

JsonObject json_of(const BehindRound& round) {
  JsonObject object;
  object.text("bench", "behind");
  object.rounded("raw_bytes_per_s", round.raw).rounded("reader_bytes_per_s", round.reader);
  for (const bool is_alone : {true, false}) {
    const Histogram& latency = (is_alone ? round.alone : round.beside).latency_ns;
    const std::string prefix = is_alone ? "alone_" : "beside_";
    const auto put = [&](const char* name, uint64_t value) {
      object.count((prefix + name).c_str(), value);
    };
    put("p50_ns", latency.percentile(50));
    put("p99_ns", latency.percentile(99));
    put("p999_ns", latency.percentile(99.9));
    put("max_ns", latency.max());
    put("message_count", latency.count());
  }
  return object;
}

}  // namespace

Result<int> measure_behind(const Options& options, const std::vector<std::string>& command) {
  LL_TRY(bench, begin_disk_bench(options, command));
  StationOptions station_options;
  station_options.ring = 64_MiB;
  LL_TRY(station, FileStation::start(bench.folder.path(), station_options, shm::WaitKind::park));
  const uint64_t fill_begin_ns = monotonic_ns();
  LL_TRY_STATUS(fill(station->producer(), options.bytes));
  std::printf("filled     %s in %s\n",
              (three_digits(static_cast<double>(options.bytes) / 1e9) + "GB").c_str(),
              format_duration_rounded(static_cast<double>(monotonic_ns() - fill_begin_ns)).c_str());
  std::fflush(stdout);
  RawSegments raw(station->log_folder());
  std::vector<BehindRound> rounds;
  for (uint32_t number = 0; number < options.schedule.repetitions; ++number) {
    rounds.emplace_back();
    LL_TRY_STATUS(run_round(*station, raw, rounds.back()));
    if (bench.json) bench.json->put(json_of(rounds.back()));
  }
  print(rounds);
  return 0;
}

}  // namespace loopline::perf
