// Options: read by hand, because a library costs eleven seconds of compiling.
#include "options.h"

#include <algorithm>
#include <charconv>

#include "shm/base/bits.h"
#include "shm/base/units.h"

namespace loopline::perf {

const char* const usage =
    R"(Measures messages between processes, and messages on their way to the disk.

  loopline-bench ring [options]    all benches of all subjects, one table; under 6 minutes
  loopline-bench durable [options] publishing until acknowledged, beside Redis, RocksDB, SQLite,
                                   NATS, fio and the bare disk; under 8 minutes
  loopline-bench behind [options]  a reader 10 GB behind catches up beside a producer; 2 minutes
  loopline-bench recovery [options] opening logs whose writers were killed; 2 minutes
  loopline-bench broker [options]  what a broker costs those beside it, and what 1000 idle stations
                                   cost a broker; 5 minutes
  loopline-bench crowd             200 stations in 4 processes: attaching, and what the idle cost
  loopline-bench link [options]    how far apart the two processors are, for 10 seconds
  loopline-bench list              the benches, sizes and subjects there are

  --quick              about 30 seconds: shorter and fewer runs
  --only NAMES         these benches, such as rtt,one-way (durable: publish,write,read)
  --subject NAMES      these subjects, such as loopline,spsc
  --repetitions N      runs to keep for each case and distance (7, durable 5; quick: 3 and 2)
  --budget TIME        stop after this time (330s, durable 450s; quick: 28s and 50s)
  --folder FOLDER      all that write to a disk: the one that is meant (the build folder)
  --bytes SIZE         behind: how far, such as 1GiB (10000000000)
  --ring SIZE          bytes of ring each subject gets, a power of two (1MiB)
  --cpus A,B           the two processors (the first two)
  --realtime           where both sides spin, go before all else on the machine (needs root)
  --json FILE          each kept run as one line of JSON
  --plot FOLDER        percentile curves, and rates by size, as SVG (needs gnuplot)
  --help               this text

Exit status: 0 done, 1 something failed, 2 wrong usage.
)";

namespace {

constexpr uint64_t ring_bytes_min = 256_KiB;
constexpr uint64_t ring_bytes_max = 1_GiB;
constexpr uint64_t repetitions_max = 1000;

Fault wrong(const std::string& what) { return {FaultCode::invalid_argument, what}; }

std::vector<std::string> split_names(const std::string& text) {
  std::vector<std::string> names;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    names.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return names;
}

Result<uint64_t> parse_count(const std::string& text, uint64_t max) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > max) {
    return wrong("\"" + text + "\" is not a number up to " + std::to_string(max));
  }
  return value;
}

Status set_cpus(Options& options, const std::string& value) {
  const auto names = split_names(value);
  if (names.size() != 2) return wrong("--cpus takes two processors, such as 0,1");
  LL_TRY(first, parse_count(names[0], CPU_SETSIZE - 1));
  LL_TRY(second, parse_count(names[1], CPU_SETSIZE - 1));
  if (first == second) return wrong("--cpus takes two different processors");
  options.cpus = {static_cast<int>(first), static_cast<int>(second)};
  return ok();
}

Status set_ring(Options& options, const std::string& value) {
  LL_TRY(bytes, parse_size(value));
  if (!is_power_of_two(bytes) || bytes < ring_bytes_min || bytes > ring_bytes_max) {
    return wrong("--ring takes a power of two from " + format_size(ring_bytes_min) + " to " +
                 format_size(ring_bytes_max));
  }
  options.schedule.ring_bytes = bytes;
  return ok();
}

Status set_value(Options& options, const std::string& name, const std::string& value) {
  if (name == "--only") {
    options.benches = split_names(value);
  } else if (name == "--subject") {
    options.subjects = split_names(value);
  } else if (name == "--json") {
    options.json_path = value;
  } else if (name == "--folder") {
    options.folder = value;
  } else if (name == "--bytes") {
    LL_TRY(bytes, parse_size(value));
    options.bytes = bytes;
  } else if (name == "--plot") {
    options.plot_folder = value;
  } else if (name == "--cpus") {
    return set_cpus(options, value);
  } else if (name == "--ring") {
    return set_ring(options, value);
  } else if (name == "--budget") {
    LL_TRY(budget_ns, parse_duration(value));
    options.schedule.budget_ns = budget_ns;
  } else if (name == "--repetitions") {
    LL_TRY(count, parse_count(value, repetitions_max));
    if (count == 0) return wrong("--repetitions takes a number from 1");
    options.schedule.repetitions = static_cast<uint32_t>(count);
  } else {
    return wrong("unknown option " + name);
  }
  return ok();
}

