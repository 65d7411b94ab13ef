// produce: what comes in on stdin, or in files, becomes messages of a station.
#include <fcntl.h>
#include <fmt/format.h>
#include <loopline/station.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <map>
#include <optional>

#include "acked.h"
#include "commands.h"
#include "json.h"
#include "options.h"
#include "records.h"
#include "shm/base/clock.h"
#include "shm/file.h"
#include "signals.h"
#include "viewer.h"

namespace loopline::cli {
namespace {

constexpr uint64_t second_ns = 1'000'000'000;
constexpr auto wait_slice = std::chrono::milliseconds(100);  // between two looks at Ctrl-C
constexpr uint64_t record_index_step = 1024;                 // between two looks at the clock

// Every %n in `pattern` replaced by the record's number.
std::string numbered(const std::string& pattern, uint64_t number) {
  std::string text;
  for (size_t index = 0; index < pattern.size(); ++index) {
    if (pattern.compare(index, 2, "%n") == 0) {
      text += std::to_string(number);
      ++index;
    } else {
      text += pattern[index];
    }
  }
  return text;
}

class Publisher {
 public:
  Publisher(Output& out, Producer& producer, const ProduceArguments& arguments, double rate,
            bool may_wait)
      : out_(out),
        producer_(producer),
        arguments_(arguments),
        rate_(rate),
        may_wait_(may_wait),
        started_ns_(monotonic_ns()) {
    told_ns_ = started_ns_;
  }

  void use_headers(std::span<const Header> headers) { headers_ = headers; }

  // False when the process was asked to stop instead.
  Result<bool> publish(std::string_view record) {
    if (!keep_pace()) return false;
    const std::string id = numbered(arguments_.id, summary_.messages + summary_.duplicates + 1);
    PublishOptions options;
    options.key = arguments_.key;
    options.id = id;
    options.headers = headers_;
    if (may_wait_) options.timeout = wait_slice;
    while (acked_ != nullptr && acked_->is_full()) LL_TRY_STATUS(wait_for_first_acked());
    for (;;) {
      const auto ticket = producer_.publish_async(record, options);
      if (ticket) {
        if (acked_ != nullptr) acked_->add(*ticket, record);
        if (is_file_) last_.insert_or_assign(ticket->partition(), *ticket);
        count(*ticket, record.size());
        return !out_.is_closed();
      }
      if (ticket.fault().code() != FaultCode::timed_out) return ticket.fault();
      if (stop_requested()) return false;
      tell_once("waiting for room: ", ticket.fault());
      if (acked_ != nullptr) acked_->settle();
    }
  }

  void keep_tickets() { is_file_ = true; }
  void print_acked(Acked& acked) { acked_ = &acked; }
  Acked* acked() const { return acked_; }
  // Until all that was published has reached the level, or somebody stops us.
  Status wait_for(Ack level) {
    while (acked_ != nullptr && !acked_->is_empty()) {
      const Status reached = wait_for_first_acked();
      if (reached) continue;
      return Fault(reached.fault().code(),
                   reached.fault().message() + "; not acknowledged: the last " +
                       counted(acked_->count(), "message") + " that were published");
    }
    for (const auto& [partition, ticket] : last_) {
      for (;;) {
        const Status reached = producer_.wait(ticket, level, wait_slice);
        if (reached) break;
        if (reached.fault().code() != FaultCode::timed_out) return Status(reached.fault());
        if (stop_requested()) return Status(reached.fault());
        tell_once("waiting for the disk: ", reached.fault());
      }
    }
    return ok();
  }

  ProduceSummary summary() const {
    ProduceSummary summary = summary_;
    summary.seconds = static_cast<double>(monotonic_ns() - started_ns_) / second_ns;
    return summary;
  }

