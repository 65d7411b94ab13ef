// loopline: the command line, `loopline NOUN VERB`, read by CLI11 in this unit and no other.
#include <CLI/CLI.hpp>

#include <functional>
#include <optional>

#include <unistd.h>

#include "commands.h"
#include "hints.h"
#include "shm/base/units.h"
#include "signals.h"

namespace loopline::cli {
namespace {

constexpr const char* footer_text =
    "Exit status: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 timed out.\n"
    "A first try:\n"
    "  seq 1000 | loopline produce numbers --create\n"
    "  loopline consume numbers --template '%s %t %p\\n'\n"
    "  loopline ring show numbers";
constexpr const char* verb_footer = "Options for every command: loopline --help";

// CLI11's help with less around it: an option and what it takes, a blank line between parts.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() {
    column_width(26);
    label("SUBCOMMAND", "COMMAND");
    label("Subcommands", "Commands");
    label("Positionals", "Arguments");
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    const bool takes_value = option->nonpositional() && option->get_type_size() != 0;
    return takes_value ? " " + option->get_type_name() : "";
  }
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override {
    std::string text = CLI::Formatter::make_help(app, std::move(name), mode);
    for (size_t at; (at = text.find("\n\n\n")) != std::string::npos;) text.erase(at, 1);
    return text;
  }
};

constexpr const char* everywhere = "For every command";

using Action = std::function<Status(Output&)>;

// The parser, what it fills, and what is to be done.
class CommandLine {
 public:
  CommandLine() {
    app_.name("loopline");
    app_.description("loopline: messages between processes, through rings in shared memory");
    app_.footer(footer_text);
    app_.set_help_flag("-h,--help", "this text, for each command");
    app_.set_version_flag("--version", std::string("loopline ") + version, "the version");
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.formatter(std::make_shared<HelpFormatter>());
    add_globals();
    add_demo();
    add_station();
    add_produce();
    add_consume();
    add_ring();
    add_looks();
    add_bench();
    add_completion();
  }

  CLI::App& app() { return app_; }
  Globals globals() const {
    Globals globals = globals_;
    if (format_ == "wide") globals.format = Format::wide;
    if (json_ || format_ == "json") globals.format = Format::json;
    return globals;
  }

  // Does what was asked, once, or with --watch again and again.
  Status run(Output& out) {
    if (watch_.empty()) return action_(out);
    if (!can_watch_) {
      return Fault(FaultCode::invalid_argument,
                   "--watch is for what shows something: station ls, station info, ring show, "
                   "process ls, why; ring watch does so by itself, see --every");
    }
    LL_TRY(period_ns, parse_duration(watch_));
    if (period_ns == 0) return Fault(FaultCode::invalid_argument, "--watch takes a time above 0");
    for (bool is_first = true; !stop_requested() && !out.is_closed(); is_first = false) {
      out.clear_screen();
      if (!is_first && !out.is_json() && !out.is_terminal()) out.line("");
      LL_TRY_STATUS(action_(out));
      out.flush();
      pause_for(period_ns);
    }
    return ok();
  }

 private:
  CLI::App* noun(const char* name, const char* description) {
    auto* made = app_.add_subcommand(name, description);
    made->require_subcommand(1);
    made->footer(verb_footer);
    return made;
  }

  CLI::App* verb(CLI::App* parent, const char* name, const char* description, Action action,
                 bool can_watch = false) {
    auto* made = parent->add_subcommand(name, description);
    made->footer(verb_footer);
    made->callback([this, action = std::move(action), can_watch] {
      action_ = action;
      can_watch_ = can_watch;
    });
    return made;
  }

  static void explain_more(CLI::App* made, const std::string& text) {
    made->footer(text + "\n\n" + verb_footer);
  }

  void add_globals() {
    const char* group = everywhere;
    app_.add_option("--format", format_, "text (default), wide or json")
        ->check(CLI::IsMember({"text", "wide", "json"}))
        ->type_name("FORM")
        ->group(group);
    app_.add_flag("--json", json_, "the same as --format json; errors too, on stderr")
        ->group(group);
    app_.add_flag("--watch{1s}", watch_, "show it again every second, or --watch=200ms")
        ->group(group);
    app_.add_flag("--quiet,-q", globals_.quiet, "no notes, no summaries")->group(group);
    app_.add_flag("--no-color", globals_.no_color, "no colour, as does NO_COLOR")->group(group);
    app_.add_option("--dir", globals_.dir, "the instance, else LOOPLINE_DIR")
        ->type_name("FOLDER")
        ->group(group);
  }

