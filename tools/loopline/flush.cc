// flush: brings stations to disk, once or for as long as it runs.
#include <fmt/format.h>

#include <algorithm>

#include "commands.h"
#include "io/conf_watch.h"
#include "io/flush_sources.h"
#include "io/flusher.h"
#include "io/log/file_station.h"
#include "io/log/paths.h"
#include "json.h"
#include "options.h"
#include "runtime/broker/sole_broker.h"
#include "shm/base/clock.h"
#include "shm/base/units.h"
#include "signals.h"
#include "station_disk.h"
#include "viewer.h"

namespace loopline::cli {
namespace {

constexpr uint64_t look_every_ns = 100'000'000;
constexpr int looks_per_conf = 10;
constexpr uint64_t drain_slice_ns = 200'000'000;

Result<shm::WaitKind> read_wait(const std::string& text) {
  if (text == "spin") return shm::WaitKind::spin;
  if (text == "adaptive") return shm::WaitKind::adaptive;
  if (text == "park") return shm::WaitKind::park;
  return unknown_word("--wait", text, "spin, adaptive or park");
}

Result<std::vector<shm::StationName>> named_stations(const Output& out,
                                                     const FlushArguments& arguments,
                                                     const std::string& data) {
  std::vector<shm::StationName> names;
  for (const std::string& text : arguments.stations) {
    LL_TRY(name, shm::parse_station_name(text));
    names.push_back(name);
  }
  if (!names.empty()) return names;
  names = names_on_disk(data);
  // Rings that want to go to disk and whose conf is gone: not to be passed over in silence.
  const auto viewer = Viewer::open(out.dir());
  const auto survey = viewer ? viewer->survey() : Result<Viewer::Survey>(viewer.fault());
  if (!survey) return names;
  for (const auto& ring : survey->rings) {
    const shm::StationName name{ring.header.factory, ring.header.station};
    const bool is_known = std::any_of(names.begin(), names.end(), [&](const shm::StationName& one) {
      return one.text() == name.text();
    });
    if (ring.header.storage == shm::Storage::file && !is_known) names.push_back(name);
  }
  return names;
}

// Who it is that flushes a log already, if it is the broker.
Fault with_broker_named(const Fault& fault, const std::string& folder) {
  if (fault.code() != FaultCode::already_exists) return fault;
  const auto holder = broker::SoleBroker::look(folder);
  if (!holder || !*holder) return fault;
  return {fault.code(), fault.message() + ": by the broker, " + broker::text_of(**holder) +
                            "; see: loopline status"};
}

struct Flushing {
  std::unique_ptr<io::Flusher> flusher;
  io::ConfWatch watch;
};

// One that cannot be opened is named, and the others go on.
Result<Flushing> start_flusher(Output& out, const FlushArguments& arguments,
                                                   std::optional<Fault>& first_fault) {
  LL_TRY(wait, read_wait(arguments.wait));
  LL_TRY(paths, shm::find_instance(out.dir()));
  const std::string data = io::data_folder_of(paths);
  LL_TRY(names, named_stations(out, arguments, data));
  LL_TRY(directory, shm::Directory::open_or_create(paths));
  io::keep_on_disk(directory, data);
  LL_TRY(flusher, io::Flusher::start({.storage = arguments.storage, .wait = wait}));
  io::ConfWatch watch(directory, data);
  if (!flusher->why_not().empty()) {
    out.note(flusher->why_not() + "; threads write instead");
  }
  for (const auto& name : names) {
    const auto pass_over = [&](const Fault& fault) {
      if (names.size() > 1) out.note("not flushed: " + fault.message());
      if (!first_fault) first_fault = fault;
    };
    watch.add(name);
    auto sources = io::sources_of(directory, data, name);
    if (!sources) {
      pass_over(sources.fault());
      continue;
    }
    for (const auto& source : *sources) {
      const Status added = flusher->add(source);
      if (!added) pass_over(with_broker_named(added.fault(), paths.folder));
    }
  }
  if (names.empty()) {
    out.note("no stations on disk in " + data +
             "; make one: loopline station add NAME --storage file");
  }
  return Flushing{std::move(flusher), std::move(watch)};
}

// An edit counts from now on.
void take_edits(Output& out, Flushing& flushing) {
  for (const auto& change : flushing.watch.poll(*flushing.flusher)) {
    const std::string name = change.name.text();
    out.note(change.fault ? name + " goes on as it was: " + change.fault->message()
                          : name + " was edited: its new parameters count");
  }
}

void report(Output& out, io::Flusher& flusher) {
  for (const io::FlushStatus& status : flusher.status()) {
    if (out.is_json()) {
      out.line(json_of(status, flusher.storage_name()));
      continue;
    }
    const std::string partition =
        status.partition == 0 ? "" : fmt::format(" partition {}", status.partition);
    if (!out.is_quiet()) {
      out.line(fmt::format(
          "{}{}: durable up to message {}, {} in {} on disk",
          out.paint(Color::bold, status.name.text()), partition,
          format_count(status.durable.sequence - 1), format_size(status.disk_bytes),
          status.segments == 1 ? "a segment" : format_count(status.segments) + " segments"));
    }
    for (const io::LogGap& gap : status.gaps) {
      out.note(fmt::format("{}{}: messages {} to {} are missing: {}", status.name.text(), partition,
                           gap.from.sequence, gap.to.sequence - 1, gap.why));
    }
  }
}

// What stands in the way of each log, told once, and when it is over.
class Troubles {
 public:
  explicit Troubles(Output& out) : out_(out) {}
  void look(io::Flusher& flusher) {
    const auto all = flusher.status();
    states_.resize(all.size());
    for (size_t index = 0; index < all.size(); ++index) look_at(all[index], states_[index]);
  }
  const std::optional<Fault>& failed() const { return failed_; }