 private:
  // However long it takes.
  Status wait_for_first_acked() {
    for (;;) {
      Status reached = acked_->wait_for_first(wait_slice);
      if (reached || reached.fault().code() != FaultCode::timed_out) return reached;
      if (stop_requested()) return reached;
      tell_once("waiting for the disk: ", reached.fault());
      out_.flush();
    }
  }

  void count(const Ticket& ticket, size_t bytes) {
    is_told_ = false;
    if (ticket.is_duplicate()) {
      ++summary_.duplicates;
      return;
    }
    if (summary_.messages++ == 0) summary_.first_sequence = ticket.sequence();
    summary_.last_sequence = ticket.sequence();
    summary_.bytes += bytes;
    if (summary_.messages % record_index_step == 0 || rate_ > 0) show_progress();
  }

  void show_progress() {
    const uint64_t now = monotonic_ns();
    if (now - told_ns_ < second_ns) return;
    const double seconds = static_cast<double>(now - told_ns_) / second_ns;
    out_.progress(
        fmt::format("{}, {}", counted(summary_.messages, "message"),
                    rate_text(static_cast<double>(summary_.messages - told_at_) / seconds)));
    told_ns_ = now;
    told_at_ = summary_.messages;
  }

  // Sleeps until the next message is due: by the plan since the start, so that errors do not add
  // up.
  bool keep_pace() {
    if (rate_ <= 0) return true;
    const uint64_t due =
        started_ns_ + static_cast<uint64_t>(static_cast<double>(summary_.messages) * 1e9 / rate_);
    const timespec until{static_cast<time_t>(due / second_ns), static_cast<long>(due % second_ns)};
    settle_until(due);
    while (!stop_requested() && monotonic_ns() < due) {
      ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
    }
    return !stop_requested();
  }

  // What is acknowledged meanwhile is not kept back by a slow rate.
  void settle_until(uint64_t due) {
    while (acked_ != nullptr && !acked_->is_empty() && !stop_requested()) {
      const uint64_t now = monotonic_ns();
      if (now >= due) return;
      const auto left = std::chrono::nanoseconds(due - now);
      const Status reached =
          acked_->wait_for_first(std::min<std::chrono::nanoseconds>(left, wait_slice));
      out_.flush();
      if (!reached && reached.fault().code() != FaultCode::timed_out) return;
    }
  }

  void tell_once(const char* what, const Fault& fault) {
    if (!is_told_) out_.note(what + fault.message());
    is_told_ = true;
  }