  void add_demo() {
    auto* made = verb(&app_, "demo", "see it at work, on real records of this machine",
                      [this](Output& out) { return demo(out, demo_); });
    made->add_option("--input", demo_.input, "other records: paragraphs, or lines")
        ->type_name("FILE");
    made->add_option("--seconds", demo_.seconds, "how long (default 20)")->type_name("NUMBER");
  }

  void add_station() {
    auto* station = noun("station", "make, list, describe and remove stations");
    auto* add = verb(station, "add", "make a station",
                     [this](Output& out) { return station_add(out, add_); });
    add->add_option("NAME", add_.name, "station, or factory/station")->required();
    add->add_option("--ring", add_.ring, "its size, a power of two from 64KiB (default 8MiB)")
        ->type_name("SIZE");
    add->add_option("--partitions", add_.partitions,
                    "rings of that size; a key picks one (default 1)")
        ->type_name("NUMBER");
    add->add_option("--max-message", add_.max_message, "of one message (default ring/8 - 32)")
        ->type_name("SIZE");
    add->add_flag("--exclusive", add_.exclusive, "one producer at a time, a little faster");
    add->add_option("--when-full", add_.when_full, "block (default), reject or drop-oldest")
        ->type_name("WORD");
    add->add_option("--timestamp", add_.timestamp, "precise (default), coarse or off")
        ->type_name("WORD");
    add->add_option("--mode", add_.mode, "permissions (default 0660)")->type_name("MODE");
    verb(
        station, "ls", "list them", [](Output& out) { return station_ls(out); }, true);
    auto* info = verb(
        station, "info", "one station's parameters and state",
        [this](Output& out) { return station_info(out, name_); }, true);
    info->add_option("NAME", name_, "the station")->required();
    auto* rm = verb(station, "rm", "remove a station and its messages",
                    [this](Output& out) { return station_rm(out, rm_); });
    rm->add_option("NAME", rm_.name, "the station")->required();
    rm->add_flag("--yes,-y", rm_.yes, "do not ask");
  }