 private:
  enum class State { fine, starved, failed };

  void look_at(const io::FlushStatus& status, State& state) {
    const State now = status.failed ? State::failed : status.starved ? State::starved : State::fine;
    if (now == state) return;
    state = now;
    const std::string name = status.name.text();
    if (now == State::fine) {
      out_.note(name + " has room again and goes on");
    } else if (now == State::starved) {
      out_.note(name + " has to wait: " + status.starved->message() +
                "; make room there, and it goes on by itself; what is durable is safe");
    } else {
      failed_ = *status.failed;
      out_.note(name + " is not written to any more: " + status.failed->message() +
                "; what is durable is safe; see to the disk, then start this again");
    }
  }

  Output& out_;
  std::vector<State> states_;  // as told, of each log
  std::optional<Fault> failed_;
};

Status flush_once(io::Flusher& flusher) {
  for (;;) {
    const Status drained = flusher.drain(monotonic_ns() + drain_slice_ns);
    if (drained || drained.fault().code() != FaultCode::timed_out) {
      return drained ? ok() : Status(drained.fault());
    }
    if (stop_requested()) return Status(drained.fault());
  }
}

}  // namespace

Status flush(Output& out, const FlushArguments& arguments) {
  if (arguments.once == arguments.follow) {
    return Fault(FaultCode::invalid_argument,
                 "say --once (what is there now) or --follow (until Ctrl-C)");
  }
  std::optional<Fault> fault;
  LL_TRY(flushing, start_flusher(out, arguments, fault));
  const auto& flusher = flushing.flusher;
  if (fault && flusher->status().empty()) return *fault;
  if (arguments.once) {
    const Status drained = flush_once(*flusher);
    if (!drained && !fault) fault = drained.fault();
  } else {
    const size_t logs = flusher->status().size();
    out.note(fmt::format("flushing {} by {}; Ctrl-C ends",
                         logs == 1 ? "a log" : fmt::format("{} logs", logs),
                         flusher->storage_name()));
    Troubles troubles(out);
    // Of a thousand logs each second or so: to be told of all costs as much as to flush them idle.
    const int looks_per_status = 1 + static_cast<int>(logs / 100);
    for (int look = 1; !stop_requested(); ++look) {
      if (look % looks_per_status == 0) troubles.look(*flusher);
      if (look % looks_per_conf == 0) take_edits(out, flushing);
      pause_for(look_every_ns);
    }
    if (!fault) fault = troubles.failed();
  }
  report(out, *flusher);
  const Status stopped = flusher->stop();
  if (fault) return *fault;
  return stopped ? ok() : Status(stopped.fault());
}

}  // namespace loopline::cli