  Output& out_;
  Producer& producer_;
  const ProduceArguments& arguments_;
  const double rate_;
  const bool may_wait_;
  std::span<const Header> headers_;
  const uint64_t started_ns_;
  uint64_t told_ns_ = 0;
  uint64_t told_at_ = 0;
  bool is_told_ = false;
  ProduceSummary summary_;
  bool is_file_ = false;
  Acked* acked_ = nullptr;           // with --print-acked
  std::map<uint32_t, Ticket> last_;  // by partition, of a station on disk
};

Status publish_input(int fd, const std::string& name, RecordKind kind, uint64_t size_max,
                     Publisher& publisher) {
  widen_pipe(fd);
  const auto read_some = [fd, &publisher](void* into, size_t size) {
    if (publisher.acked() != nullptr) publisher.acked()->before_read(fd);
    return ::read(fd, into, size);
  };
  RecordReader reader(read_some, kind, size_max, name);
  for (;;) {
    LL_TRY(record, reader.next());
    if (!record) return ok();
    LL_TRY(published, publisher.publish(*record));
    if (!published) return ok();
  }
}

Status publish_inputs(const ProduceArguments& arguments, RecordKind kind, uint64_t size_max,
                      Publisher& publisher) {
  if (arguments.files.empty()) {
    return publish_input(STDIN_FILENO, "stdin", kind, size_max, publisher);
  }
  for (const std::string& path : arguments.files) {
    if (stop_requested()) return ok();
    if (path == "-") {
      LL_TRY_STATUS(publish_input(STDIN_FILENO, "stdin", kind, size_max, publisher));
      continue;
    }
    const shm::File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.fd() < 0) return fault_from_errno(errno, "cannot read " + path);
    LL_TRY_STATUS(publish_input(file.fd(), path, kind, size_max, publisher));
  }
  return ok();
}

Result<Ack> read_ack(const std::string& text, Ack otherwise) {
  if (text.empty()) return otherwise;
  if (text == "visible") return Ack::visible;
  if (text == "durable") return Ack::durable;
  if (text == "committed") return Ack::committed;
  return unknown_word("--ack", text, "visible, durable or committed");
}

// Where a summary would stand between the records, nobody could tell them apart.
Status check_print_acked(const Output& out, const ProduceArguments& arguments) {
  if (!arguments.print_acked || !out.is_json()) return ok();
  return Fault(FaultCode::invalid_argument,
               "--print-acked writes records to stdout, --json a summary: choose one");
}

void report(Output& out, const ProduceSummary& summary) {
  if (out.is_json()) {
    out.line(json_of(summary));
    return;
  }
  const double seconds = summary.seconds > 0 ? summary.seconds : 1e-9;
  out.note(fmt::format("{} to {}, {} in {}: {}", counted(summary.messages, "message"),
                       summary.station, format_size_rounded(static_cast<double>(summary.bytes)),
                       format_duration_rounded(summary.seconds * 1e9),
                       rate_text(static_cast<double>(summary.messages) / seconds)));
  if (summary.duplicates != 0) {
    out.note(counted(summary.duplicates, "record") + " were there already");
  }
}

// A named one counts the records of its input from 1, so that those it has are found.
ProducerOptions read_producer(const std::string& name) {
  if (name.empty()) return {};
  return {.identified = true, .id = producer_id_of(name), .first_sequence = 1};
}

}  // namespace

Status produce(Output& out, const ProduceArguments& arguments) {
  LL_TRY_STATUS(check_print_acked(out, arguments));
  LL_TRY(kind, parse_record_kind(arguments.records));
  LL_TRY(rate, read_rate(arguments.rate));
  LL_TRY(headers, read_headers(arguments.headers));
  LL_TRY(station, arguments.create ? Station::open_or_create(arguments.station, {}, out.dir())
                                   : Station::open(arguments.station, out.dir()));
  LL_TRY(viewer, Viewer::open(out.dir()));
  LL_TRY(snapshot, viewer.station(arguments.station, {.walk = false}));
  const bool is_file = snapshot.header.storage == shm::Storage::file;
  LL_TRY(level, read_ack(arguments.ack, is_file ? Ack::durable : Ack::visible));
  if (level != Ack::visible && !is_file) {
    return Fault(FaultCode::unsupported, "station \"" + station.name() +
                                             "\" keeps its messages in memory: they become "
                                             "visible, never durable or committed");
  }
  LL_TRY(producer, station.producer(read_producer(arguments.producer)));
  if (producer.last_sequence() != 0) {
    out.note("producer " + arguments.producer + " goes on with record " +
             std::to_string(producer.last_sequence() + 1));
  }
  const bool may_wait = snapshot.header.when_full == shm::WhenFull::block;
  if (arguments.files.empty() && ::isatty(STDIN_FILENO) == 1) {
    out.note("each line you type becomes a message; Ctrl-D ends");
  }
  Publisher publisher(out, producer, arguments, rate, may_wait);
  publisher.use_headers(headers);
  Acked acked(out, producer, level, kind);
  if (arguments.print_acked) publisher.print_acked(acked);
  if (level != Ack::visible) publisher.keep_tickets();
  Status status = publish_inputs(arguments, kind, station.max_message(), publisher);
  if (status) status = publisher.wait_for(level);
  ProduceSummary summary = publisher.summary();
  summary.station = station.name();
  report(out, summary);
  return status;
}

}  // namespace loopline::cli
