// Trace: words for operations, orders, values and places, and the one-line seed.
#include "trace.h"

#include <cctype>
#include <cstdio>

namespace loopline::model {

namespace {

constexpr uintptr_t name_reach = 4096;
constexpr size_t text_bytes_max = 1 << 20;  // of an execution without end, the beginning will do

const char* name_of_order(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed:
      return "relaxed";  // relaxed: a name, no access
    case std::memory_order_release:
      return "release";
    case std::memory_order_acq_rel:
      return "acq_rel";
    case std::memory_order_seq_cst:
      return "seq_cst";
    default:
      return "acquire";
  }
}

const char* name_of_kind(OperationKind kind) {
  switch (kind) {
    case OperationKind::load:
      return "load";
    case OperationKind::store:
      return "store";
    case OperationKind::exchange:
      return "exchange";
    case OperationKind::add:
      return "fetch_add";
    case OperationKind::bit_or:
      return "fetch_or";
    case OperationKind::bit_and:
      return "fetch_and";
    case OperationKind::compare_exchange:
      return "compare_exchange";
    case OperationKind::fence:
      return "fence";
    case OperationKind::futex_wait:
      return "futex_wait";
    case OperationKind::futex_wake:
      return "futex_wake";
  }
  return "?";
}

std::string to_text(uint64_t value) {
  char text[32];
  std::snprintf(text, sizeof text, value < 4096 ? "%llu" : "%#llx",
                static_cast<unsigned long long>(value));
  return text;
}

std::string to_text(const Pair& value, unsigned size) {
  if (size <= 8) return to_text(value.first);
  return "{" + to_text(value.first) + ", " + to_text(value.second) + "}";
}

// The outcome behind the place: "-> 3 (1 behind the newest)".
std::string describe_read(const Operation& operation) {
  std::string text = " -> " + to_text(operation.result, operation.size);
  const unsigned behind = operation.newest_index - operation.read_index;
  if (behind != 0) text += " (" + std::to_string(behind) + " behind the newest)";
  return text;
}

}  // namespace

std::string Trace::name_of(uintptr_t address) const {
  auto found = names_.upper_bound(address);
  char text[32];
  if (found != names_.begin()) {
    --found;
    const auto distance = address - found->first;
    if (distance == 0) return found->second;
    if (distance < name_reach) return found->second + "+" + std::to_string(distance);
  }
  std::snprintf(text, sizeof text, "%#llx", static_cast<unsigned long long>(address));
  return text;
}

std::string Trace::describe(const Operation& operation, uintptr_t address) const {
  std::string text = name_of_kind(operation.kind);
  if (operation.kind == OperationKind::fence) return text + " " + name_of_order(operation.order);
  const std::string place = name_of(address + operation.offset);
  const std::string value = to_text(operation.value, operation.size);
  switch (operation.kind) {
    case OperationKind::futex_wake:
      return text + " " + place;
    case OperationKind::futex_wait:
      return text + " " + place + " expects " + to_text(operation.expected.first) +
             describe_read(operation) + (operation.done ? ", sleeps" : ", returns");
    case OperationKind::store:
      return text + " " + name_of_order(operation.order) + " " + place + " = " + value;
    case OperationKind::load:
      return text + " " + name_of_order(operation.order) + " " + place + describe_read(operation);
    case OperationKind::compare_exchange:
      return text + " " + name_of_order(operation.order) + " " + place + " " +
             to_text(operation.expected, operation.size) + " => " + value +
             (operation.done ? " done" : " failed" + describe_read(operation));
    default:
      return text + " " + name_of_order(operation.order) + " " + place + " by " + value +
             describe_read(operation);
  }
}

void Trace::add(Option option, const std::string& line) {
  options_.push_back(option);
  remark(option.thread, line);
}

void Trace::remark(unsigned thread, const std::string& line) {
  if (text_.size() > text_bytes_max) return;
  char head[32];
  std::snprintf(head, sizeof head, "%4zu  t%u  ", options_.size(), thread);
  text_ += head + line + "\n";
}

std::string to_seed(const std::vector<Option>& options) {
  std::string seed;
  for (size_t index = 0; index < options.size();) {
    const Option option = options[index];
    size_t count = 1;
    while (index + count < options.size() && options[index + count].thread == option.thread &&
           options[index + count].back == option.back) {
      ++count;
    }
    if (!seed.empty()) seed += '.';
    seed += std::to_string(option.thread);
    if (option.back == back_dies) {
      seed += '!';
    } else if (option.back == back_times_out) {
      seed += '~';
    } else if (option.back != 0) {
      seed += "+" + std::to_string(option.back);
    }
    if (count > 1) seed += "x" + std::to_string(count);
    index += count;
  }
  return seed;
}

std::vector<Option> from_seed(const std::string& seed) {
  std::vector<Option> options;
  size_t at = 0;
  const auto number = [&] {
    unsigned value = 0;
    while (at < seed.size() && std::isdigit(static_cast<unsigned char>(seed[at])) != 0) {
      value = 10 * value + static_cast<unsigned>(seed[at++] - '0');
    }
    return value;
  };
  const auto skips = [&](char character) {
    if (at >= seed.size() || seed[at] != character) return false;
    ++at;
    return true;
  };
  while (at < seed.size()) {
    Option option{static_cast<uint8_t>(number()), 0};
    if (skips('!')) option.back = back_dies;
    if (skips('~')) option.back = back_times_out;
    if (skips('+')) option.back = static_cast<uint8_t>(number());
    const unsigned count = skips('x') ? number() : 1;
    options.insert(options.end(), count, option);
    if (!skips('.')) break;
  }
  return options;
}

}  // namespace loopline::model