  void add_produce() {
    auto* made = verb(&app_, "produce", "publish lines, files or records",
                      [this](Output& out) { return produce(out, produce_); });
    made->add_option("STATION", produce_.station, "where to")->required();
    made->add_option("FILE", produce_.files, "what to publish (default stdin)");
    made->add_option("--records", produce_.records,
                     "lines (default), file (each input one message), or length-prefixed "
                     "(u32 little-endian)")
        ->type_name("WORD");
    made->add_option("--key", produce_.key, "of every message")->type_name("KEY");
    made->add_option("--header", produce_.headers, "may be repeated")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false)
        ->take_all();
    made->add_option("--id", produce_.id, "of every message; %n in it is the message's number")
        ->type_name("ID");
    made->add_option("--rate", produce_.rate, "messages a second, such as 1000/s")
        ->type_name("RATE");
    made->add_flag("--create", produce_.create, "make the station if it is not there");
  }

  void add_consume() {
    auto* made = verb(&app_, "consume", "print messages",
                      [this](Output& out) { return consume(out, consume_); });
    made->add_option("STATION", consume_.station, "where from")->required();
    made->add_option("--from", consume_.from,
                     "earliest (default), latest (default with --follow), seq:N, last:N, or "
                     "time:T such as time:5m (ago) or time:2026-11-23T10:00:00Z")
        ->type_name("PLACE");
    made->add_option("--to", consume_.to,
                     "latest (what is there now; default), seq:N (with it), time:T (before it); "
                     "with --follow until it comes")
        ->type_name("PLACE");
    made->add_option("--partition", consume_.partition, "only this one (default all)")
        ->type_name("NUMBER");
    made->add_option("--count", consume_.count, "stop after as many")
        ->type_name("NUMBER")
        ->check(CLI::PositiveNumber);
    made->add_flag("--follow,-f", consume_.follow,
                   "go on with what comes; else end with what is there");
    made->add_option("--grep", consume_.grep, "only payloads matching this extended expression")
        ->type_name("REGEX");
    made->add_option("--template", consume_.format,
                     "such as '%s %t %k %p\\n': %s sequence, %P partition, %t time, %k key, %i id, "
                     "%h headers, "
                     "%b size, %p payload")
        ->type_name("FORM");
    made->add_flag("--hex", consume_.hex, "payloads as a hex dump");
    made->add_option("--records", consume_.records,
                     "lines (default) or length-prefixed (u32 little-endian)")
        ->type_name("WORD");
    made->add_flag("--lossy", consume_.lossy,
                   "never hold producers back; what was missed is told on stderr");
  }

  // Which ring: a station, and one of its partitions.
  template <class Arguments>
  static void add_place(CLI::App* verb, Arguments& arguments) {
    verb->add_option("STATION", arguments.station, "which one")->required();
    verb->add_option("--partition", arguments.partition, "which of its rings (default 0)")
        ->type_name("NUMBER");
  }

  void add_ring() {
    auto* ring = noun("ring", "the ring itself, drawn");
    auto* show = verb(
        ring, "show", "its window, open claims, producers and consumers",
        [this](Output& out) { return ring_show(out, ring_show_); }, true);
    add_place(show, ring_show_);
    auto* dump = verb(ring, "dump", "every frame in it, with its first bytes",
                      [this](Output& out) { return ring_dump(out, dump_); });
    add_place(dump, dump_);
    dump->add_option("--from", dump_.from, "begin with this sequence")->type_name("SEQUENCE");
    dump->add_option("--limit", dump_.limit, "stop after as many frames")
        ->type_name("NUMBER")
        ->check(CLI::PositiveNumber);
    explain_more(
        dump,
        "Frames are messages, fillers (a sequence without a message: its producer gave it\n"
        "up or died) and open claims. It attaches to nothing and holds nobody up.");
    auto* watch = verb(ring, "watch", "rates, fill and lag, again and again",
                       [this](Output& out) { return ring_watch(out, ring_watch_); });
    add_place(watch, ring_watch_);
    watch->add_option("--every", ring_watch_.every, "how often (default 1s)")->type_name("TIME");
    watch->add_option("--count", ring_watch_.count, "stop after as many (default: Ctrl-C)")
        ->type_name("NUMBER")
        ->check(CLI::PositiveNumber);
  }

  void add_looks() {
    auto* process = noun("process", "who is attached");
    auto* ls = verb(
        process, "ls", "each producer and consumer: its process, its rate, alive or dead",
        [this](Output& out) { return process_ls(out, process_); }, true);
    ls->add_option("STATION", process_.station, "only of this one");
    auto* made = verb(
        &app_, "why", "what is slow on a station, and who causes it, in words",
        [this](Output& out) { return why(out, name_); }, true);
    made->add_option("STATION", name_, "which one")->required();
    explain_more(
        made,
        "It looks twice, a moment apart: what was there both times is stuck. It finds a\n"
        "full ring and who holds it, an open message and whose it is, a reader that lags,\n"
        "the dead, a lock that stays held. Each comes with the next thing to do.");
    made = verb(&app_, "doctor", "what this machine and the instance lack, each with its remedy",
                [this](Output& out) { return doctor(out, doctor_); });
    made->add_flag("--fix", doctor_.fix,
                   "do what is safe: clean up after the dead, finish removals, unlink leftovers");
    made->add_flag(
        "--yes,-y", doctor_.yes,
        "with --fix: also remove rings whose processes are all dead, with their messages");
    explain_more(made,
                 "Without --fix it changes nothing. Exit status 0: well, or warnings only; 1:\n"
                 "something critical remains.");
  }

  void add_completion() {
    auto* made = verb(&app_, "completion", "a script by which your shell completes commands",
                      [this](Output& out) { return completion(out, shell_, tree_of(&app_)); });
    made->add_option("SHELL", shell_, "bash, zsh or fish: source <(loopline completion bash)")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
    explain_more(made,
                 "For now:    source <(loopline completion bash)\n"
                 "For good:   the script's first lines say where to put it");
    verb(&app_, "__stations", "names for completion", station_names)->group("");
  }

  // "{text,wide,json}", as CLI11 describes the words an option takes, or what its name says.
  static Completed completed_of(const CLI::Option* option, const std::string& noun) {
    using Kind = Completed::Kind;
    std::string text = option->get_type_name();
    const size_t begin = text.find('{'), end = text.rfind('}');
    if (begin != std::string::npos && end > begin) {
      return {Kind::words, CLI::detail::split(text.substr(begin + 1, end - begin - 1), ',')};
    }
    if (text == "WORD") return {Kind::words, listed_words(option->get_description())};
    const std::string name = option->nonpositional() ? text : option->get_name(true);
    if (name == "STATION" || (name == "NAME" && noun == "station")) return {Kind::stations, {}};
    if (name == "FILE") return {Kind::files, {}};
    return {name == "FOLDER" ? Kind::folders : Kind::free, {}};
  }

  // The tree of commands, for completion; options of the root go with every command.
  static CommandNode tree_of(CLI::App* app, const std::string& noun = "") {
    CommandNode node{app->get_name(), app->get_description(), {}, {}, {}};
    for (CLI::App* at = app; at != nullptr; at = at->get_parent()) {
      for (const CLI::Option* option : at->get_options()) {
        if (at != app && option->get_group() != everywhere) continue;
        const bool is_new_name = noun == "station" && app->get_name() == "add";
        const Completed place = completed_of(option, is_new_name ? "" : noun);
        if (!option->nonpositional()) {
          node.arguments.push_back(place);
          continue;
        }
        CommandOption one{
            {}, option->get_description(), option->get_items_expected_min() != 0, place};
        for (const std::string& name : option->get_lnames()) one.names.push_back("--" + name);
        for (const std::string& name : option->get_snames()) one.names.push_back("-" + name);
        node.options.push_back(std::move(one));
      }
    }
    for (CLI::App* verb : app->get_subcommands(nullptr)) {
      if (!verb->get_group().empty()) node.commands.push_back(tree_of(verb, app->get_name()));
    }
    return node;
  }

  void add_bench() {
    auto* bench = noun("bench", "measure between two processes, each on a core of its own");
    auto* rtt = verb(bench, "rtt", "round trips of one message",
                     [this](Output& out) { return bench_rtt(out, bench_); });
    auto* pub = verb(bench, "pub", "a stream from a producer to a consumer",
                     [this](Output& out) { return bench_pub(out, bench_); });
    for (CLI::App* made : {rtt, pub}) {
      made->add_option("--size", bench_.size, "of a message (default 256B)")->type_name("SIZE");
      made->add_option("--seconds", bench_.seconds, "how long (default 2)")->type_name("NUMBER");
      made->add_option("--wait", bench_.wait, "spin, adaptive (default) or park")
          ->type_name("WORD");
    }
  }

  CLI::App app_;
  Globals globals_;
  std::string format_ = "text";
  std::string watch_;
  bool json_ = false;
  std::string name_;
  DemoArguments demo_;
  BenchArguments bench_;
  StationAddArguments add_;
  StationRmArguments rm_;
  ProduceArguments produce_;
  ConsumeArguments consume_;
  RingShowArguments ring_show_;
  RingDumpArguments dump_;
  RingWatchArguments ring_watch_;
  ProcessArguments process_;
  DoctorArguments doctor_;
  std::string shell_;
  Action action_;
  bool can_watch_ = false;
};

