// Idle: stations made through the library, a broker started as people start it.
#include "idle.h"

#include <loopline/loopline.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <random>
#include <thread>

#include "io/log/paths.h"
#include "perf/durable/rounds.h"
#include "perf/harness/text.h"
#include "shm/base/clock.h"
#include "shm/base/units.h"
#include "shm/instance.h"
#include "tool.h"

namespace loopline::perf {
namespace {

using namespace std::chrono_literals;

constexpr int station_count = 1000;
constexpr int quick_station_count = 20;
constexpr uint64_t ring_bytes = 64_KiB;
constexpr auto settle = 3s;  // what follows an opening is over
constexpr uint64_t idle_ns = 10'000'000'000;
constexpr int messages_count = 200;
constexpr auto patience = 60s;
constexpr uint64_t segment_bytes = 64_KiB;
constexpr int sealed_count = 1000;

std::string name_of(int number) { return "idle/station-" + std::to_string(number); }

class Table {
 public:
  explicit Table(DiskBench& bench) : bench_(bench) {}
  void add(const std::string& what, const std::string& figure, double value) {
    rows_.push_back({what, figure});
    JsonObject object;
    object.text("bench", "broker").text("subject", what).number("value", value);
    if (bench_.json) bench_.json->put(object);
  }
  void add_time(const std::string& what, double ns) { add(what, format_duration_rounded(ns), ns); }
  void add_bytes(const std::string& what, double bytes) {
    add(what, format_size_rounded(bytes), bytes);
  }
  void add_times(const std::string& what, const std::vector<double>& ns) {
    const MinMedianMax of = middle_of(ns);
    add(what,
        format_duration_rounded(of.median) + " (" + format_duration_rounded(of.min) + " .. " +
            format_duration_rounded(of.max) + ")",
        of.median);
  }
  void add_distribution(const std::string& what, const Histogram& of) {
    for (const auto& [name, share] : {std::pair{"p50", 50.0}, {"p99", 99.0}, {"max", 100.0}}) {
      add_time(what + ", " + name, static_cast<double>(of.percentile(share)));
    }
  }
  void print() const { std::fputs(format_table(rows_, {1}).c_str(), stdout); }

