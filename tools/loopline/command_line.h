// CommandLine: nouns and verbs as they are declared, without a word of the library that reads them.
//
//   Noun station = line.noun("station", "make, list, describe and remove stations");
//   auto& arguments = line.keep<StationRmArguments>();
//   station.verb("rm", "remove a station and its messages",
//                [&](Output& out) { return station_rm(out, arguments); })
//       .station("NAME", arguments.name, "the station")
//       .flag("--yes,-y", arguments.yes, "do not ask");
//
// Help, hints for wrong words, completion and --watch follow from what is declared. An option is
// written as help shows it, "--ring SIZE"; what takes a WORD is completed from its description.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "completion.h"
#include "output.h"
#include "shm/base/result.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace loopline::cli {

using Action = std::function<Status(Output&)>;

class CommandLine;

// What is declared of one verb; each call returns the same verb.
class Verb {
 public:
  // By place, and needed: a name of something new, or of a station there is.
  Verb& argument(const char* name, std::string& value, const char* description);
  Verb& station(const char* name, std::string& value, const char* description);
  Verb& factory(const char* name, std::string& value, const char* description);
  Verb& one_of(const char* name, std::string& value, const std::vector<std::string>& words,
               const char* description);
  // By place, and not needed.
  Verb& argument_if_any(const char* name, std::string& value, const char* description);
  Verb& station_if_any(const char* name, std::string& value, const char* description);
  Verb& stations(const char* name, std::vector<std::string>& value, const char* description);
  Verb& files(const char* name, std::vector<std::string>& value, const char* description);

  Verb& option(const char* form, std::string& value, const char* description);
  Verb& option(const char* form, uint32_t& value, const char* description);
  Verb& option(const char* form, uint64_t& value, const char* description);
  Verb& option(const char* form, std::vector<std::string>& value, const char* description);
  Verb& count(const char* form, uint64_t& value, const char* description);  // from 1
  Verb& flag(const char* form, bool& value, const char* description);

  // What help says below the options: sentences, then commands to try.
  Verb& explain(const std::string& text);
  Verb& examples(const std::vector<std::string>& commands);
  Verb& can_watch();
  Verb& can_prometheus();
  Verb& hide();

 private:
  friend class CommandLine;
  Verb(CommandLine& line, CLI::App* app) : line_(&line), app_(app) {}
  template <class Value>
  CLI::Option* add_option(const char* form, Value& value, const char* description);
  CommandLine* line_;
  CLI::App* app_;
};

class Noun {
 public:
  Verb verb(const char* name, const char* description, Action action);
  // Its verbs end as monitoring plugins do: what they cannot tell, wrong usage too, is status 3.
  Noun& as_plugin();

 private:
  friend class CommandLine;
  Noun(CommandLine& line, CLI::App* app) : line_(&line), app_(app) {}
  CommandLine* line_;
  CLI::App* app_;
};

class CommandLine {
 public:
  CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;
  ~CommandLine();

  Noun noun(const char* name, const char* description);
  Verb verb(const char* name, const char* description, Action action);  // of no noun
  // What a verb's options fill, as long as the command line lives.
  template <class Arguments>
  Arguments& keep() {
    auto made = std::make_shared<Arguments>();
    kept_.push_back(made);
    return *made;
  }

  // For completion: every command that is not hidden.
  CommandNode tree() const;
  // Reads the words and does what they ask for; returns the exit status.
  int run(int count, char** words);

 private:
  friend class Noun;
  friend class Verb;
  Verb add_verb(CLI::App* parent, const char* name, const char* description, Action action);
  void add_globals();
  CommandNode node_of(CLI::App* app) const;
  Globals globals() const;
  // Does what was asked, once, or with --watch again and again.
  Status act(Output& out);
  Status show_again_and_again(Output& out);
  bool is_plugin() const;
  int ended(Output& out, const Fault& fault) const;

  std::unique_ptr<CLI::App> app_;
  std::vector<std::shared_ptr<void>> kept_;
  std::vector<CLI::App*> watchable_;
  std::vector<CLI::App*> measured_;                 // that speak Prometheus' format
  std::vector<CLI::App*> plugins_;                  // nouns
  std::map<const CLI::Option*, Completed> places_;  // of those that are completed
  Globals globals_;
  std::string format_ = "text";
  std::string watch_;
  bool json_ = false;
  CLI::App* chosen_ = nullptr;
  Action action_;
};

}  // namespace loopline::cli