Status set_command(Options& options, const std::string& name) {
  if (name == "ring") {
    options.command = Command::ring;
  } else if (name == "durable") {
    options.command = Command::durable;
    options.schedule.measure_ns = 1'500'000'000;
    options.schedule.repetitions = 5;
    options.schedule.budget_ns = 450'000'000'000;
  } else if (name == "behind" || name == "recovery") {
    options.command = name == "behind" ? Command::behind : Command::recovery;
    options.schedule.repetitions = 5;
  } else if (name == "broker") {
    options.command = Command::broker;
    options.schedule.budget_ns = 200'000'000'000;
  } else if (name == "crowd") {
    options.command = Command::crowd;
  } else if (name == "link") {
    options.command = Command::link;
    options.schedule.budget_ns = 10'000'000'000;
  } else if (name == "list") {
    options.command = Command::list;
  } else {
    return wrong("unknown command " + name +
                 "; there are ring, durable, behind, recovery, broker, crowd, link and list");
  }
  return ok();
}

void make_quick(Options& options) {
  options.is_quick = true;
  Schedule& schedule = options.schedule;
  if (options.command == Command::durable) {
    schedule.measure_ns = 100'000'000;
    schedule.repetitions = 2;
    schedule.budget_ns = 50'000'000'000;
    return;
  }
  schedule.measure_ns = 30'000'000;
  schedule.repetitions = 3;
  schedule.budget_ns = 28'000'000'000;
  schedule.patience_ns = 6'000'000'000;
}

// Whether each of `names` is the `field` of some case.
Status check_known(const Cases& cases, const std::vector<std::string>& names,
                   std::string Case::*field, const char* what) {
  for (const std::string& name : names) {
    const auto same = [&](const Case& one) { return one.*field == name; };
    if (std::any_of(cases.begin(), cases.end(), same)) continue;
    std::string known;
    for (const Case& one : cases) {
      const std::string shown = " " + one.*field;
      if ((known + " ").find(shown + " ") == std::string::npos) known += shown;
    }
    return wrong(std::string("no ") + what + " is called \"" + name + "\"; there are:" + known);
  }
  return ok();
}

bool is_asked_for(const std::vector<std::string>& names, const std::string& name) {
  return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Result<Options> parse_options(const std::vector<std::string>& arguments) {
  Options options;
  const auto has = [&](const char* name) {
    return std::find(arguments.begin(), arguments.end(), name) != arguments.end();
  };
  if (has("--help") || has("-h")) return options;
  if (arguments.empty())
    return wrong(
        "say what to measure: ring, durable, behind, recovery, broker, crowd, link or list");
  LL_TRY_STATUS(set_command(options, arguments.front()));
  // First, so that what is given beside it wins wherever it stands.
  if (has("--quick")) make_quick(options);
  for (size_t index = 1; index < arguments.size(); ++index) {
    std::string name = arguments[index];
    if (name == "--quick") continue;
    if (name == "--realtime") {
      options.schedule.is_realtime = true;
      continue;
    }
    const size_t equals = name.find('=');
    if (equals != std::string::npos) {
      LL_TRY_STATUS(set_value(options, name.substr(0, equals), name.substr(equals + 1)));
    } else if (!name.starts_with("--")) {
      return wrong("unexpected argument " + name);
    } else if (index + 1 == arguments.size()) {
      return wrong(name + " is unknown, or its value is missing");
    } else {
      LL_TRY_STATUS(set_value(options, name, arguments[++index]));
    }
  }
  return options;
}

Result<Cases> select_cases(Cases cases, const Options& options) {
  LL_TRY_STATUS(check_known(cases, options.benches, &Case::bench, "bench"));
  LL_TRY_STATUS(check_known(cases, options.subjects, &Case::subject, "subject"));
  std::vector<std::string> bench_order;
  for (const Case& one : cases) bench_order.push_back(one.bench);
  const auto rank = [&](const Case& one) {
    return std::find(bench_order.begin(), bench_order.end(), one.bench) - bench_order.begin();
  };
  std::erase_if(cases, [&](const Case& one) {
    return !is_asked_for(options.benches, one.bench) ||
           !is_asked_for(options.subjects, one.subject);
  });
  if (cases.empty()) return wrong("none of these subjects takes part in any of these benches");
  std::stable_sort(cases.begin(), cases.end(), [&](const Case& left, const Case& right) {
    if (rank(left) != rank(right)) return rank(left) < rank(right);
    return left.size_bytes < right.size_bytes;
  });
  return cases;
}

}  // namespace loopline::perf