// The command that was recognised: `loopline station add`.
CLI::App* deepest(CLI::App* app, std::string& path) {
  path = app->get_name();
  while (!app->get_subcommands().empty()) {
    app = app->get_subcommands().front();
    path += " " + app->get_name();
  }
  return app;
}

std::vector<std::string> options_of(CLI::App* app) {
  std::vector<std::string> names;
  for (; app != nullptr; app = app->get_parent()) {
    for (const CLI::Option* option : app->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return names;
}

std::vector<std::string> verbs_of(CLI::App* app) {
  std::vector<std::string> names;
  for (CLI::App* verb : app->get_subcommands(nullptr)) {
    if (!verb->get_group().empty()) names.push_back(verb->get_name());
  }
  return names;
}

// What is wrong with the command line, in our words.
Fault explain(CLI::App& app, const CLI::ParseError& error) {
  std::string path;
  CLI::App* command = deepest(&app, path);
  const std::string help = "; see: " + path + " --help";
  const std::vector<std::string> verbs = verbs_of(command);
  const std::vector<std::string> rest = app.remaining(true);
  const std::string word = rest.empty() ? "" : rest.front();
  std::string text;
  if (word.starts_with('-') && word.size() > 1) {
    text = path + " has no option " + word + near_miss(word, options_of(command)) + help;
  } else if (!word.empty() && !verbs.empty()) {
    text = path + " has no \"" + word + "\"" + near_miss(word, verbs) +
           "; it has: " + joined(verbs) + help;
  } else if (!word.empty()) {
    text = path + " does not know what to do with \"" + word + "\"" + help;
  } else if (!verbs.empty() && command->get_require_subcommand_min() > 0) {
    text = path + " needs one of: " + joined(verbs) + help;
  } else {
    text = path + ": " + error.what() + help;
  }
  return {FaultCode::invalid_argument, text};
}

// Before the options are known: an error has to come in the form that was asked for.
bool asks_for_json(int count, char** words) {
  for (int index = 1; index < count; ++index) {
    const std::string word = words[index];
    if (word == "--json" || word == "--format=json") return true;
    if (word == "--format" && index + 1 < count && std::string(words[index + 1]) == "json") {
      return true;
    }
  }
  return false;
}

int run_main(int count, char** words) {
  install_signals();
  CommandLine line;
  try {
    line.app().parse(count, words);
  } catch (const CLI::Success& wish) {  // --help, --version
    return line.app().exit(wish);
  } catch (const CLI::ParseError& error) {
    Globals globals;
    if (asks_for_json(count, words)) globals.format = Format::json;
    return Output(globals).report(explain(line.app(), error));
  }
  Output out(line.globals());
  const Status status = line.run(out);
  out.flush();
  return status ? 0 : out.report(status.fault());
}

}  // namespace
}  // namespace loopline::cli

int main(int count, char** words) { return loopline::cli::run_main(count, words); }
