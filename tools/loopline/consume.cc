// consume: messages of a station on stdout, as lines, by a template, as JSON, in hex or
// length-prefixed.
#include <fmt/format.h>
#include <loopline/station.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <memory>

#include "commands.h"
#include "json.h"
#include "message_format.h"
#include "options.h"
#include "records.h"
#include "shm/base/clock.h"
#include "sieve.h"
#include "signals.h"
#include "viewer.h"

namespace loopline::cli {
namespace {

constexpr auto wait_slice = std::chrono::milliseconds(200);  // between two looks at Ctrl-C

class Listener {
 public:
  // `ends`: for each partition that is read, the sequence to stop before.
  Listener(Output& out, Consumer& consumer, std::map<uint32_t, uint64_t> ends, MessageFormat format,
           Sieve sieve, const ConsumeArguments& arguments, bool is_on_disk)
      : out_(out),
        consumer_(consumer),
        ends_(std::move(ends)),
        format_(std::move(format)),
        sieve_(std::move(sieve)),
        arguments_(arguments),
        is_on_disk_(is_on_disk) {}

  // Everything before the ends, and before this time.
  Status run(uint64_t end_ns) {
    while (!stop_requested() && !out_.is_closed() && !is_enough() && !is_at_end()) {
      LL_TRY(handed, hand_run(end_ns));
      if (handed != 0) continue;
      out_.flush();
      if (!arguments_.follow) break;
      LL_TRY(ready, consumer_.wait(wait_slice));
      static_cast<void>(ready);  // either way we look again
    }
    out_.flush();
    return ok();
  }

  uint64_t printed() const { return printed_; }

 private:
  bool is_enough() const { return arguments_.count != 0 && printed_ >= arguments_.count; }
  bool is_at_end() const {
    return std::all_of(ends_.begin(), ends_.end(), [this](const auto& end) {
      return consumer_.next_sequence(end.first) >= end.second;
    });
  }

  Result<size_t> hand_run(uint64_t end_ns) {
    Message run[Consumer::run_max];
    LL_TRY(count, consumer_.read(run));
    if (const Gap gap = consumer_.gap(); gap.count != 0) tell(gap);
    for (size_t index = 0; index < count && !is_enough(); ++index) {
      uint64_t& end = ends_[run[index].partition()];
      if (run[index].timestamp_ns() >= end_ns) end = std::min(end, run[index].sequence());
      if (run[index].sequence() >= end) break;
      if (!sieve_.lets_through(run[index].text())) continue;
      format_.write(run[index], out_);
      ++printed_;
    }
    if (count != 0) LL_TRY_STATUS(consumer_.release());
    return count;
  }

  void tell(const Gap& gap) {
    if (out_.is_json()) return out_.note_json(json_of(gap));
    const std::string where =
        ends_.size() == 1 ? "" : fmt::format(" of partition {}", gap.partition);
    const std::string why =
        is_on_disk_ ? "neither in the ring nor on disk: dropped by retention, or damaged; see: "
                      "loopline station verify " +
                          arguments_.station
                    : std::string("overwritten before they could be read");
    out_.note(fmt::format("gap: {} from sequence {}{} {} {}", counted(gap.count, "message"),
                          gap.first, where, gap.count == 1 ? "was" : "were", why));
  }

  Output& out_;
  Consumer& consumer_;
  std::map<uint32_t, uint64_t> ends_;
  MessageFormat format_;
  Sieve sieve_;
  const ConsumeArguments& arguments_;
  const bool is_on_disk_;
  uint64_t printed_ = 0;
};

Result<From> from_of(const ConsumeArguments& arguments, uint64_t now_ns) {
  if (!arguments.from.empty()) return read_from(arguments.from, now_ns);
  return arguments.follow ? From::latest : From::earliest;
}

// Where to stop in each partition that is read: behind what is there now, unless we follow.
Result<std::map<uint32_t, uint64_t>> ends_of(const Output& out, const ConsumeArguments& arguments,
                                             std::optional<uint32_t> partition, const To& to) {
  LL_TRY(viewer, Viewer::open(out.dir()));
  LL_TRY(rings, viewer.partitions(arguments.station));
  const uint64_t bound = to.sequence.value_or(~0ull);
  std::map<uint32_t, uint64_t> ends;
  for (const auto& ring : rings) {
    if (partition && ring.header.partition != *partition) continue;
    ends[ring.header.partition] = arguments.follow ? bound : std::min(ring.visible.second, bound);
  }
  return ends;
}

}  // namespace

Status consume(Output& out, const ConsumeArguments& arguments) {
  ConsumerOptions options;
  const uint64_t now_ns = utc_ns();
  LL_TRY(from, from_of(arguments, now_ns));
  LL_TRY(to, read_to(arguments.to, now_ns));
  LL_TRY(sieve, Sieve::make(arguments.grep));
  LL_TRY(format, MessageFormat::make(arguments, out.is_json()));
  LL_TRY(partition, read_number("--partition", arguments.partition, "a number, counted from 0"));
  options.from = from;
  options.partition = partition;
  options.lossy = arguments.lossy;
  LL_TRY(station, Station::open(arguments.station, out.dir()));
  LL_TRY(consumer, station.consumer(options));
  if (to.sequence && !partition && station.partitions() > 1) {
    return Fault(FaultCode::invalid_argument,
                 "--to seq: counts in one partition: name it with --partition");
  }
  LL_TRY(ends, ends_of(out, arguments, partition, to));  // after we attached: nothing dead is open
  widen_pipe(STDOUT_FILENO);
  Listener listener(out, consumer, std::move(ends), std::move(format), std::move(sieve), arguments,
                    station.storage() == Storage::file);
  Status status = listener.run(to.timestamp_ns.value_or(~0ull));
  if (!status && status.fault().code() == FaultCode::closed) {
    out.note(status.fault().message() + "; read to its end");
    return ok();
  }
  if (listener.printed() == 0 && !arguments.follow && out.is_terminal() && arguments.grep.empty()) {
    out.note("nothing is in " + station.name() + " now; --follow waits for more");
  }
  return status;
}

}  // namespace loopline::cli
