// completion: the tree of commands written out as a script of bash, zsh or fish.
//
// All three do the same: they go through the words before the cursor, find the command those lead
// to, and offer its commands, its options or what belongs into the next place. Names of stations
// come from the hidden command `loopline __stations`.
#include "completion.h"

#include <fmt/format.h>

#include <functional>
#include <map>
#include <set>
#include <sstream>

#include "commands.h"
#include "completion_templates.h"
#include "declare.h"
#include "json.h"
#include "options.h"
#include "viewer.h"

namespace loopline::cli {
namespace {

using Kind = Completed::Kind;

// Every command with its path, "loopline station add", the root first.
void for_each(const CommandNode& node, const std::string& path,
              const std::function<void(const CommandNode&, const std::string&)>& each) {
  each(node, path);
  for (const CommandNode& command : node.commands) {
    for_each(command, path + " " + command.name, each);
  }
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

// In single quotes, as bash and zsh read them.
std::string quoted(const std::string& text) {
  std::string all = "'";
  for (const char letter : text)
    all += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
  return all + "'";
}

std::string quoted_for_fish(const std::string& text) {
  std::string all = "'";
  for (const char letter : text) {
    if (letter == '\'' || letter == '\\') all += '\\';
    all += letter;
  }
  return all + "'";
}

// "name:description", with the name's colons kept from zsh.
std::string described(const std::string& name, const std::string& description) {
  std::string text;
  for (const char letter : name)
    text += letter == ':' ? std::string("\\:") : std::string(1, letter);
  return quoted(text + ":" + description);
}

// Every option that takes a value, by all its names; whether it does is the same everywhere.
std::vector<std::string> value_options(const CommandNode& root) {
  std::set<std::string> all;
  for_each(root, root.name, [&](const CommandNode& node, const std::string&) {
    for (const CommandOption& option : node.options) {
      if (option.takes_value) all.insert(option.names.begin(), option.names.end());
    }
  });
  return {all.begin(), all.end()};
}

// "loopline station"|"loopline station add"|...: the pattern that tells commands from arguments.
std::string paths_pattern(const CommandNode& root, const char* between) {
  std::vector<std::string> paths;
  for_each(root, root.name, [&](const CommandNode& node, const std::string& path) {
    if (&node != &root) paths.push_back("\"" + path + "\"");
  });
  return joined(paths, between);
}

// One word for the scripts: what belongs into a place.
std::string kind_word(const Completed& place) {
  switch (place.kind) {
    case Kind::stations:
      return "stations";
    case Kind::factories:
      return "factories";
    case Kind::files:
      return "files";
    case Kind::folders:
      return "folders";
    case Kind::words:
      return "words " + joined(place.words, " ");
    case Kind::free:
      break;
  }
  return "free";
}

// The cases over the command and the option before the cursor: what that takes.
std::string value_cases(const CommandNode& root) {
  std::map<std::string, std::vector<std::string>> patterns;  // by what is offered
  for_each(root, root.name, [&](const CommandNode& node, const std::string& path) {
    for (const CommandOption& option : node.options) {
      for (const std::string& name : option.names) {
        if (!option.takes_value) continue;
        patterns[kind_word(option.value)].push_back("\"" + path + " " + name + "\"");
      }
    }
  });
  std::string text;
  for (const auto& [kind, all] : patterns) {
    text += fmt::format("    {}) _loopline_offer {}; return ;;\n", joined(all, "|"), quoted(kind));
  }
  return text;
}

std::string argument_words(const CommandNode& node) {
  std::vector<std::string> words;
  for (const Completed& place : node.arguments) words.push_back(quoted(kind_word(place)));
  return joined(words, " ");
}

// The cases over the command that was typed, in bash: plain names.
std::string bash_cases(const CommandNode& root) {
  std::string text;
  for_each(root, root.name, [&](const CommandNode& node, const std::string& path) {
    std::vector<std::string> commands, options;
    for (const CommandNode& command : node.commands) commands.push_back(command.name);
    for (const CommandOption& option : node.options) {
      options.insert(options.end(), option.names.begin(), option.names.end());
    }
    text += fmt::format(
        "    \"{}\")\n      commands={}\n      options={}\n      arguments=({})\n"
        "      ;;\n",
        path, quoted(joined(commands, " ")), quoted(joined(options, " ")), argument_words(node));
  });
  return text;
}

// The same in zsh: with descriptions.
std::string zsh_cases(const CommandNode& root) {
  std::string text;
  for_each(root, root.name, [&](const CommandNode& node, const std::string& path) {
    std::vector<std::string> commands, options;
    for (const CommandNode& command : node.commands) {
      commands.push_back(described(command.name, command.description));
    }
    for (const CommandOption& option : node.options) {
      for (const std::string& name : option.names) {
        options.push_back(described(name, option.description));
      }
    }
    text += fmt::format(
        "    \"{}\")\n      commands=({})\n      options=({})\n"
        "      arguments=({})\n      ;;\n",
        path, joined(commands, " "), joined(options, " "), argument_words(node));
  });
  return text;
}

// What fish puts behind an option or in the place of an argument.
std::string fish_offer(const Completed& place) {
  switch (place.kind) {
    case Kind::stations:
      return "-x -a '(__loopline_names __stations)'";
    case Kind::factories:
      return "-x -a '(__loopline_names __factories)'";
    case Kind::files:
      return "-r -F";
    case Kind::folders:
      return "-x -a '(__fish_complete_directories)'";
    case Kind::words:
      return "-x -a " + quoted_for_fish(joined(place.words, " "));
    case Kind::free:
      break;
  }
  return "-x";
}

std::string fish_lines(const CommandNode& root) {
  std::string text;
  for_each(root, root.name, [&](const CommandNode& node, const std::string& path) {
    const std::string begin = fmt::format("complete -c loopline -n '__loopline_at {}' ", path);
    for (const CommandNode& command : node.commands) {
      text += fmt::format("{}-f -a {} -d {}\n", begin, command.name,
                          quoted_for_fish(command.description));
    }
    for (const CommandOption& option : node.options) {
      std::string names;
      for (const std::string& name : option.names) {
        names += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      }
      text += fmt::format("{}{}{} -d {}\n", begin.substr(0, begin.size() - 1), names,
                          option.takes_value ? " " + fish_offer(option.value) : "",
                          quoted_for_fish(option.description));
    }
    for (const Completed& place : node.arguments) {
      if (place.kind != Kind::free) text += begin + fish_offer(place) + "\n";
    }
  });
  return text;
}

// The template with each %NAME% replaced.
std::string filled(std::string text, const std::map<std::string, std::string>& parts) {
  for (const auto& [name, part] : parts) {
    const std::string mark = "%" + name + "%";
    for (size_t at = text.find(mark); at != std::string::npos;
         at = text.find(mark, at + part.size())) {
      text.replace(at, mark.size(), part);
    }
  }
  return text;
}

}  // namespace

std::vector<std::string> listed_words(const std::string& description) {
  std::string plain;
  int depth = 0;
  for (const char letter : description.substr(0, description.find(':'))) {
    if (letter == '(') ++depth;
    if (depth == 0) plain += letter == ',' ? ' ' : letter;
    if (letter == ')') --depth;
  }
  std::vector<std::string> words;
  std::istringstream stream(plain);
  for (std::string word; stream >> word;) {
    if (word != "or") words.push_back(word);
  }
  return words;
}

Result<std::string> completion_script(const CommandNode& root, const std::string& shell) {
  const std::vector<std::string> options = value_options(root);
  std::map<std::string, std::string> parts = {{"VERSION", version},
                                              {"VALUE_OPTIONS", joined(options, "|")},
                                              {"PATHS", paths_pattern(root, "|")}};
  if (shell == "bash") {
    parts["VALUES"] = value_cases(root);
    parts["COMMANDS"] = bash_cases(root);
    return filled(bash_template, parts);
  }
  if (shell == "zsh") {
    parts["VALUES"] = value_cases(root);
    parts["COMMANDS"] = zsh_cases(root);
    return filled(zsh_template, parts);
  }
  if (shell == "fish") {
    parts["VALUE_OPTIONS"] = joined(options, " ");
    parts["PATHS"] = paths_pattern(root, " ");
    parts["LINES"] = fish_lines(root);
    return filled(fish_template, parts);
  }
  return unknown_word("shell", shell, "bash, zsh or fish");
}

Status completion(Output& out, const std::string& shell, const CommandNode& root) {
  LL_TRY(script, completion_script(root, shell));
  if (out.is_json()) {
    out.line(json_of_completion(shell, script));
  } else {
    out.write(script);
  }
  return ok();
}

Status station_names(Output& out) {
  const auto viewer = Viewer::open(out.dir());
  // After a reboot there is no instance before a station on disk is opened.
  LL_TRY(survey, viewer ? viewer->survey() : Result<Viewer::Survey>(Viewer::Survey()));
  LL_TRY(data, find_data(out.dir()));
  std::set<std::string> names;
  for (const auto& ring : survey.rings) names.insert(name_of(ring));
  for (const auto& name : names_on_disk(data)) names.insert(name.text());
  for (const std::string& name : names) {
    constexpr std::string_view home = "main/";  // as most people write them
    out.line(name.starts_with(home) ? name.substr(home.size()) : name);
  }
  return ok();
}

void declare_completion(CommandLine& line) {
  auto& shell = line.keep<std::string>();
  line.verb("completion", "a script by which your shell completes commands",
            [&line, &shell](Output& out) { return completion(out, shell, line.tree()); })
      .one_of("SHELL", shell, {"bash", "zsh", "fish"}, "bash, zsh or fish")
      .explain("The script's first lines say where to put it for good.")
      .examples({"source <(loopline completion bash)"});
  line.verb("__stations", "names for completion", station_names).hide();
}

}  // namespace loopline::cli
