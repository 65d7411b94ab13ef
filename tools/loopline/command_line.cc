// CommandLine: read by CLI11, in this unit and command_help.cc only, for it takes 11 s to compile.
#include "command_line.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstring>

#include "command_help.h"
#include "options.h"
#include "runtime/broker/hints.h"
#include "shm/base/units.h"
#include "signals.h"

namespace loopline::cli {
namespace {

using Kind = Completed::Kind;

constexpr const char* footer_text =
    "A station is a named stream of messages (elsewhere: a topic), kept in a ring of shared "
    "memory. "
    "Producers publish into it, consumers read it, each at its own pace, without a broker in "
    "between. A full ring waits for its slowest consumer; one without consumers keeps its newest "
    "messages.\n\n"
    "A first try:\n"
    "  loopline demo\n"
    "  seq 1000 | loopline produce numbers --create\n"
    "  loopline consume numbers --template '%s %t %p\\n'\n"
    "  loopline ring show numbers\n\n"
    "Sizes are written 64KiB, times 250us or 5s.\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 timed out.";
constexpr const char* verb_footer = "Options for every command: loopline --help";
constexpr const char* everywhere = "For every command";
constexpr const char* prometheus_word = "prometheus";

bool is_among(const std::vector<CLI::App*>& apps, const CLI::App* app) {
  return std::find(apps.begin(), apps.end(), app) != apps.end();
}

std::string path_of(const CLI::App* app) {
  const CLI::App* parent = app->get_parent();
  const bool is_below_noun = parent != nullptr && parent->get_parent() != nullptr;
  return is_below_noun ? path_of(parent) + " " + app->get_name() : app->get_name();
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

// Of an option that says nothing else of it: by the name of what it takes.
Completed place_of(const std::string& type, const char* description) {
  if (type == "WORD") return {Kind::words, listed_words(description)};
  if (type == "STATION") return {Kind::stations, {}};
  if (type == "FILE") return {Kind::files, {}};
  return {type == "FOLDER" ? Kind::folders : Kind::free, {}};
}

}  // namespace

// `form` is "--ring SIZE".
template <class Value>
CLI::Option* Verb::add_option(const char* form, Value& value, const char* description) {
  const std::string text = form;
  const size_t blank = text.find(' ');
  CLI::Option* made = app_->add_option(text.substr(0, blank), value, description);
  if (blank == std::string::npos) return made;
  made->type_name(text.substr(blank + 1));
  line_->places_[made] = place_of(made->get_type_name(), description);
  return made;
}

Verb& Verb::argument(const char* name, std::string& value, const char* description) {
  add_option(name, value, description)->required();
  return *this;
}

Verb& Verb::argument_if_any(const char* name, std::string& value, const char* description) {
  add_option(name, value, description);
  return *this;
}

Verb& Verb::station(const char* name, std::string& value, const char* description) {
  CLI::Option* made = add_option(name, value, description)->required();
  line_->places_[made] = {Kind::stations, {}};
  return *this;
}

Verb& Verb::factory(const char* name, std::string& value, const char* description) {
  CLI::Option* made = add_option(name, value, description)->required();
  line_->places_[made] = {Kind::factories, {}};
  return *this;
}

Verb& Verb::one_of(const char* name, std::string& value, const std::vector<std::string>& words,
                   const char* description) {
  CLI::Option* made = add_option(name, value, description)->required();
  made->check(known_word(words));
  line_->places_[made] = {Kind::words, words};
  return *this;
}

Verb& Verb::station_if_any(const char* name, std::string& value, const char* description) {
  line_->places_[add_option(name, value, description)] = {Kind::stations, {}};
  return *this;
}

Verb& Verb::stations(const char* name, std::vector<std::string>& value, const char* description) {
  line_->places_[add_option(name, value, description)] = {Kind::stations, {}};
  return *this;
}

Verb& Verb::files(const char* name, std::vector<std::string>& value, const char* description) {
  line_->places_[add_option(name, value, description)] = {Kind::files, {}};
  return *this;
}

Verb& Verb::option(const char* form, std::string& value, const char* description) {
  add_option(form, value, description);
  return *this;
}

Verb& Verb::option(const char* form, uint32_t& value, const char* description) {
  add_option(form, value, description)->check(whole_number(0));
  return *this;
}

Verb& Verb::option(const char* form, uint64_t& value, const char* description) {
  add_option(form, value, description)->check(whole_number(0));
  return *this;
}

Verb& Verb::option(const char* form, std::vector<std::string>& value, const char* description) {
  add_option(form, value, description)->allow_extra_args(false)->take_all();
  return *this;
}

Verb& Verb::count(const char* form, uint64_t& value, const char* description) {
  add_option(form, value, description)->check(whole_number(1));
  return *this;
}

Verb& Verb::flag(const char* form, bool& value, const char* description) {
  app_->add_flag(form, value, description);
  return *this;
}

Verb& Verb::explain(const std::string& text) {
  const std::string before = app_->get_footer();
  app_->footer(before.substr(0, before.size() - std::strlen(verb_footer)) + text + "\n\n" +
               verb_footer);
  return *this;
}

Verb& Verb::examples(const std::vector<std::string>& commands) {
  std::string text = commands.size() == 1 ? "Example:" : "Examples:";
  for (const std::string& command : commands) text += "\n  " + command;
  return explain(text);
}

Verb& Verb::can_watch() {
  line_->watchable_.push_back(app_);
  return *this;
}

Verb& Verb::can_prometheus() {
  line_->measured_.push_back(app_);
  return *this;
}

Verb& Verb::hide() {
  app_->group("");
  return *this;
}

Verb Noun::verb(const char* name, const char* description, Action action) {
  return line_->add_verb(app_, name, description, std::move(action));
}

Noun& Noun::as_plugin() {
  line_->plugins_.push_back(app_);
  return *this;
}

CommandLine::CommandLine() : app_(std::make_unique<CLI::App>()) {
  app_->name("loopline");
  app_->description("loopline: messages between processes, through rings in shared memory");
  app_->footer(footer_text);
  app_->set_help_flag("-h,--help", "this text, for each command");
  app_->set_version_flag("--version", std::string("loopline ") + version, "the version");
  app_->require_subcommand(1);
  app_->fallthrough();
  app_->formatter(help_formatter());
  add_globals();
}

CommandLine::~CommandLine() = default;

void CommandLine::add_globals() {
  const char* group = everywhere;
  CLI::Option* format =
      app_->add_option("--format", format_, "text (default), wide or json; of check: prometheus");
  const std::vector<std::string> forms = {"text", "wide", "json"};
  format->check(known_word({"text", "wide", "json", prometheus_word}))->type_name("WORD");
  format->group(group);
  places_[format] = {Kind::words, forms};
  app_->add_flag("--json", json_, "the same as --format json; errors too, on stderr")->group(group);
  CLI::Option* watch =
      app_->add_flag("--watch{1s}", watch_, "show it again every second, or --watch=200ms");
  watch->group(group);
  app_->add_flag("--quiet,-q", globals_.quiet, "no notes, no summaries")->group(group);
  app_->add_flag("--no-color", globals_.no_color, "no colour, as does NO_COLOR")->group(group);
  CLI::Option* dir = app_->add_option(
      "--dir", globals_.dir,
      "the instance (default: LOOPLINE_DIR, else /run/loopline or $XDG_RUNTIME_DIR/loopline)");
  dir->type_name("FOLDER")->group(group);
  places_[dir] = {Kind::folders, {}};
}

Noun CommandLine::noun(const char* name, const char* description) {
  CLI::App* made = app_->add_subcommand(name, description);
  made->require_subcommand(1);
  made->group("Commands")->footer(verb_footer);
  return {*this, made};
}

Verb CommandLine::verb(const char* name, const char* description, Action action) {
  return add_verb(app_.get(), name, description, std::move(action));
}

Verb CommandLine::add_verb(CLI::App* parent, const char* name, const char* description,
                           Action action) {
  CLI::App* made = parent->add_subcommand(name, description);
  made->group("Commands")->footer(verb_footer);
  made->callback([this, made, action = std::move(action)] {
    action_ = action;
    chosen_ = made;
  });
  return {*this, made};
}

CommandNode CommandLine::tree() const { return node_of(app_.get()); }

// Options of the root go with every command.
CommandNode CommandLine::node_of(CLI::App* app) const {
  CommandNode node{app->get_name(), app->get_description(), {}, {}, {}};
  for (CLI::App* at = app; at != nullptr; at = at->get_parent()) {
    for (const CLI::Option* option : at->get_options()) {
      if (at != app && option->get_group() != everywhere) continue;
      const auto found = places_.find(option);
      Completed place = found == places_.end() ? Completed() : found->second;
      const bool is_format = option->check_lname("format");
      if (is_format && is_among(measured_, app)) place.words.emplace_back(prometheus_word);
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
  for (CLI::App* command : app->get_subcommands(nullptr)) {
    if (!command->get_group().empty()) node.commands.push_back(node_of(command));
  }
  return node;
}

Globals CommandLine::globals() const {
  Globals globals = globals_;
  if (format_ == "wide") globals.format = Format::wide;
  if (format_ == prometheus_word) globals.format = Format::prometheus;
  if (json_ || format_ == "json") globals.format = Format::json;
  return globals;
}

Status CommandLine::act(Output& out) {
  if (out.is_prometheus() && !is_among(measured_, chosen_)) {
    return Fault(FaultCode::invalid_argument, "--format prometheus is for loopline check; " +
                                                  path_of(chosen_) + " has text, wide and json");
  }
  return watch_.empty() ? action_(out) : show_again_and_again(out);
}

Status CommandLine::show_again_and_again(Output& out) {
  if (!is_among(watchable_, chosen_)) {
    std::vector<std::string> paths;
    for (const CLI::App* verb : watchable_) paths.push_back(path_of(verb));
    return Fault(FaultCode::invalid_argument,
                 "--watch is for what shows something: " + joined(paths) +
                     "; ring watch does so by itself, see --every");
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

bool CommandLine::is_plugin() const {
  const auto begun = app_->get_subcommands();
  return !begun.empty() && is_among(plugins_, begun.front());
}

int CommandLine::ended(Output& out, const Fault& fault) const {
  constexpr int plugin_unknown = 3;
  const int status = out.report(fault);
  return is_plugin() ? plugin_unknown : status;
}

int CommandLine::run(int count, char** words) {
  try {
    app_->parse(count, words);
  } catch (const CLI::Success& wish) {  // --help, --version
    return app_->exit(wish);
  } catch (const CLI::ParseError& error) {
    Globals globals;
    if (asks_for_json(count, words)) globals.format = Format::json;
    Output out(globals);
    return ended(out, explain(*app_, error));
  }
  Output out(globals());
  tell_files_cut_short(out.error_line(
      {FaultCode::corrupted,
       "a file of the station was cut short while it was in use; see: loopline station ls"}));
  const Status status = act(out);
  const Status written = out.finish();
  if (!status) return ended(out, status.fault());
  return written ? out.ending() : ended(out, written.fault());
}

}  // namespace loopline::cli
