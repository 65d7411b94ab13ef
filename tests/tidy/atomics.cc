// The rules about memory order: every atomic operation names its order, and what the order is for.
//
//   position_.store(next, std::memory_order_release);   // release [advance]
//   position_.load(std::memory_order_relaxed);          // relaxed: only we store it
//
// The word in brackets names an edge. Within shm, io, net or runtime each edge must have a release
// side and an acquire side, by what the code says, not the comment; acq_rel and seq_cst are both.

#include <algorithm>
#include <array>
#include <map>

#include "rules.h"

namespace loopline::tidy {

namespace {

constexpr std::array<std::string_view, 4> folders{"shm", "io", "net", "runtime"};
// Where the operations are defined, not used: the order is an argument there.
constexpr std::string_view alias_header = "shm/base/atomic.h";
constexpr std::array<std::string_view, 6> orders{"relaxed", "consume", "acquire",
                                                 "release", "acq_rel", "seq_cst"};

struct Operation {
  std::size_t line = 0;             // from 1
  std::vector<std::string> orders;  // those its arguments name
  std::string comment;              // on the lines of its statement
  std::vector<std::string> edges;   // in brackets there
  bool has(std::string_view order) const {
    return std::find(orders.begin(), orders.end(), order) != orders.end();
  }
  bool only_relaxed() const { return orders.size() == 1 && has("relaxed"); }
  bool releases() const { return has("release") || has("acq_rel") || has("seq_cst"); }
  bool acquires() const {
    return has("acquire") || has("consume") || has("acq_rel") || has("seq_cst");
  }
};

bool names_operation(std::string_view name, char before) {
  if (name == "fence" || name == "atomic_thread_fence") return before != '.' && before != '>';
  if (before != '.' && before != '>') return false;
  return name == "load" || name == "load_first" || name == "store" || name == "exchange" ||
         name.starts_with("compare_exchange") || name.starts_with("fetch_");
}

// The code of a file as one text, and which line each of its characters is on.
class Reader {
 public:
  explicit Reader(const File& file) : lines_(split_comments(file.text)) {
    for (std::size_t index = 0; index < lines_.size(); ++index) {
      starts_.push_back(code_.size());
      if (!lines_[index].code.starts_with('#')) code_ += lines_[index].code;
      code_ += '\n';
    }
  }

  std::vector<Operation> read() const {
    std::vector<Operation> found;
    for (auto open = code_.find('('); open != std::string::npos; open = code_.find('(', open + 1)) {
      auto start = open;
      while (start > 0 && is_word_character(code_[start - 1])) --start;
      const auto name = std::string_view(code_).substr(start, open - start);
      const char before = start > 0 ? code_[start - 1] : ' ';
      if (names_operation(name, before) && !is_declaration(start)) found.push_back(read_at(open));
    }
    return found;
  }

 private:
  // `void fence(`: a word stands before the name, so that this is no call.
  bool is_declaration(std::size_t start) const {
    if (start < 2 || code_[start - 1] != ' ' || !is_word_character(code_[start - 2])) return false;
    auto word = start - 1;
    while (word > 0 && is_word_character(code_[word - 1])) --word;
    return std::string_view(code_).substr(word, start - 1 - word) != "return";
  }

  Operation read_at(std::size_t open) const {
    Operation operation;
    operation.line = line_of(open) + 1;
    const auto close = end_of_arguments(open);
    for (const auto order : orders) {
      const auto arguments = std::string_view(code_).substr(open, close - open);
      const bool named =
          find_word(arguments, order) != std::string_view::npos ||
          find_word(arguments, "memory_order_" + std::string(order)) != std::string_view::npos;
      if (named) operation.orders.emplace_back(order);
    }
    const auto last = line_of(end_of_statement(close));
    for (auto index = line_of(start_of_statement(open)); index <= last; ++index) {
      operation.comment += lines_[index].comment + "\n";
    }
    operation.edges = read_edges(operation.comment);
    return operation;
  }

  std::size_t line_of(std::size_t at) const {
    const auto next = std::upper_bound(starts_.begin(), starts_.end(), at);
    return static_cast<std::size_t>(next - starts_.begin()) - 1;
  }

  std::size_t end_of_arguments(std::size_t open) const {
    std::size_t depth = 0;
    for (auto at = open; at < code_.size(); ++at) {
      if (code_[at] == '(') ++depth;
      if (code_[at] == ')' && --depth == 0) return at;
    }
    return code_.size() - 1;
  }

