// consume: messages of a station on stdout, as lines, by a template, as JSON, in hex or
// length-prefixed.
#include <fmt/format.h>
#include <loopline/station.h>
#include <regex.h>

#include <algorithm>
#include <cctype>
#include <memory>

#include "commands.h"
#include "json.h"
#include "message_format.h"
#include "options.h"
#include "signals.h"
#include "viewer.h"

namespace loopline::cli {
namespace {

constexpr auto wait_slice = std::chrono::milliseconds(200);  // between two looks at Ctrl-C

struct RegexFree {
  void operator()(regex_t* regex) const {
    ::regfree(regex);
    delete regex;
  }
};

// Payloads that match an extended regular expression; all of them when it is empty.
class Sieve {
 public:
  static Result<Sieve> make(const std::string& pattern) {
    Sieve sieve;
    if (pattern.empty()) return sieve;
    auto regex = std::make_unique<regex_t>();
    const int error = ::regcomp(regex.get(), pattern.c_str(), REG_EXTENDED);
    if (error != 0) {
      char text[128];
      ::regerror(error, regex.get(), text, sizeof text);
      return Fault(FaultCode::invalid_argument,
                   "--grep \"" + pattern + "\" is no extended regular expression: " + text);
    }
    sieve.regex_.reset(regex.release());
    return sieve;
  }

  bool lets_through(const Message& message) const {
    if (!regex_) return true;
    regmatch_t range{0, static_cast<regoff_t>(message.payload().size())};
    const char* text = message.text().empty() ? "" : message.text().data();
    return ::regexec(regex_.get(), text, 1, &range, REG_STARTEND) == 0;
  }

 private:
  std::unique_ptr<regex_t, RegexFree> regex_;
};

class Listener {
 public:
  Listener(Output& out, Consumer& consumer, MessageFormat format, Sieve sieve,
           const ConsumeArguments& arguments)
      : out_(out),
        consumer_(consumer),
        format_(std::move(format)),
        sieve_(std::move(sieve)),
        arguments_(arguments) {}

  // Everything below sequence `end`, then what still comes if we follow.
  Status run(uint64_t end) {
    while (!stop_requested() && !out_.is_closed() && !is_enough()) {
      if (!arguments_.follow && consumer_.next_sequence() >= end) break;
      LL_TRY(handed, hand_run(arguments_.follow ? ~0ull : end));
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

  Result<size_t> hand_run(uint64_t end) {
    Message run[Consumer::run_max];
    LL_TRY(count, consumer_.read(run));
    if (const Gap gap = consumer_.gap(); gap.count != 0) tell(gap);
    for (size_t index = 0; index < count; ++index) {
      if (is_enough() || run[index].sequence() >= end) break;
      if (!sieve_.lets_through(run[index])) continue;
      buffer_.clear();
      format_.append(run[index], buffer_);
      out_.write(buffer_);
      ++printed_;
    }
    if (count != 0) LL_TRY_STATUS(consumer_.release());
    return count;
  }

  void tell(const Gap& gap) {
    out_.note(out_.is_json() ? json_of(gap)
                             : fmt::format("gap: {} from sequence {} were overwritten before they "
                                           "could be read",
                                           counted(gap.count, "message"), gap.first));
  }

  Output& out_;
  Consumer& consumer_;
  MessageFormat format_;
  Sieve sieve_;
  const ConsumeArguments& arguments_;
  std::string buffer_;
  uint64_t printed_ = 0;
};

Result<From> read_from(const ConsumeArguments& arguments) {
  if (arguments.from.empty()) return arguments.follow ? From::latest : From::earliest;
  if (arguments.from == "earliest") return From::earliest;
  if (arguments.from == "latest") return From::latest;
  return unknown_word("--from", arguments.from, "earliest or latest");
}

}  // namespace

Status consume(Output& out, const ConsumeArguments& arguments) {
  ConsumerOptions options;
  LL_TRY(from, read_from(arguments));
  LL_TRY(sieve, Sieve::make(arguments.grep));
  LL_TRY(format, MessageFormat::make(arguments, out.is_json()));
  options.from = from;
  options.lossy = arguments.lossy;
  LL_TRY(station, Station::open(arguments.station, out.dir()));
  LL_TRY(consumer, station.consumer(options));
  LL_TRY(viewer, Viewer::open(out.dir()));
  LL_TRY(snapshot, viewer.station(arguments.station));  // after we attached: nothing dead is open
  Listener listener(out, consumer, std::move(format), std::move(sieve), arguments);
  Status status = listener.run(snapshot.visible.second);
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
