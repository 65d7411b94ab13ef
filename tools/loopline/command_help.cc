// Help: CLI11's, with less around it; the second and last unit that includes CLI11.
#include "command_help.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "runtime/broker/hints.h"

namespace loopline::cli {
namespace {

constexpr size_t names_width = 26;

size_t terminal_width() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) size.ws_col = 0;
  const char* columns = std::getenv("COLUMNS");
  size_t width = size.ws_col;
  if (width == 0 && columns != nullptr) width = std::strtoul(columns, nullptr, 10);
  return std::clamp<size_t>(width == 0 ? 80 : width, 40, 100);
}

// Broken between words into lines of at most `width`.
std::string wrapped(const std::string& text, size_t width) {
  std::string all;
  size_t used = 0;
  for (const std::string& word : CLI::detail::split(text, ' ')) {
    if (used != 0 && used + 1 + word.size() > width) {
      all += '\n';
      used = 0;
    }
    if (used != 0) all += ' ';
    used += word.size() + (used != 0 ? 1 : 0);
    all += word;
  }
  return all;
}

// An option and what it takes, a blank line between parts.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() {
    column_width(names_width);
    label("SUBCOMMAND", "COMMAND");
    label("Positionals", "Arguments");
  }
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override {
    std::string name = CLI::Formatter::make_option_name(option, is_positional);
    const size_t braces = name.find('{');  // "--watch{1s}", which takes a time or none
    if (braces != std::string::npos) name = name.substr(0, braces) + "[=TIME]";
    return name;
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    const bool takes_value = option->nonpositional() && option->get_type_size() != 0;
    return takes_value ? " " + option->get_type_name() : "";
  }
  std::string make_option_desc(const CLI::Option* option) const override {
    return wrapped(option->get_description(), terminal_width() - names_width);
  }
  std::string make_subcommand(const CLI::App* command) const override {
    std::stringstream out;
    CLI::detail::format_help(out, command->get_name(),
                             wrapped(command->get_description(), terminal_width() - names_width),
                             names_width);
    return out.str();
  }
  // Sentences are wrapped; what is indented, examples, stands as it is.
  std::string make_footer(const CLI::App* app) const override {
    std::string text;
    for (const std::string& line : CLI::detail::split(app->get_footer(), '\n')) {
      text += (line.starts_with(' ') ? line : wrapped(line, terminal_width())) + "\n";
    }
    return text;
  }
  std::string make_description(const CLI::App* app) const override {
    return wrapped(app->get_description(), terminal_width()) + "\n";
  }
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override {
    std::string text = CLI::Formatter::make_help(app, std::move(name), mode);
    for (size_t at; (at = text.find("\n\n\n")) != std::string::npos;) text.erase(at, 1);
    return text;
  }
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

// CLI11's "--key: 1 required KEY missing" as "--key needs its KEY".
std::string reason_of(const CLI::ParseError& error) {
  std::string text = error.what();
  const std::string missing = ": 1 required ";
  const size_t at = text.find(missing);
  if (at == std::string::npos || !text.ends_with(" missing")) return text;
  const size_t type = at + missing.size();
  return text.substr(0, at) + " needs its " + text.substr(type, text.rfind(' ') - type);
}

}  // namespace

std::shared_ptr<CLI::FormatterBase> help_formatter() { return std::make_shared<HelpFormatter>(); }

Fault explain(CLI::App& app, const CLI::ParseError& error) {
  std::string path;
  CLI::App* command = deepest(&app, path);
  const std::string help = "; see: " + path + " --help";
  path.erase(0, app.get_name().size() + 1);  // errors begin with the program's name
  const std::string what = path.empty() ? "" : path + " ";
  const std::vector<std::string> verbs = verbs_of(command);
  const std::vector<std::string> rest = app.remaining(true);
  const std::string word = rest.empty() ? "" : rest.front();
  std::string text;
  if (word.starts_with('-') && word.size() > 1) {
    text = what + "has no option " + word + near_miss(word, options_of(command)) + help;
  } else if (!word.empty() && !verbs.empty()) {
    text = what + "has no \"" + word + "\"" + near_miss(word, verbs) +
           "; it has: " + joined(verbs) + help;
  } else if (!word.empty()) {
    text = what + "does not know what to do with \"" + word + "\"" + help;
  } else if (!verbs.empty() && command->get_require_subcommand_min() > 0) {
    text = what + "needs one of: " + joined(verbs) + help;
  } else {
    text = (path.empty() ? "" : path + ": ") + reason_of(error) + help;
  }
  return {FaultCode::invalid_argument, text};
}

CLI::Validator whole_number(uint64_t least) {
  const auto check = [least](std::string& text) -> std::string {
    uint64_t number = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc() && stop == end && number >= least) return "";
    return "\"" + text + "\" is no whole number from " + std::to_string(least);
  };
  return CLI::Validator(check, "");
}

CLI::Validator known_word(std::vector<std::string> words) {
  const auto check = [words = std::move(words)](std::string& text) -> std::string {
    if (std::find(words.begin(), words.end(), text) != words.end()) return "";
    return "\"" + text + "\" is not known: use one of " + joined(words);
  };
  return CLI::Validator(check, "");
}

}  // namespace loopline::cli
