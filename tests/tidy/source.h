// Source: a file as the tidy rules see it, with the code and the comments of each line apart.
//
// Strings keep their quotes and lose what is between them, so that a rule which looks for words in
// `code` meets neither comments nor messages.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace loopline::tidy {

struct File {
  std::string path;  // from the top of the project: shm/ring.cc
  std::string text;
};
using Tree = std::vector<File>;

struct Finding {
  std::string path;
  std::size_t line = 0;  // from 1
  std::string message;

  friend bool operator==(const Finding&, const Finding&) = default;
};
using Findings = std::vector<Finding>;

// "shm/ring.cc:41: atomic operation without an order comment"
std::string describe(const Finding& finding);
std::string describe(const Findings& findings);

struct Line {
  std::string code;
  std::string comment;  // of all comments on the line, without the slashes
};

std::vector<std::string_view> split_lines(std::string_view text);
std::vector<Line> split_comments(std::string_view cpp);

enum class Language { cpp, script, document, other };
Language language_of(const File& file);

std::string_view folder_of(std::string_view path);    // "shm/base" of "shm/base/hash.h"
std::string_view filename_of(std::string_view path);  // "hash.h"
// Whether `path` lies in `folder`, at any depth.
bool is_under(std::string_view path, std::string_view folder);
bool is_word_character(char character);
// Where `word` stands in `text` by itself, not as a part of a longer word; npos if nowhere.
std::size_t find_word(std::string_view text, std::string_view word, std::size_t from = 0);

// The tracked files of the project, and those not tracked yet and not ignored.
Tree read_tree(const std::string& root);

}  // namespace loopline::tidy