 private:
  DiskBench& bench_;
  std::vector<std::vector<std::string>> rows_{{"", ""}};
};

struct Instance {
  std::string dir;
  std::string data;
};

Result<Instance> instance_in(const std::string& dir) {
  std::filesystem::create_directories(dir);
  LL_TRY(paths, shm::find_instance(dir));
  return Instance{dir, io::data_folder_of(paths)};
}

// One of them, its share of a processor over some seconds, its memory and the disk's.
Status measure_rest(Table& table, const Instance& instance, const BrokerProcess& broker,
                    const std::string& when, uint64_t span_ns) {
  std::this_thread::sleep_for(settle);
  LL_TRY(before, cost_of(broker.pid()));
  const uint64_t begin_ns = monotonic_ns();
  std::this_thread::sleep_for(std::chrono::nanoseconds(span_ns));
  LL_TRY(after, cost_of(broker.pid()));
  const auto wall_ns = static_cast<double>(monotonic_ns() - begin_ns);
  const double share = 100.0 * static_cast<double>(after.cpu_ns - before.cpu_ns) / wall_ns;
  table.add(when + ": of one processor", three_digits(share) + " %", share);
  table.add_bytes(when + ": memory of its own", static_cast<double>(after.anonymous_bytes));
  table.add_bytes(when + ": rings touched", static_cast<double>(after.shared_bytes));
  table.add(when + ": threads", std::to_string(after.threads), after.threads);
  table.add_bytes(when + ": disk", static_cast<double>(disk_bytes_below(instance.data)));
  return ok();
}

Status make_stations(Table& table, const Instance& instance, int count) {
  Histogram made_ns;
  for (int number = 0; number < count; ++number) {
    const uint64_t begin_ns = monotonic_ns();
    LL_TRY_STATUS(Station::create(name_of(number), {.ring = ring_bytes, .storage = Storage::file},
                                  instance.dir));
    made_ns.record(monotonic_ns() - begin_ns);
  }
  table.add_distribution("a station is made on disk", made_ns);
  return ok();
}

// One message to each of some stations that rest, a few milliseconds apart.
Status measure_first_messages(Table& table, const Instance& instance, int count,
                              const std::string& what) {
  Histogram durable_ns;
  std::mt19937 random(1);
  for (int message = 0; message < std::min(messages_count, count); ++message) {
    LL_TRY(station, Station::open(name_of(static_cast<int>(random() % count)), instance.dir));
    LL_TRY(producer, station.producer());
    std::this_thread::sleep_for(5ms);
    const uint64_t begin_ns = monotonic_ns();
    LL_TRY_STATUS(producer.publish("one", {.timeout = patience, .ack = Ack::durable}));
    durable_ns.record(monotonic_ns() - begin_ns);
  }
  table.add_distribution(what, durable_ns);
  return ok();
}

Status publish_to_all(const Instance& instance, int count) {
  for (int number = 0; number < count; ++number) {
    LL_TRY(station, Station::open(name_of(number), instance.dir));
    LL_TRY(producer, station.producer());
    LL_TRY_STATUS(producer.publish("one", {.timeout = patience, .ack = Ack::durable}));
  }
  return ok();
}

// Started after a SIGKILL, until it is ready and a message to `station` is durable.
Status measure_restarts(Table& table, const Instance& instance, const std::string& station,
                        uint32_t times, const std::string& what) {
  std::vector<double> ready_ns, durable_ns;
  for (uint32_t count = 0; count < times; ++count) {
    const uint64_t begin_ns = monotonic_ns();
    LL_TRY(broker, BrokerProcess::start(instance.dir));
    ready_ns.push_back(static_cast<double>(broker.started_ns()));
    LL_TRY(opened, Station::open(station, instance.dir));
    LL_TRY(producer, opened.producer());
    LL_TRY_STATUS(producer.publish("one", {.timeout = patience, .ack = Ack::durable}));
    durable_ns.push_back(static_cast<double>(monotonic_ns() - begin_ns));
    broker.kill();
  }
  table.add_times(what + ": ready after", ready_ns);
  table.add_times(what + ": the last station's next message durable after", durable_ns);
  return ok();
}

Status measure_many(Table& table, const Instance& instance, const Options& options) {
  const int count = options.is_quick ? quick_station_count : station_count;
  const uint64_t span_ns = options.is_quick ? idle_ns / 10 : idle_ns;
  LL_TRY_STATUS(make_stations(table, instance, count));
  LL_TRY(broker, BrokerProcess::start(instance.dir));
  table.add_time("the broker is ready after", static_cast<double>(broker.started_ns()));
  LL_TRY_STATUS(measure_rest(table, instance, broker, "never used", span_ns));
  LL_TRY_STATUS(measure_first_messages(table, instance, count, "first message, until durable"));
  LL_TRY_STATUS(publish_to_all(instance, count));
  LL_TRY_STATUS(measure_first_messages(table, instance, count, "a later one, until durable"));
  LL_TRY_STATUS(measure_rest(table, instance, broker, "used once", span_ns));
  broker.kill();
  return measure_restarts(table, instance, name_of(count - 1), options.schedule.repetitions,
                          "after SIGKILL");
}

Status measure_sealed(Table& table, const Instance& instance, const Options& options) {
  LL_TRY(station, Station::create("sealed", {.storage = Storage::file, .segment = segment_bytes},
                                  instance.dir));
  {
    LL_TRY(broker, BrokerProcess::start(instance.dir));
    LL_TRY(producer, station.producer());
    const std::string message(16_KiB, 'x');  // three of them, or some more, fill a segment
    const PublishOptions visible{.timeout = patience, .ack = Ack::visible};
    const int wanted = options.is_quick ? sealed_count / 50 : sealed_count;
    for (int count = 0; count < 3 * wanted; ++count) {
      LL_TRY_STATUS(producer.publish(message, visible));
    }
    LL_TRY_STATUS(producer.publish("last", {.timeout = patience, .ack = Ack::durable}));
    broker.kill();
  }
  const std::string folder = io::log_folder(instance.data, {"main", "sealed"}, 0);
  uint64_t segments = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    if (file.path().extension() == ".segment") ++segments;
  }
  table.add("segments of 64KiB, all but a few sealed", format_count(segments),
            static_cast<double>(segments));
  return measure_restarts(table, instance, "sealed", options.schedule.repetitions,
                          "after SIGKILL with these");
}

Status measure_in(DiskBench& bench, const Instance& idle, const Instance& one,
                  const Options& options) {
  Table many(bench), sealed(bench);
  LL_TRY_STATUS(measure_many(many, idle, options));
  const int count = options.is_quick ? quick_station_count : station_count;
  std::printf("\n%d idle stations on disk, rings of %s\n", count, format_size(ring_bytes).c_str());
  many.print();
  LL_TRY_STATUS(measure_sealed(sealed, one, options));
  std::puts("\none station with many segments");
  sealed.print();
  return ok();
}

}  // namespace

Status measure_idle(DiskBench& bench, const Options& options) {
  LL_TRY(idle, instance_in(bench.folder.path() + "/idle"));
  LL_TRY(one, instance_in(bench.folder.path() + "/sealed"));
  Status measured = measure_in(bench, idle, one, options);
  forget_rings(idle.dir);
  forget_rings(one.dir);
  return measured;
}

}  // namespace loopline::perf
