// Owner: names looked up in the machine's lists of users and groups.
#include "owner.h"

#include <grp.h>
#include <pwd.h>

#include <charconv>
#include <optional>
#include <vector>

namespace loopline::shm {
namespace {

constexpr size_t part_length_max = 64;
constexpr size_t entry_bytes_max = 64 << 10;

// What names of users may hold on the systems we know; a number is one as well.
bool is_part(std::string_view text) {
  if (text.empty() || text.size() > part_length_max || text.front() == '-') return false;
  for (const char letter : text) {
    const bool plain = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                       (letter >= '0' && letter <= '9');
    if (!plain && std::string_view("._-$").find(letter) == std::string_view::npos) return false;
  }
  return true;
}

struct Parts {
  std::string user, group;
};

Parts split(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return {std::string(text), ""};
  return {std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
}

std::optional<uint32_t> number_in(const std::string& text) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || number == FileOwner::unchanged) return {};
  return number;
}

std::optional<uint32_t> user_named(const std::string& name) {
  std::vector<char> bytes(entry_bytes_max);
  passwd entry;
  passwd* found = nullptr;
  if (::getpwnam_r(name.c_str(), &entry, bytes.data(), bytes.size(), &found) != 0) return {};
  if (found == nullptr) return {};
  return found->pw_uid;
}

std::optional<uint32_t> group_named(const std::string& name) {
  std::vector<char> bytes(entry_bytes_max);
  group entry;
  group* found = nullptr;
  if (::getgrnam_r(name.c_str(), &entry, bytes.data(), bytes.size(), &found) != 0) return {};
  if (found == nullptr) return {};
  return found->gr_gid;
}

Fault nobody_named(const std::string& text, const char* kind, const std::string& name) {
  return {FaultCode::invalid_argument, "owner \"" + text + "\": this machine knows no " + kind +
                                           " \"" + name + "\"; name another, or make it first"};
}

}  // namespace

bool is_owner_text(std::string_view text) {
  const Parts parts = split(text);
  if (parts.user.empty() && parts.group.empty()) return false;
  if (!parts.user.empty() && !is_part(parts.user)) return false;
  if (text.ends_with(':')) return false;
  return parts.group.empty() || is_part(parts.group);
}

Result<FileOwner> find_owner(const std::string& text) {
  if (!is_owner_text(text)) {
    return Fault(FaultCode::invalid_argument,
                 "the owner is written user, user:group or :group, by name or number");
  }
  const Parts parts = split(text);
  FileOwner owner;
  if (!parts.user.empty()) {
    auto user = number_in(parts.user);
    if (!user) user = user_named(parts.user);
    if (!user) return nobody_named(text, "user", parts.user);
    owner.user = *user;
  }
  if (!parts.group.empty()) {
    auto group = number_in(parts.group);
    if (!group) group = group_named(parts.group);
    if (!group) return nobody_named(text, "group", parts.group);
    owner.group = *group;
  }
  return owner;
}

}  // namespace loopline::shm