  std::size_t start_of_statement(std::size_t at) const {
    const auto previous = code_.find_last_of(";{}", at);
    const auto start = previous == std::string::npos ? 0 : previous + 1;
    return std::min(code_.find_first_not_of(" \n", start), at);
  }

  std::size_t end_of_statement(std::size_t at) const {
    std::ptrdiff_t depth = 0;
    for (++at; at < code_.size(); ++at) {
      const char character = code_[at];
      if (character == '(') ++depth;
      if (character == ')') --depth;
      if (depth <= 0 && (character == ';' || character == '{' || character == '}')) return at;
    }
    return code_.size() - 1;
  }

  // "release [advance] [commit]" and "acquire [advance, commit]" name two edges each.
  static std::vector<std::string> read_edges(std::string_view comment) {
    std::vector<std::string> edges;
    for (auto open = comment.find('['); open != std::string_view::npos;
         open = comment.find('[', open + 1)) {
      const auto close = comment.find(']', open);
      if (close == std::string_view::npos) break;
      std::string name;
      for (const char character : comment.substr(open + 1, close - open)) {
        if (is_word_character(character) || character == '-' || character == ' ') {
          if (!(name.empty() && character == ' ')) name += character;
        } else {
          if (!name.empty()) edges.push_back(name);
          name.clear();
        }
      }
    }
    return edges;
  }

  std::vector<Line> lines_;
  std::string code_;
  std::vector<std::size_t> starts_;
};

bool is_checked(const File& file) {
  return language_of(file) == Language::cpp && file.path != alias_header &&
         std::any_of(folders.begin(), folders.end(),
                     [&](std::string_view folder) { return is_under(file.path, folder); });
}

// An order word right before a bracket claims that the code has that order.
std::string wrong_claim(const Operation& operation, const std::vector<Operation>& operations) {
  for (const auto order : orders) {
    for (const std::string separator : {" [", ": ["}) {
      const auto at = operation.comment.find(std::string(order) + separator);
      if (at == std::string::npos) continue;
      if (at > 0 && is_word_character(operation.comment[at - 1])) continue;
      const bool true_claim =
          std::any_of(operations.begin(), operations.end(), [&](const Operation& other) {
            return other.comment == operation.comment && other.has(order);
          });
      if (!true_claim) return std::string(order);
    }
  }
  return "";
}

std::string judge(const Operation& operation, const std::vector<Operation>& operations) {
  if (operation.orders.empty()) return "atomic operation that does not name its memory order";
  const auto reason = operation.comment.find("relaxed: ");
  const bool explained = reason != std::string::npos;
  if (operation.edges.empty() && !(operation.only_relaxed() && explained)) {
    return operation.only_relaxed()
               ? "atomic operation without an order comment: // relaxed: why, or an [edge]"
               : "atomic operation without an order comment: // " + operation.orders.back() +
                     " [edge]";
  }
  const auto wrong = wrong_claim(operation, operations);
  return wrong.empty() ? "" : "the comment says " + wrong + ", the code does not";
}

}  // namespace

Findings check_atomics(const File& file) {
  if (!is_checked(file)) return {};
  Findings findings;
  const auto operations = Reader(file).read();
  for (const auto& operation : operations) {
    const auto message = judge(operation, operations);
    if (!message.empty()) findings.push_back({file.path, operation.line, message});
  }
  return findings;
}

Findings check_edges(const Tree& tree) {
  struct Edge {
    Finding first;
    bool released = false;
    bool acquired = false;
  };
  std::map<std::string, Edge> edges;  // by folder and name
  for (const auto& file : tree) {
    if (!is_checked(file)) continue;
    const auto folder = file.path.substr(0, file.path.find('/'));
    for (const auto& operation : Reader(file).read()) {
      for (const auto& name : operation.edges) {
        auto& edge = edges[folder + " [" + name + "]"];
        if (edge.first.path.empty())
          edge.first = {file.path, operation.line, "edge [" + name + "]"};
        edge.released |= operation.releases();
        edge.acquired |= operation.acquires();
      }
    }
  }
  Findings findings;
  for (auto& [name, edge] : edges) {
    if (edge.released && edge.acquired) continue;
    edge.first.message += edge.released ? " has no acquire side" : " has no release side";
    findings.push_back(edge.first);
  }
  return findings;
}

}  // namespace loopline::tidy
